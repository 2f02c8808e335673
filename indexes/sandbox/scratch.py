"""Scratch folders of loader processes: private, locked while their run lives, and swept by a later run if it died."""

import errno
import fcntl
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "fathom-loader-"
_OURS = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 10


class Scratch:
    """A new folder that only this user may enter; `remove` may be called again. Raises OSError."""

    def __init__(self) -> None:
        for _ in range(_ATTEMPTS):
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            if (descriptor := _locked(self.folder)) is not None:
                self._descriptor = descriptor
                return
        raise FileNotFoundError(errno.ENOENT, "it is removed again and again")

    def remove(self) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                _clear(self._descriptor)
                self.folder.rmdir()
            os.close(self._descriptor)
            self._descriptor = -1


def _locked(folder: Path) -> int | None:
    """The folder, opened and locked; None where a sweep was faster."""
    try:
        descriptor = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks, where nothing is swept either
        return descriptor
    if folder.exists():
        return descriptor
    os.close(descriptor)
    return None


def sweep() -> None:
    """Removes scratch folders whose run was killed: this user's, of our name and mode, and locked by nobody."""
    with suppress(OSError):
        place = os.open(tempfile.gettempdir(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _safe(os.fstat(place)):
                for name in filter(_OURS.fullmatch, os.listdir(place)):  # noqa: PTH208 - a descriptor
                    with suppress(OSError):
                        _sweep(place, name)
        finally:
            os.close(place)


def _safe(status: os.stat_result) -> bool:
    """Whether nobody else can rename what is this user's in a folder, and so have it removed."""
    others = stat.S_IWGRP | stat.S_IWOTH
    return bool(status.st_mode & stat.S_ISVTX) or (status.st_uid == os.geteuid() and not status.st_mode & others)


def _sweep(place: int, name: str) -> None:
    folder = os.open(name, _FOLDER, dir_fd=place)
    try:
        status = os.fstat(folder)
        if status.st_uid == os.geteuid() and status.st_mode & 0o777 == stat.S_IRWXU:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where its run lives
            _clear(folder)
            os.rmdir(name, dir_fd=place)
    finally:
        os.close(folder)


def _clear(folder: int) -> None:
    """Empties an open folder without following links. No depth exhausts stack or descriptors: what lies in a folder
    inside is moved up before that is removed."""
    while names := os.listdir(folder):
        for name in names:
            if not _unlinked(name, folder):
                _flatten(name, folder)


def _flatten(name: str, folder: int) -> None:
    with suppress(PermissionError):
        os.chmod(name, stat.S_IRWXU, dir_fd=folder)
    inner = os.open(name, _FOLDER, dir_fd=folder)
    try:
        for below in os.listdir(inner):  # noqa: PTH208 - a descriptor
            if not _unlinked(below, inner):
                with suppress(PermissionError):
                    os.chmod(below, stat.S_IRWXU, dir_fd=inner)
                os.rename(below, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=folder)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


def _unlinked(name: str, folder: int) -> bool:
    """Removes what is no folder; whether it was none."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True
