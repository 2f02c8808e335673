"""A terminal for tests that look at what a person would see."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def screen() -> Iterator[list[str]]:
    """Makes a pseudo-terminal of stderr; afterwards its list holds what a person saw."""
    seen: list[str] = []
    ours, theirs = os.openpty()
    saved = os.dup(2)
    os.dup2(theirs, 2)
    with os.fdopen(theirs, "w", encoding="utf-8") as stderr, pytest.MonkeyPatch.context() as patched:
        patched.setenv("TERM", "xterm")
        patched.setattr(sys, "stderr", stderr)
        yield seen
        os.set_blocking(ours, False)
        raw = b""
        with suppress(BlockingIOError):
            while piece := os.read(ours, 4096):
                raw += piece
        seen.append(raw.decode())
    os.dup2(saved, 2)
    os.close(saved)
    os.close(ours)
