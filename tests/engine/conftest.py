"""Fixtures for engines over HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from engine.remote import API_KEY, RemoteEngine
from tests.support.server import Connect, Routes, Server, serving


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between the engine and this machine, and no key is set."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv(API_KEY, raising=False)


@pytest.fixture
def connect(direct: None) -> Iterator[Connect]:
    """Starts a server of these routes and an engine for it; both are closed after the test."""
    with ExitStack() as stack:

        def started(routes: Routes, suffix: str = "", model: str | None = None) -> tuple[Server, RemoteEngine]:
            server = stack.enter_context(serving(routes))
            engine = RemoteEngine(server.url + suffix, model, timeout_s=20)
            stack.callback(engine.close)
            return server, engine

        yield started
