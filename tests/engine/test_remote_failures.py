"""What a remote engine says of bad addresses, keys and servers: one line, and a next step."""

import socket
import time
from collections.abc import Iterator

import pytest

from engine.base import Sampling, complete
from engine.errors import EngineError, EngineReplyError, EngineUnreachableError
from engine.remote import API_KEY, RemoteEngine
from tests.support.server import QUESTION, Answer, Connect, Reply, as_json, events, piece, serving, vllm

pytestmark = pytest.mark.usefixtures("direct")


def _said(error: EngineError) -> str:
    """The message, if it is one line that names the address and has a next step."""
    assert "\n" not in str(error)
    assert "Traceback" not in str(error)
    assert error.hint
    return str(error)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "ftp://x",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://a b",
        "//127.0.0.1",
        "http://.invalid",
        "http://host.invalid",
    ],
)
def test_an_address_that_is_none_is_said_in_one_line(url: str) -> None:
    with pytest.raises(EngineUnreachableError, match=r"^no engine answers at ") as caught:
        RemoteEngine(url, timeout_s=5)
    _said(caught.value)


def test_a_refused_connection_is_said_with_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineUnreachableError, match=rf"^no engine answers at {url}: ") as caught:
            RemoteEngine(url)
    assert "vllm serve" in caught.value.hint


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(EngineUnreachableError, match="timed out") as caught:
            RemoteEngine(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
    _said(caught.value)


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_an_error_and_not_shown(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(API_KEY, key)
    with pytest.raises(EngineError, match=API_KEY) as caught:
        connect(vllm())
    assert key not in _said(caught.value)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (lambda _: as_json({"error": "who are you?"}, 401), r'answered 401: {"error": "who are you\?"}$'),
        (lambda _: as_json("no", 403), "answered 403"),
        (
            lambda _: Reply(b"<h1>\n Internal\n Server Error</h1>", 500),
            "answered 500: <h1> Internal Server Error</h1>$",
        ),
        (lambda _: Reply(b"x" * 10_000, 502), "answered 502: x{300}$"),
        (lambda _: Reply(b"", 307), "answered 307"),
        (lambda _: Reply(b"<html>a router's page</html>"), "/v1/models is no OpenAI-compatible server$"),
        (lambda _: Reply(b""), "/v1/models is no OpenAI-compatible server$"),
        (lambda _: as_json({"data": []}), "serves no model$"),
        (lambda _: as_json({}), "serves no model$"),
        (lambda _: as_json([]), "serves no model$"),
        (lambda _: as_json({"data": None}), "serves no model$"),
        (lambda _: as_json({"data": {"id": "tiny"}}), "serves no model$"),
        (lambda _: as_json({"data": ["tiny", 5, {}, {"id": None}]}), "serves no model$"),
    ],
)
def test_a_server_without_a_list_of_models_is_refused(connect: Connect, models: Answer, message: str) -> None:
    with pytest.raises(EngineReplyError, match=message) as caught:
        connect(vllm(models=models))
    assert _said(caught.value).startswith("http://127.0.0.1:")


def test_a_refused_key_says_which_variable_to_set(connect: Connect) -> None:
    with pytest.raises(EngineReplyError) as caught:
        connect(vllm(models=lambda _: as_json({}, 401)))
    assert caught.value.hint == f"set {API_KEY}"


def test_a_model_that_is_not_served_is_answered_with_those_that_are(connect: Connect) -> None:
    with pytest.raises(EngineReplyError, match=r"does not serve 'huge'$") as caught:
        connect(vllm(), model="huge")
    assert caught.value.hint == "it serves: tiny"


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        (lambda _: as_json({"message": "too long"}, 400), r'answered 400: {"message": "too long"}$'),
        (lambda _: Reply(b"oh", 500), "answered 500: oh$"),
        (lambda _: events(piece("Os"), {"error": {"message": "out of memory"}}), "out of memory"),
        (lambda _: events(piece("Os"), "{oops"), "something that is no JSON"),
        (lambda _: events(piece("Os"), "5"), "something that is no JSON"),
        (lambda _: events(piece("Os"), []), "something that is no JSON"),
        (lambda _: events(piece("Os")), "broke off in the middle of its answer"),
        (lambda _: events(piece("Os"), done=False), "broke off in the middle of its answer"),
        (lambda _: events(piece("Os"), done=False, whole=False), "broke off in the middle of its answer"),
        (lambda _: events(), "broke off in the middle of its answer"),
        (lambda _: as_json({"choices": []}), "broke off in the middle of its answer"),
    ],
)
def test_an_answer_that_goes_wrong_is_a_reply_error(connect: Connect, chat: Answer, message: str) -> None:
    server, engine = connect(vllm(chat=chat))
    with pytest.raises(EngineReplyError, match=message) as caught:
        complete(engine, QUESTION, Sampling())
    assert _said(caught.value).startswith(server.url)


@pytest.mark.parametrize(
    "event",
    [
        {"choices": 5},
        {"choices": ["Os"]},
        {"choices": [{"delta": "Os"}]},
        {"choices": [{"delta": {"content": ["Os"]}}]},
        {"choices": [], "usage": "much"},
    ],
    ids=str,
)
def test_events_of_another_shape_are_a_reply_error(connect: Connect, event: object) -> None:
    _, engine = connect(vllm(chat=lambda _: events(piece("Os"), event, piece(None, "stop"))))
    with pytest.raises(EngineReplyError, match="sent an event that is no chat completion's") as caught:
        complete(engine, QUESTION, Sampling())
    _said(caught.value)


def test_a_server_that_goes_silent_in_the_middle_broke_off(connect: Connect) -> None:
    def slow(_: object) -> Reply:
        def parts() -> Iterator[bytes]:
            yield b'data: {"choices":[{"delta":{"content":"Os"}}]}\n\n'
            time.sleep(2)

        return Reply(parts(), whole=False)

    with serving(vllm(chat=slow)) as server:
        engine = RemoteEngine(server.url, timeout_s=1)
        heard: list[str] = []
        with pytest.raises(EngineReplyError, match=r"did not end its reply within 1 s"):
            complete(engine, QUESTION, Sampling(), heard.append)
        engine.close()
    assert heard == ["Os"]


def test_a_server_that_hangs_up_before_its_answer_is_unreachable(connect: Connect) -> None:
    _, engine = connect(vllm(chat=lambda _: Reply(None)))
    with pytest.raises(EngineUnreachableError, match="no engine answers at ") as caught:
        complete(engine, QUESTION, Sampling())
    _said(caught.value)
