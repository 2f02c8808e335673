"""One writer at a time: a lock on a file of the collection, which the kernel lets go of however a process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import CollectionBusyError
from .folder import Folder

LOCK = "write.lock"


@contextmanager
def writing(folder: Folder) -> Iterator[None]:
    """Holds the write lock of the collection in a folder. Raises CollectionBusyError where another process does."""
    with os.fdopen(folder.open_file(LOCK, os.O_RDWR | os.O_CREAT), "r+b", buffering=0) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = lock.read(20).strip()
            who = f"another process (number {owner.decode()})" if owner.isdigit() else "another process"
            raise CollectionBusyError(
                f"{who} is writing to {folder.path}", "wait until it is done, then run this again"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())
        yield
