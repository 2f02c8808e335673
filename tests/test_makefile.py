"""The Makefile's commands as a shell reads them."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("target", ["setup", "demo", "test", "check", "bench"])
def test_every_recipe_is_whole_for_the_shell(target: str, tmp_path: Path) -> None:
    # VENV in an empty folder: every step of the set-up is still to be done, so all recipes are printed.
    printed = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", f"VENV={tmp_path}/venv", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{tmp_path}/venv/bin/" in printed
    read = subprocess.run(["bash", "-n"], input=printed, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("target", ["gpu-test", "gpu-bench"])
def test_gpu_recipes_take_any_python(target: str) -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "GPU_PYTHON=/some/python", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "/some/python -m" in printed
    read = subprocess.run(["bash", "-n"], input=printed, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
