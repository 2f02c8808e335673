"""What passes between a loader process and its parent: frames of JSON and text, and their checked way back to records.

A frame is two big-endian lengths in bytes, a JSON object, and a text in UTF-8. The parent trusts no frame: its
length is bounded before it is held, and every field is checked before it becomes part of a record.
"""

import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..documents import Heading, HiddenText, LoadedDocument, Page, Table
from ..loaders.limits import LoadLimits

MAX_FIELDS_BYTES = 32 * 2**20  # JSON of one frame: headings, tables, pages; Python may hold 20 times as much for it
_UTF8_BYTES = 4  # most for one character
_HEADER = struct.Struct(">II")


_Row = TypeVar("_Row")


class FrameError(ValueError):
    """The other side sent what is no frame, or no answer."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came, its JSON read and nothing in it checked."""

    fields: dict[str, object]
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """The file that a loader process is to read: its name without folders, its size, and the limits that hold for it.

    The file itself goes with it, open.
    """

    name: str
    size_bytes: int
    limits: LoadLimits


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a file: a document, or a reason. `last`: the process ends and reads no other file."""

    document: LoadedDocument | None
    reason: str = ""
    unsupported: bool = False
    last: bool = False


class FrameReader:
    """Frames out of bytes that come in pieces. Holds one frame's bytes and the last piece at most."""

    def __init__(self, max_characters: int) -> None:
        self._max_text_bytes = max_characters * _UTF8_BYTES
        self._data = bytearray()

    @property
    def pending(self) -> bool:
        """Whether a part of a frame is here."""
        return bool(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def take(self) -> Frame | None:
        """The next frame if it is complete. Raises FrameError for one that is too long or no JSON object."""
        if len(self._data) < _HEADER.size:
            return None
        fields_bytes, text_bytes = _HEADER.unpack_from(self._data)
        if fields_bytes > MAX_FIELDS_BYTES or text_bytes > self._max_text_bytes:
            raise FrameError(f"a frame of {fields_bytes:,} + {text_bytes:,} bytes")
        text_start = _HEADER.size + fields_bytes
        end = text_start + text_bytes
        if len(self._data) < end:
            return None
        try:
            fields = json.loads(self._data[_HEADER.size : text_start])
            text = self._data[text_start:end].decode()
        except (ValueError, RecursionError) as error:
            raise FrameError(f"a frame that is not JSON and UTF-8 ({type(error).__name__})") from error
        if not isinstance(fields, dict):
            raise FrameError("a frame that is no JSON object")
        del self._data[:end]
        return Frame(fields, text)


def send(descriptor: int, fields: dict[str, object], text: str = "") -> None:
    """Writes a frame. Raises FrameError, with nothing written, where the fields are over MAX_FIELDS_BYTES."""
    head, body = json.dumps(fields).encode(), text.encode()
    if len(head) > MAX_FIELDS_BYTES:
        raise FrameError(f"its headings and tables take {len(head) / 2**20:.0f} MiB, over {MAX_FIELDS_BYTES >> 20} MiB")
    for part in (_HEADER.pack(len(head), len(body)) + head, body):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def send_request(channel: socket.socket, request: Request, descriptor: int) -> None:
    """The parent's side; a name travels as the bytes that the file system knows it by, the open file beside it."""
    limits = {name: getattr(request.limits, name) for name in LoadLimits.__dataclass_fields__}
    name = os.fsencode(request.name).decode("latin-1")
    head = json.dumps({"name": name, "size_bytes": request.size_bytes, "limits": limits}).encode()
    data = _HEADER.pack(len(head), 0) + head
    channel.sendall(data[socket.send_fds(channel, [data], [descriptor]) :])


def read_request(frame: Frame) -> Request:
    """The process's side; it takes its parent's word."""
    name, size_bytes, limits = frame.fields["name"], frame.fields["size_bytes"], frame.fields["limits"]
    assert isinstance(name, str)
    assert isinstance(size_bytes, int)
    assert isinstance(limits, dict)
    return Request(os.fsdecode(name.encode("latin-1")), size_bytes, LoadLimits(**limits))


def send_answer(descriptor: int, answer: Answer) -> None:
    """The process's side. Raises FrameError, with nothing written, where the document's parts are too many."""
    fields: dict[str, object] = {"reason": answer.reason, "unsupported": answer.unsupported, "last": answer.last}
    if answer.document is None:
        send(descriptor, fields)
        return
    document = answer.document
    fields["document"] = {
        "kind": document.kind,
        "title": document.title,
        "pages": [(page.number, page.start, page.end) for page in document.pages],
        "headings": [(heading.level, heading.title, heading.start) for heading in document.headings],
        "tables": [(table.start, table.end, table.header) for table in document.tables],
        "notes": document.notes,
        "hidden": [(item.reason, item.text, item.page) for item in document.hidden],
    }
    send(descriptor, fields, document.text)


def read_answer(frame: Frame, limits: LoadLimits) -> Answer:
    """The parent's side. Raises FrameError for any field that a loader would not have written."""
    fields = frame.fields
    reason, unsupported, last = _string(fields.get("reason")), fields.get("unsupported"), fields.get("last")
    if not (isinstance(unsupported, bool) and isinstance(last, bool)):
        raise FrameError("an answer without its marks")
    if "document" not in fields:
        if not reason:
            raise FrameError("an answer with neither document nor reason")
        return Answer(None, reason, unsupported, last)
    return Answer(_document(fields["document"], frame.text, limits), last=last)


def _document(fields: object, text: str, limits: LoadLimits) -> LoadedDocument:
    if not isinstance(fields, dict):
        raise FrameError("a document that is no JSON object")
    if not text.strip() or len(text) > limits.max_characters:
        raise FrameError(f"a document of {len(text):,} characters")
    length = len(_string(text))

    def span(start: object, end: object) -> tuple[int, int]:
        first, behind = _integer(start, 0, length), _integer(end, 0, length)
        if first > behind:
            raise FrameError("a span that ends before it starts")
        return first, behind

    return LoadedDocument(
        _string(fields.get("kind")),
        _string(fields.get("title")),
        text,
        _rows(fields.get("pages"), lambda number, start, end: Page(_integer(number, 1), *span(start, end))),
        _rows(
            fields.get("headings"),
            lambda level, title, start: Heading(_integer(level, 1), _string(title), _integer(start, 0, length)),
        ),
        _rows(fields.get("tables"), lambda start, end, header: Table(*span(start, end), _string(header))),
        tuple(_string(note) for note in _list(fields.get("notes"))),
        _rows(
            fields.get("hidden"),
            lambda reason, text, page: HiddenText(
                _string(reason), _string(text), None if page is None else _integer(page, 1)
            ),
        ),
    )


def _rows(values: object, record: Callable[[object, object, object], _Row]) -> tuple[_Row, ...]:
    rows = []
    for value in _list(values):
        if len(row := _list(value)) != 3:
            raise FrameError("a row that has not three fields")
        rows.append(record(*row))
    return tuple(rows)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise FrameError("a list that is none")
    return value


def _integer(value: object, least: int, most: int = 2**31) -> int:
    if type(value) is not int or not least <= value <= most:
        raise FrameError("a number that is none or out of range")
    return value


def _string(value: object) -> str:
    """The value, if it is a string that a UTF-8 database can hold."""
    if not isinstance(value, str) or "\x00" in value:
        raise FrameError("a string that is none or holds NUL")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FrameError("a string with lone surrogates") from error
    return value
