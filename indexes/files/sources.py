"""Opened files: what was judged, is hashed and is read is one file, whatever its path leads to later."""

import errno
import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutsideError
from .bounds import Bounds, path_of

_STEP_BYTES = 2**20


@dataclass(slots=True)
class Source:
    """A regular file, open for reading; `size_bytes` is of the moment of opening, and what comes later is not read."""

    path: Path
    descriptor: int
    size_bytes: int

    def close(self) -> None:
        """May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def sha256(self) -> str:
        """Hash of the content. Raises OSError."""
        digest, done = hashlib.sha256(), 0
        while step := os.pread(self.descriptor, min(_STEP_BYTES, self.size_bytes - done), done):
            digest.update(step)
            done += len(step)
        return digest.hexdigest()


def open_source(path: Path, bounds: Bounds | None = None) -> Source:
    """Opens a regular file without waiting. Raises OSError, and OutsideError where it lies outside of the bounds."""
    name = os.fspath(path)
    if sys.platform != "linux":
        return _checked(path, os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), bounds)
    # A device acts on being opened: what lies there is looked at first, and then that very thing is opened.
    looked_at = os.open(name, os.O_PATH | os.O_CLOEXEC)
    try:
        _check(name, looked_at, bounds)
        try:
            descriptor = os.open(f"/proc/self/fd/{looked_at}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # where /proc is not mounted
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    finally:
        os.close(looked_at)
    return _checked(path, descriptor, bounds)


def _checked(path: Path, descriptor: int, bounds: Bounds | None) -> Source:
    try:
        return Source(path, descriptor, _check(os.fspath(path), descriptor, bounds).st_size)
    except BaseException:
        os.close(descriptor)
        raise


def _check(name: str, descriptor: int, bounds: Bounds | None) -> os.stat_result:
    status = os.fstat(descriptor)
    check_regular(status)
    if bounds is not None and not bounds.follow_links:
        if not status.st_nlink:
            raise OSError(errno.ESTALE, "it was replaced at this moment")
        if reason := bounds.why_outside(path_of(descriptor, name)):
            raise OutsideError(reason)
    return status


def check_regular(status: os.stat_result) -> None:
    """Raises OSError for a folder, pipe, socket or device."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no longer a regular file")
