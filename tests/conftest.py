"""What all tests share: the user's cache, settings and FATHOM_* variables stay out of them."""

import os
import signal
import tempfile
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Keeps the user's own folder out of all tests.

    Children can be interrupted also where a shell started the tests in the background, which ignores Ctrl-C.
    """
    os.environ["FATHOM_HOME"] = tempfile.mkdtemp()  # of what tests share; each test has its own
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def fresh_surroundings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Empty folders for cache and settings; tests of the real engine keep the cache, where its model is."""
    kept = {"FATHOM_CACHE"} if request.node.get_closest_marker("engine") else set()
    for name in [name for name in os.environ if name.startswith("FATHOM_") and name not in kept]:
        monkeypatch.delenv(name)
    # The command sets it for all that it starts; a test that runs the command in this process leaves it behind.
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.setenv("FATHOM_HOME", str(tmp_path / ".home" / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".home" / "config"))
    if not kept:
        monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / ".home" / "cache"))
