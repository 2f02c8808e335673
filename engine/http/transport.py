"""HTTP to one server that nobody has to trust: a reply ends in time, and none takes more memory than it may."""

import base64
import json
import math
import os
import re
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..errors import EngineReplyError, EngineUnreachableError
from .address import Address, parse_address, redacted

if TYPE_CHECKING:
    import httpx

API_KEY = "FATHOM_ENGINE_API_KEY"
CONNECT_SECONDS = 10.0
MAX_BODY_BYTES = 16 * 2**20  # of a JSON object or of the server's metrics, unpacked
MAX_LINE_BYTES = 4 * 2**20  # of one event of a stream
_MAX_ERROR_BYTES = 2**16  # of what a server says about an error
_SHOWN = 300  # characters of it
_STEP = 2**16
_UNPACKED = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # encodings and their window bits
_ODD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
_CHECK = "check the address given with --engine"
_KEY_KEPT = (
    f"{API_KEY} goes only to a server that you name yourself: by --engine, FATHOM_ENGINE_URL or your own settings file"
)


class Transport:
    """Requests to one server. `timeout_s` bounds each whole reply, from the request to its last byte."""

    def __init__(self, url: str, timeout_s: float, send_key: bool) -> None:
        """Connects to nothing yet. Raises EngineUnreachableError for a URL or a key that cannot be used."""
        try:
            address = parse_address(url)
        except ValueError as error:
            raise EngineUnreachableError(f"no engine answers at {redacted(url)}: {error}", _CHECK) from error
        self.shown = address.shown.removesuffix("/v1")  # for people: without a password
        self._timeout_s, self._send_key = timeout_s, send_key
        self._key = os.environ.get(API_KEY, "").strip() if send_key else ""
        if not (self._key.isascii() and self._key.isprintable()):
            raise EngineUnreachableError(f"{API_KEY} holds characters that no HTTP header carries", "set it anew")
        self._secrets = _secrets(self._key, address)
        self._named = address.user is not None
        self._client: httpx.Client = self._connected(address)
        self._late = threading.Event()
        self._sockets: list[Any] = []  # of connections that may be in use

    def _connected(self, address: Address) -> "httpx.Client":
        import httpx

        headers = {"Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            return httpx.Client(
                base_url=address.base.removesuffix("/v1"),
                headers=headers,
                # The whole reply is timed by `_deadline`; of one read this is a second bound.
                timeout=httpx.Timeout(2 * self._timeout_s + 1, connect=min(CONNECT_SECONDS, self._timeout_s)),
                auth=None if address.user is None else (address.user, address.password),
                follow_redirects=False,  # a key must not travel on
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise self.unreachable(error) from error

    def close(self) -> None:
        self._client.close()

    def json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object of a reply; an empty one for JSON of another kind. Raises EngineUnreachableError and
        EngineReplyError."""
        content = b"".join(self._body(method, path, body, MAX_BODY_BYTES))
        try:
            found = decoded(content.decode("utf-8", "replace"))
        except ValueError as error:
            raise EngineReplyError(f"{self.shown}{path} is no OpenAI-compatible server", _CHECK) from error
        return found if isinstance(found, dict) else {}

    def text(self, path: str) -> str:
        """The text of a reply. Raises as `json` does."""
        return b"".join(self._body("GET", path, None, MAX_BODY_BYTES)).decode("utf-8", "replace")

    def lines(self, path: str, body: Mapping[str, Any], most_bytes: int) -> Iterator[str]:
        """The lines of a streamed reply of at most so many bytes. Raises as `json` does."""
        left = b""
        for piece in self._body("POST", path, body, most_bytes):
            *whole, left = (left + piece).split(b"\n")
            if len(left) > MAX_LINE_BYTES:
                raise self.broken_off(f"a line of its stream has over {MAX_LINE_BYTES >> 20} MiB")
            yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
        yield left.decode("utf-8", "replace")

    def _body(self, method: str, path: str, body: Mapping[str, Any] | None, most_bytes: int) -> Iterator[bytes]:
        """The bytes of a reply with status 200, unpacked, as they come."""
        import httpx

        begun = False
        try:
            with (
                self._deadline(),
                self._client.stream(method, path, json=body, extensions={"trace": self._traced}) as reply,
            ):
                if reply.status_code != 200:
                    raise self._refused(reply)
                begun = True
                yield from self._bounded(reply, most_bytes)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
            if self._late.is_set():
                raise (self._too_late() if begun else self._silent()) from error
            raise (self.broken_off(error) if begun else self.unreachable(error)) from error
        if self._late.is_set():  # cut by us, it may look as if it had ended
            raise self._too_late()

    def _bounded(self, reply: "httpx.Response", most_bytes: int) -> Iterator[bytes]:
        total = 0
        for piece in self._unpacked(reply):
            total += len(piece)
            if total > most_bytes:
                raise self.broken_off(f"it has over {most_bytes / 2**20:.0f} MiB, more than there is to say")
            yield piece

    def _unpacked(self, reply: "httpx.Response") -> Iterator[bytes]:
        """Never more than a step at once, however well it was packed."""
        encoding = reply.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("identity", ""):
            yield from reply.iter_raw()
            return
        if encoding not in _UNPACKED:
            raise self.broken_off(f"it is packed by {encoding[:20]!r}, which was not asked for")
        unpacking = zlib.decompressobj(_UNPACKED[encoding])
        try:
            for piece in reply.iter_raw():
                rest = piece
                while rest:
                    yield unpacking.decompress(rest, _STEP)
                    rest = unpacking.unconsumed_tail
        except zlib.error as error:
            raise self.broken_off(f"it cannot be unpacked: {error}") from error

    def _refused(self, reply: "httpx.Response") -> EngineReplyError:
        said = b""
        with suppress(EngineReplyError):
            for piece in self._unpacked(reply):
                said += piece
                if len(said) > _MAX_ERROR_BYTES:
                    break
        if self._late.is_set():
            return self._too_late()
        return self.refusal(reply.status_code, said[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Ends what is read in the block once the time is over: reads of any length, however little comes of each."""
        self._late.clear()
        timer = threading.Timer(self._timeout_s, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self._late.set()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        """Keeps the sockets of the connections that httpx makes, so that another thread can end them."""
        if event in ("connection.connect_tcp.complete", "proxy.start_tls.complete", "connection.start_tls.complete"):
            connection = info["return_value"].get_extra_info("socket")
            self._sockets = [item for item in self._sockets if item.fileno() >= 0]
            if connection is not None:
                self._sockets.append(connection)

    def refusal(self, status: int, text: str) -> EngineReplyError:
        """What a server said of an error, cut, without control characters and without our key."""
        hint = "see the server's log"
        if status in (401, 403):
            hint = f"set {API_KEY}" if self._send_key else _KEY_KEPT
            hint = "check user and password in the address" if self._named else hint
        return EngineReplyError(f"{self.shown} answered {status}: {self.safe(text)}", hint)

    def broken_off(self, reason: Exception | str) -> EngineReplyError:
        """A reply that began and cannot be used."""
        return EngineReplyError(
            f"{self.shown} broke off in the middle of its answer: {self.safe(str(reason))}", "ask again"
        )

    def unreachable(self, error: Exception) -> EngineUnreachableError:
        """No reply at all."""
        return EngineUnreachableError(
            f"no engine answers at {self.shown}: {self.safe(str(error))}",
            "start one (vllm serve MODEL) or check the address given with --engine",
        )

    def _silent(self) -> EngineUnreachableError:
        return self.unreachable(TimeoutError(f"timed out, no reply within {self._timeout_s:g} s"))

    def _too_late(self) -> EngineReplyError:
        return EngineReplyError(
            f"{self.shown} did not end its reply within {self._timeout_s:g} s", "raise [engine] timeout_s, or ask again"
        )

    def safe(self, text: str) -> str:
        """What a server said, as it may be shown."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(_ODD.sub(" ", text).split())[:_SHOWN]


def _secrets(key: str, address: Address) -> tuple[str, ...]:
    """What goes out and must not come back in a message: the key, or a password as it is and as it is sent."""
    if address.user is None:
        return (key,) if key else ()
    sent = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
    return tuple(text for text in (sent, address.password or address.user) if text)


def decoded(text: str) -> Any:
    """A JSON value. Raises ValueError also for one nested too deeply, and for numbers that are none or too large."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError("a number is out of range")
    return value
