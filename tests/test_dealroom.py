"""The sample data room: its size, and that every question's evidence stands where it is said to stand."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from indexes.documents import LoadedDocument
from indexes.loaders import load
from indexes.text.chunking import chunk

EXAMPLES = Path(__file__).parents[1] / "examples"
ROOM = EXAMPLES / "dealroom"
CHARACTERS_A_TOKEN = 4
FIELDS = {"id": str, "question": str, "kind": str, "answer": str, "facts": list, "evidence": list}
KINDS = {"lookup", "comparison", "synthesis", "unanswerable"}

QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (EXAMPLES / "dealroom.questions.jsonl").read_text(encoding="utf-8").splitlines()
]
EVIDENCE = [
    pytest.param(question, item, id=f"{question['id']}-{number}")
    for question in QUESTIONS
    for number, item in enumerate(question["evidence"], 1)
]


@cache
def _load(name: str) -> LoadedDocument:
    return load(ROOM / name)


def _files() -> list[Path]:
    return sorted(path for path in ROOM.rglob("*") if path.is_file())


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_the_room_holds_enough_documents_in_six_formats() -> None:
    documents = [_load(path.relative_to(ROOM).as_posix()) for path in _files()]
    assert len(documents) >= 15
    assert {path.suffix for path in _files()} == {".md", ".txt", ".html", ".csv", ".docx", ".pdf"}
    assert sum(len(document.text) / CHARACTERS_A_TOKEN > 10_000 for document in documents) >= 2
    assert all(chunk(document) for document in documents)


def test_the_built_files_are_those_of_their_sources() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "build_dealroom.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_there_are_thirty_questions_and_six_without_an_answer() -> None:
    assert len(QUESTIONS) == len({question["id"] for question in QUESTIONS}) == 30
    assert sum(question["kind"] == "unanswerable" for question in QUESTIONS) == 6


@pytest.mark.parametrize("question", QUESTIONS, ids=[question["id"] for question in QUESTIONS])
def test_a_question_keeps_the_schema(question: dict[str, Any]) -> None:
    assert {key: type(value) for key, value in question.items()} == FIELDS
    assert question["kind"] in KINDS
    assert question["question"].endswith("?")
    assert question["answer"]
    assert all(isinstance(fact, str) and fact for fact in question["facts"])
    answerable = question["kind"] != "unanswerable"
    assert bool(question["facts"]) == bool(question["evidence"]) == answerable
    for item in question["evidence"]:
        assert item.keys() == {"document", "section", "quote", "page"}


@pytest.mark.parametrize(("question", "item"), EVIDENCE)
def test_a_quote_stands_in_its_document_under_its_section_and_on_its_page(
    question: dict[str, Any], item: dict[str, Any]
) -> None:
    document = _load(item["document"])
    quote = _flat(item["quote"])
    assert quote in _flat(document.text)
    assert any(quote in _flat(part) for part in _sections(document, item["section"])), f"not under {item['section']}"
    assert (item["page"] is None) == (document.pages == ())
    if item["page"] is not None:
        page = document.pages[item["page"] - 1]
        assert page.number == item["page"]
        assert quote in _flat(document.text[page.start : page.end])


def _sections(document: LoadedDocument, title: str | None) -> list[str]:
    """The text under each heading of that title, to the next heading of its level or above.

    None stands for the whole of a text or table, whose sections have no names of their own.
    """
    if title is None:
        return [document.text] if document.kind in ("text", "csv") else []
    parts = []
    for index, heading in enumerate(document.headings):
        if heading.title == title:
            after = (other.start for other in document.headings[index + 1 :] if other.level <= heading.level)
            parts.append(document.text[heading.start : next(after, len(document.text))])
    return parts
