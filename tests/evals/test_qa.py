"""The evaluation of question answering: what is prepared, what is read, and how routes are put together."""

import json
import math
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.fake import FakeEngine
from engine.models import DEFAULT_MODEL, locate
from evals import qa_scores
from evals.qa_scores import outcomes, read_records, route_accuracy, score_answer, summarise, tables
from evals.qa_sets import LEVAL_PARTS, SETS, QaQuestion, sampled
from evals.tasks.qa import PlannedSource, answer, prepared
from indexes.collection import Collection

DATA = Path(__file__).parents[3] / "shared" / "data"
NO = "Not in the documents."


def _answer(text: str, tokens: int, seconds: float = 1.0) -> dict[str, Any]:
    return {
        "text": text, "prompt_tokens": tokens, "completion_tokens": 5, "cached_tokens": 0, "first_token_s": seconds,
        "decode_s": 0.5,
    }  # fmt: skip


def _record(id: str, chunked: str, native: str | None, auto: str = "chunked", **more: Any) -> dict[str, Any]:
    answers = {"chunked": _answer(chunked, 100)}
    if native is not None:
        answers["native"] = _answer(native, 1000, 4.0)
    reading = "native" if auto == "native" else None
    return {
        "id": id, "group": "g", "gold": "the blue boat", "scorer": "words", "auto": auto, "auto_reading": reading,
        "escalation": "native" if native is not None else None, "answers": answers, **more,
    }  # fmt: skip


def test_routes_are_put_together_from_the_two_readings() -> None:
    records = [
        _record("both right", "blue boat", "a blue boat"),
        _record("passages lack it", NO, "blue boat"),
        _record("auto reads whole", "red", "blue boat", auto="native"),
        _record("nothing fits whole", "blue boat", None),
        _record("nobody knows", NO, None),
        _record("refused, and auto reads whole", NO, "blue boat", auto="native"),
    ]
    found = {(item.question, item.route): item for item in outcomes(records)}
    # 100 tokens, then 1,000 more; 1 s and 0.5 s of writing before the 4 s
    escalated = found["passages lack it", "auto"]
    assert (escalated.score, escalated.prompt_tokens, escalated.readings) == (1.0, 1100, ("chunked", "native"))
    assert escalated.first_token_s == 5.5
    assert found["passages lack it", "self-route"] == qa_scores.Outcome(
        "passages lack it", "g", "self-route", 1.0, 1.0, 1100, 5.5, ("chunked", "native")
    )
    assert found["passages lack it", "chunked"].score == 0.0
    assert found["auto reads whole", "auto"].prompt_tokens == 1000
    assert found["auto reads whole", "self-route"].prompt_tokens == 100  # it had an answer, a wrong one
    assert found["nothing fits whole", "native"].readings == ("chunked",)
    assert found["nobody knows", "auto"].readings == ("chunked",)
    assert found["refused, and auto reads whole", "self-route"].readings == ("chunked", "native")
    assert found["refused, and auto reads whole", "auto"].readings == ("native",)
    # Readings differ on three questions; auto has the better one's score on all.
    assert route_accuracy(list(found.values())) == (1.0, 3)
    worse = outcomes([_record("x", "red", "blue boat")])
    assert route_accuracy(worse) == (0.0, 1)
    assert math.isnan(route_accuracy(outcomes([_record("y", "red", "red")]))[0])


def test_a_summary_by_hand() -> None:
    found = outcomes([_record("a", "blue boat", "red"), _record("b", "red", "blue boat")])
    by = {(item.group, item.route): item for item in summarise(found)}
    assert set(by) == {(group, route) for group in ("g", "all") for route in qa_scores.ROUTES}
    native = by["g", "native"]
    assert (native.questions, native.accuracy.mean, native.mean_prompt_tokens) == (2, 0.5, 1000)
    assert (native.median_first_token_s, native.read_whole, native.exact) == (4.0, 1.0, 0.5)
    text = "\n".join(tables(found))
    assert "| g | native | 2 | 0.500" in text
    assert "Of 2 questions" in text


@pytest.mark.parametrize(
    ("text", "gold", "scorer", "expected"),
    [
        ("It was $1,577 million", "$1577.00", "number", 1.0),
        ("(B) because", "(B) Their subconscious", "letter", 1.0),
        ("(A)", "(B) Their subconscious", "letter", 0.0),
        ("12 and 13", "They had 12, 14", "numbers", 0.5),
        (NO, "the blue boat", "words", 0.0),
        (NO, "Not in the documents.", "words", 0.0),  # a refusal is no answer
        ("blue", "the blue boat", "words", 2 / 3),
    ],
)
def test_scores_by_hand(text: str, gold: str, scorer: str, expected: float) -> None:
    assert score_answer(text, gold, scorer) == pytest.approx(expected)


def test_a_gold_answer_without_a_letter_scores_nothing() -> None:
    assert math.isnan(score_answer("(A)", "because", "letter"))


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1}\n{"id"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.jsonl:2 is no JSON"):
        read_records(path)


TEXT = "# Marrowbay\n\n" + "Cells are sold in crates. " * 400 + "\n\n# Finances\n\nRevenue was 13.7 million euros.\n"
QUESTION = QaQuestion("q1", "g", "What was the revenue of Marrowbay?", "13.7 million", "number", TEXT)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One question, prepared for the bundled model."""
    folder = tmp_path_factory.mktemp("qa")
    (folder / "document.md").write_text(TEXT, encoding="utf-8")
    with closing(Collection.open_or_create(folder / ".fathom", "none")) as collection:
        collection.add([folder / "document.md"])
        return prepared(QUESTION, collection, PlannedSource(locate(DEFAULT_MODEL)))


def test_a_prepared_question_has_both_readings_and_what_auto_would_do(record: dict[str, Any]) -> None:
    assert set(record["prompts"]) == {"chunked", "native"}
    whole, passages = (record["prompts"][name][-1]["content"] for name in ("native", "chunked"))
    assert len(whole) > len(TEXT) > len(passages)
    assert "13.7 million" in passages
    assert (record["auto"], record["escalation"]) == ("chunked", "native")
    assert record["signals"]["strength"] == "small"


def test_answers_are_written_one_by_one_and_a_run_that_was_killed_goes_on(
    record: dict[str, Any], tmp_path: Path
) -> None:
    started: list[int] = []

    def start(needed_tokens: int) -> FakeEngine:
        started.append(needed_tokens)
        return FakeEngine(max_model_tokens=100_000)

    out = tmp_path / "answers.jsonl"
    answer([record], out, start)
    (written,) = read_records(out)
    assert written["id"] == "q1"
    assert "prompts" not in written
    assert set(written["answers"]) == {"chunked", "native"}
    assert written["answers"]["native"]["prompt_tokens"] > written["answers"]["chunked"]["prompt_tokens"] > 100
    assert written["answers"]["chunked"]["text"]
    assert started == [record["longest_tokens"] + 160]
    before = out.read_text(encoding="utf-8")
    answer([record, {**record, "id": "q2"}], out, start)
    assert out.read_text(encoding="utf-8").startswith(before)
    assert [item["id"] for item in read_records(out)] == ["q1", "q2"]
    answer([record], out, start)  # nothing is left to do, and no engine starts
    assert len(started) == 2
    assert summarise(outcomes([written]))


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
def test_the_sets_have_the_questions_that_they_are_known_for() -> None:
    counts = {name: len(read(DATA)) for name, read in SETS.items()}
    assert counts["kgrag_sec10q"] == 195
    assert counts["financebench"] == 63
    assert counts["leval_subset"] == 202 + 184 + 109 + 150
    assert set(LEVAL_PARTS) == {"quality", "scientific_qa", "natural_question", "topic_retrieval_longchat"}
    some = sampled(SETS["financebench"](DATA), 10)
    assert len(some) == 10
    assert [item.id for item in some] == [item.id for item in sampled(SETS["financebench"](DATA), 10)]
    assert len({item.collection for item in some}) == 1
    assert json.dumps([item.text for item in some])
