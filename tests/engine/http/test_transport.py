"""A server that answers with anything but an answer: every reply ends in time, in one line, and in little memory."""

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from engine.base import Completion, Message, Sampling
from engine.errors import EngineError, EngineReplyError
from engine.http.transport import MAX_BODY_BYTES, decoded
from engine.remote import RemoteEngine
from evals.bench.hostile.servers import Reply, Server, events, said, whole

SECONDS = 1.0  # for replies that never end
PLENTY = 60.0  # for those that do, on a busy machine
BLOCK = b"a" * 2**20
BOMB = gzip.compress(bytes(2**28), 1)
PACKED = "Content-Encoding: gzip\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
QUESTION = [Message("user", "What is the cap?")]


def _drip(first: bytes, piece: bytes) -> Iterator[bytes]:
    yield first
    for _ in range(200):
        time.sleep(0.1)
        yield piece


def _endless(first: bytes, piece: bytes = BLOCK) -> Iterator[bytes]:
    yield first
    for _ in range(200):
        yield piece


def _answer(complete: Reply, seconds: float = PLENTY) -> Completion:
    """The end of a question to a server that completes so."""
    server = Server(complete)
    try:
        with closing(RemoteEngine(f"http://{server.address}", timeout_s=seconds)) as engine:
            deltas = list(engine.stream(QUESTION, Sampling(max_tokens=50)))
    finally:
        server.close()
    assert deltas[-1].completion is not None
    return deltas[-1].completion


BAD: dict[str, Callable[[str], Iterator[bytes]]] = {
    "drips events": lambda _: _drip(HEAD, f"data: {said('a')}\n\n".encode()),
    "drips comments": lambda _: _drip(HEAD, b": wait\n\n"),
    "drips its head": lambda _: _drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "drips an error": lambda _: _drip(b"HTTP/1.1 500 No\r\n\r\n", b"x"),
    "drips pieces of a chunk": lambda _: _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", b"x"),
    "sends a line without end": lambda _: _endless(HEAD + b"data: "),
    "sends words without end": lambda _: _endless(HEAD, f"data: {said('word ' * 99)}\n\n".encode() * 50),
    "sends comments without end": lambda _: _endless(HEAD, b": " + BLOCK + b"\n"),
    "sends a head without end": lambda _: _endless(b"HTTP/1.1 200 OK\r\nX-A: "),
    "sends an error without end": lambda _: _endless(b"HTTP/1.1 500 No\r\n\r\n"),
    "sends a bomb": lambda _: whole(BOMB, "text/event-stream", PACKED),
    "sends a bomb as error": lambda _: whole(BOMB, "x/y", PACKED, "500 No"),
    "packs unknown": lambda _: whole(b"abc", "text/event-stream", "Content-Encoding: br\r\n"),
    "nests deeply": lambda _: events('{"choices": ' + "[" * 100_000),
    "counts 1e999": lambda _: events('{"choices": [], "usage": {"prompt_tokens": 1e999}}'),
    "sends NaN": lambda _: events('{"choices": NaN}'),
    "sends numbers for text": lambda _: events('{"choices": [{"delta": {"content": 5}}]}'),
    "sends a redirect": lambda _: whole(b"", "x/y", "Location: http://127.0.0.1:9/\r\n", "307 There"),
    "ends early": lambda _: events(said("The cap"), end=False),
}


@pytest.mark.parametrize("name", BAD)
def test_a_reply_that_is_none_ends_in_time_in_one_line_and_in_little_memory(name: str) -> None:
    started = time.monotonic()
    tracemalloc.start()
    with pytest.raises(EngineError) as caught:
        _answer(BAD[name], SECONDS if "drips" in name else PLENTY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MAX_BODY_BYTES
    assert time.monotonic() - started < 50 * SECONDS  # a hang, not a slow machine
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 600
    assert caught.value.hint


@pytest.mark.parametrize("name", ["drips events", "drips comments", "drips an error"])
def test_a_reply_that_drips_names_the_limit(name: str) -> None:
    with pytest.raises(EngineReplyError, match="did not end its reply within 4 s") as caught:
        _answer(BAD[name], 4 * SECONDS)  # its head must come in time on a busy machine
    assert "timeout_s" in caught.value.hint


@pytest.mark.parametrize("count", ["9" * 400, "9" * 30, "-5", '"many"', "null", "true", "1.5"])
def test_counts_that_cannot_be_are_left_aside(count: str) -> None:
    done = _answer(lambda _: events(said("Yes."), f'{{"choices": [], "usage": {{"prompt_tokens": {count}}}}}'))
    assert done.text == "Yes."
    assert 0 < done.usage.prompt_tokens < 1000  # as estimated here


def test_half_a_character_becomes_a_question_mark() -> None:
    assert _answer(lambda _: events('{"choices": [{"delta": {"content": "a\\ud83d"}}]}')).text == "a?"


def test_a_reply_that_is_packed_though_not_asked_for_is_read() -> None:
    body = b"".join(events(said("The cap is 1."))).partition(b"\r\n\r\n")[2]
    done = _answer(lambda _: whole(gzip.compress(body), "text/event-stream", "Content-Encoding: gzip\r\n"))
    assert done.text == "The cap is 1."


def test_what_a_server_says_of_an_error_drives_no_terminal() -> None:
    with pytest.raises(EngineReplyError) as caught:
        _answer(lambda _: whole("\x1b[2J\u202eevil\U000e0041".encode(), "x/y", "", "500 No"))
    assert str(caught.value).endswith("answered 500: [2J evil")


@pytest.mark.parametrize(
    "models",
    [
        {"data": 5},
        [],
        {"data": [{"id": 5}]},
        {"data": [{"id": "m" * 10**6}]},
        {"data": [{"id": "\x1b[2Jm"}]},
        {"data": [5]},
    ],
)
def test_a_list_of_models_that_is_none_is_an_error(models: object) -> None:
    server = Server(lambda _: events(), lambda _: whole(json.dumps(models).encode()))
    with pytest.raises(EngineReplyError, match="serves no model"):
        RemoteEngine(f"http://{server.address}", timeout_s=PLENTY)
    server.close()


@pytest.mark.parametrize("length", ["1e999", "9" * 400, "-1", '"long"', "0"])
def test_a_length_that_cannot_be_is_no_length(length: str) -> None:
    body = f'{{"data": [{{"id": "m", "max_model_len": {length}}}]}}'.encode()
    server = Server(lambda _: events(), lambda _: whole(body))
    if length == "1e999":
        with pytest.raises(EngineReplyError, match="no OpenAI-compatible server"):
            RemoteEngine(f"http://{server.address}", timeout_s=PLENTY)
    else:
        with closing(RemoteEngine(f"http://{server.address}", timeout_s=PLENTY)) as engine:
            assert engine.info.max_model_tokens == 8192
    server.close()


@pytest.mark.parametrize("text", ["[" * 100_000, "1e999", "-1e999", "NaN", "Infinity", "{", ""])
def test_json_that_cannot_be_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(text)
