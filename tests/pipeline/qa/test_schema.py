"""The JSON schema of an answer: what is committed is what is made, and real answers keep it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.fake import FakeEngine
from pipeline.qa.answer import Answer
from pipeline.qa.graph import ask
from pipeline.qa.schema import DESCRIPTIONS, FILE, answer_schema
from tests.support.questions import QUESTION, replying, surroundings

ENDINGS: dict[str, tuple[str | None, str, bool]] = {
    "answered": (None, QUESTION, False),
    "unsupported": ("It was 99 million.", QUESTION, False),
    "not_found": ("Not in the documents.", QUESTION, False),
    "dry_run": (None, QUESTION, True),
}


def _asked(folder: Path, reply: str | None, question: str, dry_run: bool) -> dict[str, Any]:
    engine = FakeEngine() if reply is None else FakeEngine(replying(reply))
    with surroundings(folder, engine) as around:
        return dict(json.loads(json.dumps(asdict(ask(question, around, dry_run)))))


def test_the_committed_file_is_what_the_records_give() -> None:
    made = json.dumps(answer_schema(), indent=2, ensure_ascii=False) + "\n"
    assert FILE.read_text(encoding="utf-8") == made, "run: python -m pipeline.qa.schema"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(answer_schema())


def test_every_field_is_described_and_nothing_else_is() -> None:
    schema = answer_schema()
    records = {"Answer": schema, **schema["$defs"]}
    fields = {name: set(record["properties"]) for name, record in records.items() if "properties" in record}
    assert fields == {name: set(texts) for name, texts in DESCRIPTIONS.items()}
    assert fields["Answer"] == set(Answer.__dataclass_fields__)
    for record in records.values():
        for field in record.get("properties", {}).values():
            assert field["description"].endswith(".")


@pytest.mark.parametrize(("status", "ending"), ENDINGS.items(), ids=ENDINGS.keys())
def test_real_answers_keep_the_schema(tmp_path: Path, status: str, ending: tuple[str | None, str, bool]) -> None:
    found = _asked(tmp_path, *ending)
    assert found["status"] == status
    jsonschema.Draft202012Validator(answer_schema()).validate(found)


def test_an_answer_without_route_and_engine_keeps_it_too(tmp_path: Path) -> None:
    found = _asked(tmp_path, None, "zebra", False)
    assert (found["route"], found["engine"]) == (None, None)
    jsonschema.Draft202012Validator(answer_schema()).validate(found)


@pytest.mark.parametrize(
    "damage",
    [{"status": "maybe"}, {"schema_version": 2}, {"prompt_tokens": "many"}, {"extra": 1}, {"engine": {}}],
    ids=lambda damage: next(iter(damage)),
)
def test_what_is_no_answer_is_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    found = _asked(tmp_path, None, QUESTION, False)
    assert not jsonschema.Draft202012Validator(answer_schema()).is_valid({**found, **damage})


@pytest.mark.parametrize("field", Answer.__dataclass_fields__)
def test_every_field_must_be_there(tmp_path: Path, field: str) -> None:
    found = _asked(tmp_path, None, "zebra", False)
    del found[field]
    assert not jsonschema.Draft202012Validator(answer_schema()).is_valid(found)
