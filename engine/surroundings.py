"""What surrounds the libraries that run models: no working folder, no network, and files for this user alone."""

import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# `-P` keeps a script's or the working folder out of the path of imports; the variable does so for what a child starts.
PYTHON = (sys.executable, "-P")
SAFE_PATH = "PYTHONSAFEPATH"
OFFLINE = "HF_HUB_OFFLINE"
_GIVEN: dict[str, str | None] = {}  # what the user had set before `go_offline`


@contextmanager
def elsewhere() -> Iterator[Path]:
    """Stands in an empty folder of this user's own, and afterwards where it stood before.

    Libraries read settings from the working folder (numba's `.numba_config.yaml` names a folder of pickles), and
    their children import from it.
    """
    back = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    try:
        with tempfile.TemporaryDirectory(prefix="fathom-", ignore_cleanup_errors=True) as empty:
            os.chdir(empty)
            try:
                yield Path(empty)
            finally:
                os.fchdir(back)
    finally:
        os.close(back)


def child_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a child that stands in another folder: its path of imports has no relative parts."""
    found = {**os.environ, SAFE_PATH: "1", **(changes or {})}
    parts = [str(Path(part).absolute()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    found.pop("PYTHONPATH", None)
    return {**found, "PYTHONPATH": os.pathsep.join(parts)} if parts else found


def fetching_environment() -> dict[str, str]:
    """The variables for the one child that may reach the hub: offline only where the user said so."""
    found = child_environment()
    if OFFLINE in _GIVEN:
        found.pop(OFFLINE, None)
        if (given := _GIVEN[OFFLINE]) is not None:
            found[OFFLINE] = given
    return found


def go_offline() -> None:
    """Keeps the hub's client from the network, whoever in this process asks it, and for all its children."""
    _GIVEN.setdefault(OFFLINE, os.environ.get(OFFLINE))
    os.environ[OFFLINE] = "1"
    with suppress(ImportError):
        from huggingface_hub import constants

        constants.HF_HUB_OFFLINE = True  # read from the environment once, which may have been long ago


def private_folder(folder: Path) -> Path:
    """The folder; it and those above it that are missing are made for their owner alone. Raises OSError."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file whole, readable by its owner alone; its folder is made if need be. Raises OSError."""
    private_folder(path.parent)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    aside.replace(path)


def confine(memory_bytes: int | None = None, cpu_seconds: float | None = None, file_bytes: int | None = None) -> None:
    """Limits this process: its address space, its processor time from now on, and the length of a file it writes.

    Where the system has no such limits, whoever started it still ends it when it is late.
    """
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted: list[tuple[int, float | None]] = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, file_bytes)]
    if sys.platform == "linux":  # elsewhere the limit is not held, or counts what the system itself maps
        wanted.append((resource.RLIMIT_AS, memory_bytes))
    if cpu_seconds is not None:
        wanted.append((resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + cpu_seconds)))
    for kind, value in wanted:
        if value is not None:
            hard = resource.getrlimit(kind)[1]
            soft = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
            resource.setrlimit(kind, (soft, hard))
