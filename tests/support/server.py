"""A small HTTP server in a thread that speaks as much of the OpenAI protocol, and of vLLM's, as a test gives it."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine.base import Message
from engine.remote import RemoteEngine

QUESTION = [Message("system", "Be brief."), Message("user", "Where does the contract end?")]
METRICS = """# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="2048"} 1.0
vllm:num_requests_running{engine="0",model_name="tiny"} 0.0
"""


@dataclass(frozen=True)
class Reply:
    """One answer. A sequence of parts is sent in chunks; `whole` false drops the connection before the last one.

    Without a body the connection is dropped before any answer.
    """

    body: bytes | Iterable[bytes] | None
    status: int = 200
    whole: bool = True
    location: str = ""


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    path: str
    body: dict[str, Any]
    authorization: str | None


Answer = Callable[[Request], Reply]
Routes = Mapping[str, Answer]


@dataclass
class Server:
    """A running server: its address, what it was asked, and whether a client left in the middle of an answer."""

    url: str
    requests: list[Request] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    def asked(self, path: str) -> list[dict[str, Any]]:
        """Bodies of the requests to a path."""
        return [request.body for request in self.requests if request.path == path]


Connect = Callable[..., tuple[Server, RemoteEngine]]


def as_json(value: object, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status)


def events(*values: object, done: bool = True, whole: bool = True) -> Reply:
    """Server-sent events; strings are sent as they are, everything else as JSON."""
    lines = [value if isinstance(value, str) else json.dumps(value) for value in values]
    parts = [f"data: {line}\n\n".encode() for line in [*lines, *(["[DONE]"] if done else [])]]
    return Reply(parts, whole=whole)


def piece(text: str | None, finish_reason: str | None = None) -> dict[str, Any]:
    """A chunk of a streamed chat completion."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}], "usage": None}


def words(body: Mapping[str, Any]) -> int:
    """How this server counts: words, and three more a message and three for the answer's opening."""
    if "messages" in body:
        return sum(len(str(turn["content"]).split()) + 3 for turn in body["messages"]) + 3
    return len(str(body["prompt"]).split())


def openai(**routes: Answer) -> Routes:
    """A server with one model of 1000 tokens that streams "Oslo it is"; `routes` replace or add to its answers."""
    answers: dict[str, Answer] = {
        "models": lambda _: as_json({"object": "list", "data": [{"id": "tiny", "max_model_len": 1000}]}),
        "chat": lambda _: events(
            piece(""),
            piece("Oslo"),
            piece(" it is"),
            piece(None, "stop"),
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 21,
                    "completion_tokens": 4,
                    "prompt_tokens_details": {"cached_tokens": 16},
                },
            },
        ),
        **routes,
    }
    paths = {"models": "/v1/models", "chat": "/v1/chat/completions", "tokenize": "/tokenize", "metrics": "/metrics"}
    return {paths[name]: answer for name, answer in answers.items()}


def vllm(**routes: Answer) -> Routes:
    """The same with vLLM's /tokenize, that counts words, and /metrics."""
    answers: dict[str, Answer] = {
        "tokenize": lambda request: as_json({"count": words(request.body), "max_model_len": 1000, "tokens": []}),
        "metrics": lambda _: Reply(METRICS.encode()),
        **routes,
    }
    return openai(**answers)


@contextmanager
def serving(routes: Routes) -> Iterator[Server]:
    """Answers at a free port of this machine; a path without a route is 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            request = Request(self.path, body, self.headers.get("Authorization"))
            server.requests.append(request)
            answer = routes.get(self.path)
            reply = answer(request) if answer else as_json({"detail": "Not Found"}, 404)
            if reply.body is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            if reply.location:
                self.send_header("Location", reply.location)
            if isinstance(reply.body, bytes):
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
            else:
                self._stream(reply.body, reply.whole)

        def _stream(self, parts: Iterable[bytes], whole: bool) -> None:
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for part in parts:
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                if whole:
                    self.wfile.write(b"0\r\n\r\n")
            except OSError:
                server.left.set()
                whole = False
            self.close_connection = not whole

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
