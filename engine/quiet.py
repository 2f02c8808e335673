"""Keeps a library's own output out of the terminal: file descriptors 1 and 2 go to a log while it works."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .surroundings import private_folder


@contextmanager
def captured(log: Path) -> Iterator[None]:
    """Sends what this process and its children write to stdout and stderr into `log`, replacing its content.

    Whoever wants to reach the terminal meanwhile writes to a duplicate of the descriptor made before.
    """
    private_folder(log.parent)
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    saved = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (*saved, target):
            os.close(descriptor)
