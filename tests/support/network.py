"""A guard for tests: whoever reaches for the network is refused and written down."""

import socket
from typing import Any

import pytest


class NetworkUsedError(OSError):
    """What a library gets for trying."""


def guarded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes name look-ups and connections fail in this process; the list fills with those that were tried."""
    tried: list[str] = []

    def refuse(name: str) -> Any:
        def refused(*arguments: Any, **_: Any) -> Any:
            tried.append(f"{name}{arguments[-1:]}")
            raise NetworkUsedError(f"{name} was called")

        return refused

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse(name))
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse(name))
    return tried
