"""The terminal: what reaches it, what cannot, and what happens when nobody reads."""

import io
import json
import os
import sys
from dataclasses import dataclass
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli import terminal
from pipeline.errors import OutputError
from tests.support.screens import screen


@dataclass
class Record:
    name: str
    parts: tuple[int, ...]


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@given(st.text())
def test_no_text_can_drive_the_terminal(text: str) -> None:
    cleaned = terminal.clean(text)
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in cleaned)
    assert [c for c in cleaned if c.isprintable()] == [c for c in text if c.isprintable()]


def test_escape_sequences_lose_their_escape() -> None:
    assert terminal.clean("a\x1b]0;owned\x07b\x9b2Jc\r\n\td") == "a]0;ownedb2Jc\n\td"


def test_answers_go_to_stdout_and_notes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out("an\x1bswer")
    terminal.note("no\x1bte")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("answer\n", "note\n")


def test_a_record_is_one_line_of_json_for_a_program_and_more_for_a_person(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.out_json(Record("ä\x1b\x85", (1, 2)))
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line) == {"name": "ä\x1b\x85", "parts": [1, 2]}
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    terminal.out_json({"a": 1})
    assert screen.getvalue() == '{\n  "a": 1\n}\n'


def test_letters_that_stdout_lacks_become_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    terminal.out("“é” \udcff")
    assert raw.getvalue() == b"??? ?\n"


@pytest.mark.parametrize("stream", [None, "pipe", "/dev/full"])
def test_a_stdout_that_takes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch, stream: str | None) -> None:
    file: IO[str] | None = None
    if stream == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
        file = os.fdopen(writer, "w", encoding="utf-8")
    elif stream:
        file = os.fdopen(os.open(stream, os.O_WRONLY), "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", file)
    with pytest.raises(OutputError, match="stdout") as caught:
        terminal.out("x")
    assert isinstance(caught.value.__cause__, BrokenPipeError) == (stream == "pipe")
    if file:
        with pytest.raises(OSError, match=r"Broken pipe|No space"):
            file.close()


def test_a_stderr_that_nobody_reads_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    terminal.note("x")
    assert not terminal.watched(sys.stderr)
    with terminal.Stages().shown() as stages:
        stages.stage("y")
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    terminal.note("…")


def test_stages_are_lines_where_no_person_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.Stages().shown() as stages:
        stages.stage("one")
        stages.text("a piece of the answer")
        stages.stage("two")
    assert capsys.readouterr().err == "… one\n… two\n"


def test_a_person_sees_stages_and_the_draft_without_escapes_of_theirs() -> None:
    with screen() as seen, terminal.Stages().shown() as stages:
        stages.stage("starting \x1b]0;owned\x07 model")
        stages.text("The \x1b]0;owned\x07 cap")
    assert "cap" in seen[0]
    assert "\x1b]" not in seen[0]
    assert "\x07" not in seen[0]
