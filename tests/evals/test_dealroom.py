"""The data room's scores on hand-made questions, with the sums written out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.datasets.dealroom import Question, load_questions
from evals.tasks.dealroom import AnswerScore, RetrievalScore, score_answers, score_retrieval
from indexes.collection import Collection
from indexes.search.ranking import SearchMode
from pipeline.config import Config, EngineSettings
from tests.support.files import write

FILES: dict[str, str | bytes] = {
    "cells.md": "Hexalith sells battery cells for 68 euros.\n",
    "fire.md": "A cabinet burned in Taunton.\n",
    "cash.md": "Cash lasts until March and the runway is short.\n",
    "cash2.md": "Cash and runway and cash and runway.\n",
}
FAKE = Config(engine=EngineSettings(url="fake://"))


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    made = Collection.open_or_create(tmp_path / ".fathom", "none")
    made.add([write(tmp_path / "docs", FILES)])
    yield made
    made.close()


def _question(id: str, text: str, documents: set[str], facts: tuple[str, ...] = (), kind: str = "lookup") -> Question:
    return Question(id, kind, text, frozenset(documents), facts)


FIRST = _question("first", "What do the battery cells cost?", {"cells.md"}, ("68 euros", "Hexalith"))
SECOND = _question("second", "cash runway", {"cash.md"}, ("March", "never said"))
MISSED = _question("missed", "Which cabinet burned?", {"cells.md"}, ("Ghent",))
NOTHING = _question("nothing", "zebra", {"fire.md"}, ("x",))
OPEN = _question("open", "Who is the zebra?", set(), kind="unanswerable")


def test_a_right_document_counts_first_and_among_the_first(collection: Collection) -> None:
    # cells.md is the only hit; cash2.md, all cash and runway, comes before cash.md; fire.md and nothing are wrong
    names = [hit.document.name for hit in collection.search(SECOND.question, 3, SearchMode.LEXICAL).hits]
    assert names == ["cash2.md", "cash.md"]
    score = score_retrieval(collection, [FIRST, SECOND, MISSED, NOTHING, OPEN], SearchMode.LEXICAL)
    assert score == RetrievalScore("lexical", questions=4, first=1, among_first=2, missed=("missed", "nothing"))


def test_without_questions_nothing_is_scored(collection: Collection) -> None:
    assert score_retrieval(collection, [OPEN], SearchMode.LEXICAL) == RetrievalScore("lexical", 0, 0, 0, ())


def test_facts_statuses_and_refusals_are_counted(collection: Collection) -> None:
    """The fake quotes the best sentence: both facts of FIRST (2/2), none of MISSED (0/1), NOTHING refused (0/1)."""
    score = score_answers(collection, [FIRST, MISSED, NOTHING, OPEN], FAKE)
    assert score == AnswerScore(
        statuses={"lookup": {"answered": 2, "not_found": 1}, "unanswerable": {"not_found": 1}},
        fact_recall=(2 / 2 + 0 / 1 + 0 / 1) / 3,
        refused_unanswerable=1,
        unanswerable=1,
    )


def test_a_part_of_the_facts_is_a_part_of_the_recall(collection: Collection) -> None:
    question = _question("half", "Until which month lasts the cash?", {"cash.md"}, ("march", "never said"))
    assert score_answers(collection, [question], FAKE).fact_recall == 0.5  # letter case does not count


def test_an_unanswerable_question_that_is_answered_was_not_refused(collection: Collection) -> None:
    question = _question("open", "What do battery cells cost?", set(), kind="unanswerable")
    score = score_answers(collection, [question], FAKE)
    assert (score.refused_unanswerable, score.unanswerable) == (0, 1)


def test_without_answerable_questions_the_recall_is_missing_and_not_zero(collection: Collection) -> None:
    assert score_answers(collection, [OPEN], FAKE).fact_recall is None


def test_questions_are_read_in_order_and_blank_lines_skipped(tmp_path: Path) -> None:
    rows = [
        {
            "id": "b",
            "kind": "lookup",
            "question": "Q?",
            "evidence": [{"document": "x"}, {"document": "x"}],
            "facts": ["f"],
        },
        {"id": "a", "kind": "unanswerable", "question": "R?", "evidence": [], "facts": []},
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    assert load_questions(path) == [
        Question("b", "lookup", "Q?", frozenset({"x"}), ("f",)),
        Question("a", "unanswerable", "R?", frozenset(), ()),
    ]


def test_the_sample_has_its_thirty_questions() -> None:
    questions = load_questions()
    assert len(questions) == 30
    assert sum(not question.documents for question in questions) == 6
