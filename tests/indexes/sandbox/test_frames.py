"""Frames between a loader process and its parent: what is sent arrives, and nothing else passes for it."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.documents import Heading, HiddenText, LoadedDocument, Page, Table
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.frames import (
    Answer,
    Frame,
    FrameError,
    FrameReader,
    Request,
    read_answer,
    read_request,
    send_answer,
    send_request,
)

LIMITS = LoadLimits(max_characters=1000)
DOCUMENT = LoadedDocument(
    "pdf",
    "Ants ü 😀",
    "One ant walks.\n\nZwei Ameisen gehen. 😀\n",
    (Page(1, 0, 16), Page(2, 16, 38)),
    (Heading(1, "One", 0), Heading(2, "Zwei", 16)),
    (Table(0, 5, "| a | b |"),),
    ("page 3 is a scan",),
    (HiddenText("white text", "Nobody sees this.", 2), HiddenText("hidden row", "Nor this.")),
)
GOOD: dict[str, object] = {
    "kind": "text",
    "title": "t",
    "pages": [[1, 0, 5]],
    "headings": [[1, "h", 0]],
    "tables": [[0, 5, "h"]],
    "notes": ["n"],
    "hidden": [["white text", "h", None]],
}

_storable = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@st.composite
def _documents(draw: st.DrawFn) -> LoadedDocument:
    text = draw(_storable.filter(lambda text: bool(text.strip())))
    place = st.integers(0, len(text))
    spans = st.tuples(place, place).map(sorted)
    return LoadedDocument(
        draw(_storable),
        draw(_storable),
        text,
        tuple(Page(draw(st.integers(1, 9)), start, end) for start, end in draw(st.lists(spans, max_size=3))),
        tuple(Heading(draw(st.integers(1, 9)), draw(_storable), at) for at in draw(st.lists(place, max_size=3))),
        tuple(Table(start, end, draw(_storable)) for start, end in draw(st.lists(spans, max_size=3))),
        tuple(draw(st.lists(_storable, max_size=3))),
        tuple(draw(st.lists(st.builds(HiddenText, _storable, _storable, st.none() | st.integers(1, 9)), max_size=3))),
    )


def _sent(*answers: Answer) -> bytes:
    reading, writing = os.pipe()
    for answer in answers:
        send_answer(writing, answer)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        return stream.read()


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[start : start + size] for start in range(0, len(data), size))


@settings(deadline=None)
@given(
    st.lists(
        _documents().map(Answer) | st.builds(Answer, st.none(), _storable.filter(bool), st.booleans(), st.booleans()),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 200),
)
def test_answers_arrive_as_they_were_sent_however_they_are_cut(answers: list[Answer], size: int) -> None:
    reader = FrameReader(LIMITS.max_characters)
    arrived = []
    for piece in _pieces(_sent(*answers), size):
        reader.feed(piece)
        while (frame := reader.take()) is not None:
            arrived.append(read_answer(frame, LIMITS))
    assert arrived == answers
    assert not reader.pending


def test_every_field_of_a_document_is_sent() -> None:
    for field in fields(LoadedDocument):
        assert getattr(DOCUMENT, field.name), f"{field.name} of the sample is empty"
    reader = FrameReader(LIMITS.max_characters)
    reader.feed(_sent(Answer(DOCUMENT, last=True)))
    frame = reader.take()
    assert frame
    assert read_answer(frame, LIMITS) == Answer(DOCUMENT, last=True)


@given(st.binary(min_size=1).filter(lambda name: b"\x00" not in name))
def test_a_request_keeps_every_byte_of_the_name_and_every_limit_and_brings_the_file(name: bytes) -> None:
    request = Request(os.fsdecode(name), 4, LoadLimits(1, 2.5, 3, 4, 5, 6, 7, True))
    parent, process = socket.socketpair()
    reader = FrameReader(max_characters=0)
    with parent, process, tempfile.TemporaryFile() as file:
        file.write(b"ants")
        file.flush()
        send_request(parent, request, file.fileno())
        data, (descriptor,), _, _ = socket.recv_fds(process, 2**20, 1)
        assert os.pread(descriptor, 99, 0) == b"ants"
        os.close(descriptor)
    reader.feed(data)
    frame = reader.take()
    assert frame
    assert read_request(frame) == request


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_a_frame_error(data: bytes) -> None:
    reader = FrameReader(LIMITS.max_characters)
    reader.feed(data)
    with suppress(FrameError):
        while (frame := reader.take()) is not None:
            read_answer(frame, LIMITS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", None),
        ("title", 5),
        ("title", "NUL \x00"),
        ("title", "lone \ud800"),
        ("pages", None),
        ("pages", {}),
        ("pages", [1]),
        ("pages", [[1, 0]]),
        ("pages", [[1, 0, 5, 5]]),
        ("pages", [[0, 0, 5]]),
        ("pages", [[1, 0, 6]]),  # the text has five characters
        ("pages", [[1, -1, 5]]),
        ("pages", [[1, 3, 2]]),
        ("pages", [[1, 0.0, 5]]),
        ("pages", [[True, 0, 5]]),
        ("pages", [[10**20, 0, 5]]),
        ("headings", [["1", "h", 0]]),
        ("headings", [[1, None, 0]]),
        ("headings", [[1, "h", 6]]),
        ("headings", [[0, "h", 0]]),
        ("tables", [[0, 6, "h"]]),
        ("tables", [[0, 5, ["h"]]]),
        ("notes", "n"),
        ("notes", [1]),
        ("hidden", [["white text", "h"]]),
        ("hidden", [["white text", 1, None]]),
        ("hidden", [["white text", "h", 0]]),
    ],
)
def test_a_field_that_is_not_as_it_should_be_fails_the_document(name: str, value: Any) -> None:
    marks: dict[str, object] = {"reason": "", "unsupported": False, "last": False}
    assert read_answer(Frame({**marks, "document": GOOD}, "ants\n"), LIMITS).document
    with pytest.raises(FrameError):
        read_answer(Frame({**marks, "document": {**GOOD, name: value}}, "ants\n"), LIMITS)


@pytest.mark.parametrize(
    "frame",
    [
        Frame({}, ""),
        Frame({"reason": "", "unsupported": False, "last": False}, ""),
        Frame({"reason": "x", "unsupported": 0, "last": False}, ""),
        Frame({"reason": "x", "unsupported": False, "last": None}, ""),
        Frame({"reason": "", "unsupported": False, "last": False, "document": None}, "ants\n"),
        Frame({"reason": "", "unsupported": False, "last": False, "document": GOOD}, " \n  "),
        Frame({"reason": "", "unsupported": False, "last": False, "document": GOOD}, "ants\x00"),
        Frame({"reason": "", "unsupported": False, "last": False, "document": GOOD}, "x" * 1001),
    ],
)
def test_an_answer_without_its_marks_or_with_a_bad_text_is_none(frame: Frame) -> None:
    with pytest.raises(FrameError):
        read_answer(frame, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"\x7f\xff\xff\xff\0\0\0\0",  # 2 GiB of JSON announced
        b"\0\0\0\2\0\0\x0f\xa1" + b"{}",  # 4,001 bytes of text: more than 4 for each of 1,000 characters
        b"\0\0\0\1\0\0\0\0" + b"{",
        b"\0\0\0\2\0\0\0\1" + b"{}\xff",
        (100_000).to_bytes(4) + b"\0\0\0\0" + b"[" * 100_000,
        (10_006).to_bytes(4) + b"\0\0\0\0" + b'{"a":' + b"1" * 10_000 + b"}",  # more digits than Python converts
    ],
)
def test_a_frame_that_is_too_long_or_unreadable_is_refused(data: bytes) -> None:
    reader = FrameReader(LIMITS.max_characters)
    reader.feed(data)
    with pytest.raises(FrameError):
        reader.take()
