"""One writer at a time: a lock on a file of the collection, which the kernel lets go of however a process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CollectionBusyError

_LOCK = "write.lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Holds the write lock of the collection in a folder. Raises CollectionBusyError where another process does."""
    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            owner = lock.read(20).strip()
            who = f"another process (number {owner})" if owner.isdigit() else "another process"
            raise CollectionBusyError(
                f"{who} is writing to {folder}", "wait until it is done, then run this again"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
