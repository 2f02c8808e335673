"""The API key and passwords: they go to one server, and come back in no message whatever it sends."""

import base64
from collections.abc import Callable
from contextlib import closing

import pytest

from engine.base import Sampling, complete
from engine.errors import EngineError
from engine.remote import API_KEY, RemoteEngine
from tests.support.server import QUESTION, Answer, Reply, Request, as_json, events, openai, serving

pytestmark = pytest.mark.usefixtures("direct")

SENT = base64.b64encode(b"user:kumquat").decode()
ECHOES: dict[str, tuple[str, Callable[[str], Answer]]] = {
    "an error": ("models", lambda said: lambda _: Reply(said.encode(), 400)),
    "an error at the end of what is shown": ("models", lambda said: lambda _: Reply(b"x" * 290 + said.encode(), 400)),
    "names of models": ("models", lambda said: lambda _: as_json({"data": [{"id": said}]})),
    "an error of a stream": ("chat", lambda said: lambda _: events({"error": {"message": said}})),
    "an event that is no object": ("chat", lambda said: lambda _: events([said])),
    "an event cut within": ("chat", lambda said: lambda _: events(["x" * 90, said, "y" * 900])),
}


def _seen(request: Request) -> str:
    """What a server can make of a request: the header, and what is in it."""
    scheme, _, value = (request.authorization or "").partition(" ")
    return f"{value} {base64.b64decode(value).decode()}" if scheme == "Basic" else value


@pytest.mark.parametrize("userinfo", ["", "user:kumquat@"])
@pytest.mark.parametrize(("route", "answer"), ECHOES.values(), ids=ECHOES)
def test_what_a_server_sends_back_hides_key_and_password(
    monkeypatch: pytest.MonkeyPatch, userinfo: str, route: str, answer: Callable[[str], Answer]
) -> None:
    monkeypatch.setenv(API_KEY, "sk-kumquat-of-mine")
    with serving(openai(**{route: lambda request: answer(_seen(request))(request)})) as server:
        url = server.url.replace("://", f"://{userinfo}")
        with (
            pytest.raises(EngineError) as caught,
            closing(RemoteEngine(url, "nonesuch" if route == "models" else None)) as engine,
        ):
            complete(engine, QUESTION, Sampling())
        sent = {request.authorization for request in server.requests}
    assert sent == {f"Basic {SENT}" if userinfo else "Bearer sk-kumquat-of-mine"}
    said = str(caught.value) + caught.value.hint
    assert not [secret for secret in ("kumquat", "sk-k", SENT, SENT[:8]) if secret in said], said


@pytest.mark.parametrize("userinfo", ["", "user:kumquat@"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch, userinfo: str, status: int) -> None:
    monkeypatch.setenv(API_KEY, "sk-kumquat")
    with (
        serving(openai()) as other,
        serving({"/v1/models": lambda _: Reply(b"", status, location=other.url)}) as first,
        pytest.raises(EngineError, match=f"answered {status}"),
    ):
        RemoteEngine(first.url.replace("://", f"://{userinfo}"))
    assert len(first.requests) == 1
    assert other.requests == []


def test_a_refused_password_is_not_said_to_be_a_missing_key() -> None:
    with serving(openai(models=lambda _: as_json("no", 401))) as server, pytest.raises(EngineError) as caught:
        RemoteEngine(server.url.replace("://", "://user:kumquat@"))
    assert caught.value.hint == "check user and password in the address"
