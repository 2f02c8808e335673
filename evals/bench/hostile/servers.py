"""Variants of the server: one that the user named, and that answers with anything but an answer."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

from .arena import API_KEY, Arena
from .case import ANSWERED, Case, Pack
from .folders import INDEX, document

Reply = Callable[[str], Iterator[bytes]]
_CARD = {"id": "honest", "max_model_len": 8192}
_SECONDS = 3  # the limit that the user sets for a reply
_ENDLESS = 400 * 2**20  # bytes after which a server gives up


class Server:
    """Answers `/v1/models` like an honest server unless told otherwise, and a completion by `complete`."""

    def __init__(self, complete: Reply, models: Reply | None = None, metrics: Reply | None = None) -> None:
        self._complete, self._models, self._metrics = complete, models, metrics
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(caller,), daemon=True).start()

    def _answer(self, caller: socket.socket) -> None:
        with caller:
            try:
                request = _request(caller)
                path = request.split(" ")[1]
                for piece in self._reply(path, request):
                    caller.sendall(piece)
            except (OSError, IndexError, ValueError):
                return

    def _reply(self, path: str, request: str) -> Iterator[bytes]:
        if path.endswith("/chat/completions"):
            return self._complete(request)
        if path.endswith("/models"):
            return (self._models or (lambda _: as_json({"data": [_CARD]})))(request)
        if path.endswith("/metrics") and self._metrics:
            return self._metrics(request)
        return whole(b"", status="404 Not Found")


def _request(caller: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        more = caller.recv(65536)
        if not more:
            break
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")), 0
    )
    while len(body) < length and (more := caller.recv(65536)):
        body += more
    return (head + b"\r\n\r\n" + body).decode("latin-1")


def whole(body: bytes, kind: str = "application/json", more: str = "", status: str = "200 OK") -> Iterator[bytes]:
    """A reply of known length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}"  # it closes after each reply
    yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def as_json(value: object) -> Iterator[bytes]:
    """A JSON reply."""
    return whole(json.dumps(value).encode())


def events(*texts: str, end: bool = True) -> Iterator[bytes]:
    """A stream of events, each as it is given."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    for text in texts:
        yield f"data: {text}\n\n".encode("utf-8", "surrogatepass")
    if end:
        yield b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def said(text: str, **more: object) -> str:
    """An event with a piece of text."""
    return json.dumps({"choices": [{"delta": {"content": text}}], **more})


def _drip(piece: bytes, pause: float, first: bytes = b"") -> Iterator[bytes]:
    yield first
    for _ in range(600):
        time.sleep(pause)
        yield piece


def _endless(piece: bytes, first: bytes) -> Iterator[bytes]:
    yield first
    for _ in range(_ENDLESS // len(piece)):
        yield piece


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
_JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
_BLOCK = b"a" * 2**20


def _bomb() -> bytes:
    return gzip.compress(bytes(512 * 2**20), 9)


_COMPLETIONS: dict[str, Reply] = {
    "drips a letter at a time": lambda _: _drip(f"data: {said('a ')}\n\n".encode(), 0.5, _HEAD),
    "drips comments": lambda _: _drip(b": keep-alive\n\n", 0.5, _HEAD),
    "drips its head": lambda _: _drip(b"X-A: b\r\n", 0.5, b"HTTP/1.1 200 OK\r\n"),
    "says nothing": lambda _: _drip(b"", 1.0),
    "sends a line without an end": lambda _: _endless(_BLOCK, _HEAD + b"data: "),
    "sends words without an end": lambda _: _endless(f"data: {said('word ' * 200)}\n\n".encode() * 100, _HEAD),
    "sends comments without an end": lambda _: _endless(b": " + _BLOCK + b"\n", _HEAD),
    "sends a head without an end": lambda _: _endless(b"X-A: " + _BLOCK + b"\r\n", b"HTTP/1.1 200 OK\r\n"),
    "sends a packed bomb": lambda _: whole(_bomb(), "text/event-stream", "Content-Encoding: gzip\r\n"),
    "sends an error as a packed bomb": lambda _: whole(_bomb(), "text/plain", "Content-Encoding: gzip\r\n", "500 No"),
    "sends an error without an end": lambda _: _endless(_BLOCK, b"HTTP/1.1 500 No\r\n\r\n"),
    "sends JSON nested deeply": lambda _: events("[" * 100_000),
    "sends an object nested deeply": lambda _: events('{"choices":' + '{"a":' * 100_000),
    "counts 1e999 tokens": lambda _: events(said("Yes.", usage={"prompt_tokens": 1}).replace("1}", "1e999}")),
    "counts 10^400 tokens": lambda _: events(said("Yes.", usage={"prompt_tokens": 7}).replace("7}", "9" * 400 + "}")),
    "counts 10^5000 tokens": lambda _: events(said("Yes.", usage={"prompt_tokens": 7}).replace("7}", "9" * 5000 + "}")),
    "counts less than nothing": lambda _: events(said("Yes.", usage={"prompt_tokens": -5, "completion_tokens": -1})),
    "sends NaN": lambda _: events('{"choices": NaN}'),
    "sends choices that are none": lambda _: events(
        '{"choices": 5}', '{"choices": [5]}', '{"choices": [{"delta": 5}]}'
    ),
    "sends a text that is a number": lambda _: events('{"choices": [{"delta": {"content": 5}}]}'),
    "sends half a character": lambda _: events('{"choices": [{"delta": {"content": "\\ud83d"}}]}'),
    "sends escape sequences": lambda _: events(said("\x1b[2J\x1b]0;x\x07 The cap is 1 million euros.\u202e")),
    "sends an error with escape sequences": lambda _: whole(b"\x1b[2J\x1b]52;c;x\x07", "text/plain", "", "500 No"),
    "sends the key back": lambda request: whole(request.encode(), "text/plain", "", "500 No"),
    "sends the caller elsewhere": lambda _: whole(b"", "text/plain", "Location: http://127.0.0.1:9/\r\n", "307 There"),
    "breaks off": lambda _: events(said("The cap is"), end=False),
    "sends a wrong length": lambda _: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{}"]),
    "sends pieces of nonsense": lambda _: iter([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]),
    "speaks another protocol": lambda _: iter([b"SSH-2.0-OpenSSH_9.0\r\n"]),
    "sends an image of markdown": lambda _: events(
        said("![x](http://127.0.0.1:9/?q=secret) The cap is 1 million euros.")
    ),
    "sends a page": lambda _: whole(b"<html>sign in</html>", "text/html"),
}
_MODELS: dict[str, Reply] = {
    "a list that is none": lambda _: as_json({"data": 5}),
    "no list": lambda _: as_json([]),
    "a name of a megabyte": lambda _: as_json({"data": [{"id": "m" * 2**20}]}),
    "a name with escape sequences": lambda _: as_json({"data": [{"id": "\x1b[2Jm\u202e"}]}),
    "a name that is a number": lambda _: as_json({"data": [{"id": 5}]}),
    "an endless length": lambda _: whole(b'{"data": [{"id": "m", "max_model_len": 1e999}]}'),
    "a length of 10^400": lambda _: whole(b'{"data": [{"id": "m", "max_model_len": ' + b"9" * 400 + b"}]}"),
    "a length below nothing": lambda _: as_json({"data": [{"id": "m", "max_model_len": -1}]}),
    "a list nested deeply": lambda _: whole(b'{"data": ' + b"[" * 200_000),
    "a list without an end": lambda _: _endless(_BLOCK, _JSON_HEAD),
    "a packed bomb": lambda _: whole(_bomb(), more="Content-Encoding: gzip\r\n"),
    "a drip": lambda _: _drip(b" ", 0.5, _JSON_HEAD),
    "another address": lambda _: whole(b"", more="Location: http://127.0.0.1:9/\r\n", status="302 Found"),
}
_METRICS: dict[str, Reply] = {
    "measures without an end": lambda _: _endless(_BLOCK, b"HTTP/1.1 200 OK\r\n\r\n"),
    "measures that are no numbers": lambda _: whole(
        b'vllm:cache_config_info{num_gpu_blocks="9e9",block_size="-5"} 1\nvllm:kv_cache_usage_perc 1e999\n',
        "text/plain",
    ),
    "measures that drip": lambda _: _drip(b"# \n", 0.5, b"HTTP/1.1 200 OK\r\n\r\n"),
}


def server_cases() -> list[Case]:
    """Some fifty variants."""
    honest: Reply = lambda _: events(said("The liability cap is 1 million euros."))  # noqa: E731
    control = ("ask", "What is the liability cap?", "--engine", "{server}", "--json")
    cases = [
        Case(
            "server",
            "control: an honest server",
            _started(honest),
            (INDEX, control),
            must=("1 million",),
            codes=ANSWERED,
        )
    ]
    cases += [_case(f"it {name}", _started(reply)) for name, reply in _COMPLETIONS.items()]
    cases += [_case(f"its models: {name}", _started(honest, reply)) for name, reply in _MODELS.items()]
    return cases + [_case(f"its {name}", _started(honest, metrics=reply)) for name, reply in _METRICS.items()]


def _case(name: str, pack: Pack) -> Case:
    ask = ("ask", "What is the liability cap?", "--engine", "{server}", "--json")
    return Case(
        "server",
        name,
        pack,
        (INDEX, ask),
        never=(API_KEY,),
        look=_in_time,
        environment={"FATHOM_ENGINE_TIMEOUT_S": str(_SECONDS)},
    )


def _in_time(arena: Arena) -> Iterator[str]:
    """Every reply is bounded by the user's limit; a question needs a few of them, and a process its start."""
    seconds = arena.ran[-1].seconds
    if seconds > 4 * _SECONDS + 15:
        yield f"took {seconds:.0f} s where a reply may take {_SECONDS}"


def _started(complete: Reply, models: Reply | None = None, metrics: Reply | None = None) -> Pack:
    def pack(arena: Arena) -> None:
        document(arena)
        server = Server(complete, models, metrics)
        arena.server = f"http://{server.address}"
        arena.allowed |= {server.address, "127.0.0.1"}
        arena.stops.append(server.close)

    return pack
