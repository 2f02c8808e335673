"""Where the files of a run may lie: a link that leads elsewhere, or to a hidden file, is not read unless asked for."""

import errno
import os
import sys
from contextlib import suppress
from dataclasses import dataclass

OUTSIDE = "is a link to a file outside of the given folders; `--follow-links` reads it"
HIDDEN = "is a link to a hidden file; `--follow-links` reads it"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Real paths of the folders and files that the user gave; nothing else is inside.

    A hard link cannot be told from a file and is inside wherever it lies.
    """

    folders: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    follow_links: bool = False

    def why_outside(self, real: str) -> str:
        """Why the file at a real path is not read; empty where it is."""
        if self.follow_links or real in self.files:
            return ""
        hidden, folder = False, real
        while folder not in ("/", ""):
            folder, _, name = folder.rpartition("/")
            folder = folder or "/" * real.startswith("/")
            hidden = hidden or name.startswith(".")
            if folder in self.folders:
                return HIDDEN if hidden else ""
        return OUTSIDE


def real_path(path: str) -> str:
    """The path without links of what a path leads to, which is not opened for reading. Raises OSError."""
    if sys.platform != "linux":
        return os.path.realpath(path, strict=True)
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return path_of(descriptor, path)
    finally:
        os.close(descriptor)


def path_of(descriptor: int, path: str) -> str:
    """The real path of what was opened by a path, which may lead elsewhere by now. Raises OSError."""
    if sys.platform == "linux":
        with suppress(OSError):  # where /proc is not mounted
            return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a string is returned
    real = os.path.realpath(path, strict=True)
    if not os.path.samestat(os.stat(real), os.fstat(descriptor)):  # noqa: PTH116 - beside `os.fstat`
        raise OSError(errno.ESTALE, "it is replaced again and again")
    return real
