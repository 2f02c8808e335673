"""The context of a figure: commit, machine, versions; what is unknown says so."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from evals.context import run_context

ROOT = Path(__file__).parents[2]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def test_the_commit_is_that_of_the_tree_and_changes_are_marked() -> None:
    head = _git("rev-parse", "--short", "HEAD")
    expected = f"{head}+changes" if _git("status", "--porcelain") else head or "unknown"
    assert run_context().commit == expected


def test_a_machine_without_git_has_no_known_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_context().commit == "unknown"


def test_the_machine_is_this_one() -> None:
    context = run_context()
    assert context.cores == len(os.sched_getaffinity(0))
    assert context.python == platform.python_version()
    kib = next(line for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines() if "MemTotal" in line)
    assert context.memory_gib == pytest.approx(int(kib.split()[1]) / 2**20, rel=0.02)


def test_packages_that_are_not_here_are_left_out() -> None:
    assert run_context(("numpy", "no-such-package")).packages == {"numpy": version("numpy")}
