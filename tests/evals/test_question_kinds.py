"""The evaluation of the classifier of questions, with and without the data sets."""

import json
from pathlib import Path

import pytest

from evals.tasks.question_kinds import LABELS, cross_validated, labelled, questions_by_checksum
from pipeline.qa.question_kind import Example, QuestionKind, examples

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_the_shipped_examples_teach_what_they_are_about() -> None:
    found = cross_validated(examples())
    assert found.questions == len(examples())
    assert found.right / found.questions > 0.7  # 0.2 is chance
    assert found.right + sum(count for *_, count in found.mistaken) == found.questions


def test_each_example_is_judged_once_by_others() -> None:
    alike = [Example(f"red apple {n}", QuestionKind.LOOKUP) for n in range(10)]
    alike += [Example(f"blue sky {n}", QuestionKind.YES_NO) for n in range(10)]
    found = cross_validated(alike)
    assert (found.questions, found.right, found.mistaken) == (20, 20, ())


def test_labels_are_of_known_kinds_and_none_twice() -> None:
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    assert {row["part"] for row in rows} == {"seen", "fresh"}
    assert {row["kind"] for row in rows} == set(QuestionKind)
    assert len({row["question_sha256"] for row in rows}) == len(rows)


def test_a_label_without_its_question_is_named() -> None:
    with pytest.raises(ValueError, match="no question of kgrag has the checksum"):
        labelled({})


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
def test_questions_of_others_are_recognised_more_often_than_not() -> None:
    seen, fresh = labelled(questions_by_checksum(DATA))
    assert (seen.questions, fresh.questions) == (110, 109)
    assert fresh.right / fresh.questions > 0.6
