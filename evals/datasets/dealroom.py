"""The sample data room: its documents, and 30 questions with gold documents and facts."""

import json
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTIONS = EXAMPLES / "dealroom.questions.jsonl"
ROOM = EXAMPLES / "dealroom"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold documents and the facts of its gold answer; no documents: unanswerable."""

    id: str
    kind: str
    question: str
    documents: frozenset[str]
    facts: tuple[str, ...]


def load_questions(path: Path = QUESTIONS) -> list[Question]:
    """The questions of a JSONL file, in order."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Question(
            row["id"],
            row["kind"],
            row["question"],
            frozenset(item["document"] for item in row["evidence"]),
            tuple(row["facts"]),
        )
        for row in rows
    ]
