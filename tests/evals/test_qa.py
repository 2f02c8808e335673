"""The evaluation of question answering: what is prepared, what is read, and how routes are put together."""

import json
import math
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from engine.base import EngineInfo, Message
from engine.fake import FakeEngine
from engine.models.resolution import DEFAULT_MODEL, locate
from engine.rope.scaling import RopeScaling
from evals.datasets.qa import LEVAL_PARTS, SETS, QaQuestion, sampled
from evals.qa_answers import answer, read_records
from evals.qa_prompts import CHUNK_TOKENS, PlannedSource, Planner, Prompt, prepared, stored_prompt
from evals.scorers import qa as qa_scores
from evals.scorers.qa import RouteAccuracy, joined, outcomes, report, route_accuracy, score_answer, summarise, variants
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
        "escalation": "native" if native is not None else None, "answers": answers, "readings": list(answers), **more,
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
    assert route_accuracy(list(found.values())) == RouteAccuracy(1.0, 3)
    worse = outcomes([_record("x", "red", "blue boat")])
    assert route_accuracy(worse) == RouteAccuracy(0.0, 1)
    assert math.isnan(route_accuracy(outcomes([_record("y", "red", "red")])).share)
    # the oracle reads whole where that is better, and passages where it is no better
    assert found["passages lack it", "oracle"].readings == ("native",)
    assert found["both right", "oracle"].readings == ("chunked",)
    assert found["nothing fits whole", "oracle"].readings == ("chunked",)


def test_a_summary_by_hand() -> None:
    found = outcomes([_record("a", "blue boat", "red"), _record("b", "red", "blue boat")])
    by = {(item.group, item.route): item for item in summarise(found)}
    assert set(by) == {(group, route) for group in ("g", "all") for route in qa_scores.ROUTES}
    native = by["g", "native"]
    assert (native.questions, native.accuracy.mean, native.mean_prompt_tokens) == (2, 0.5, 1000)
    assert (native.median_first_token_s, native.read_whole, native.exact) == (4.0, 1.0, 0.5)
    text = "\n".join(report(found, []))
    assert "| g | native | 2 | 0.500" in text
    assert "Of 2 questions" in text


def test_a_question_that_is_answered_in_part_is_left_out_of_the_routes() -> None:
    whole = _record("a", "blue boat", "red")
    part = {**_record("b", "blue boat", None), "readings": ["chunked", "native", "chunked@512"]}
    assert {item.question for item in outcomes([whole, part])} == {"a"}


def _stored(text: str, factor: float = 1.0) -> dict[str, Any]:
    return asdict(Prompt((Message("user", text),), 3, 4, factor))


def test_answers_are_joined_with_the_prompts_that_they_were_given_to() -> None:
    short, long, stretched = _stored("short"), _stored("long"), _stored("long", 4.0)
    records = [
        {"id": "a", "gold": "x", "prompts": {"chunked": short, "native": long, "whole": stretched}},
        {"id": "b", "prompts": {"chunked": short}},
    ]
    lines = [
        {"id": "a", "reading": "chunked@512", "prompt": stored_prompt(short).key, "text": "1"},  # by another name then
        {"id": "a", "reading": "native", "prompt": stored_prompt(stretched).key, "text": "2"},
        {"id": "a", "reading": "native", "prompt": "of another preparation", "text": "3"},
        {"id": "z", "reading": "native", "prompt": stored_prompt(short).key, "text": "4"},
    ]
    assert joined(records, lines) == [
        {
            "id": "a", "gold": "x", "readings": ["chunked", "native", "whole"],
            "answers": {"chunked": lines[0], "whole": lines[1]},
        },
        {"id": "b", "readings": ["chunked"], "answers": {}},
    ]  # fmt: skip


def test_variants_are_compared_on_questions_that_all_of_them_have() -> None:
    first, second, third = (_record(id, "blue boat", "red") for id in "abc")
    first["answers"]["chunked@512"] = _answer("red", 50)
    second["answers"]["chunked@512"] = _answer("blue boat", 70)
    found = {(item.group, item.reading): item for item in variants([first, second, third])}
    assert set(found) == {(group, name) for group in ("g", "all") for name in ("chunked", "chunked@512")}
    one = found["g", "chunked@512"]
    assert (one.questions, one.accuracy.mean, one.gain.mean, one.mean_prompt_tokens) == (2, 0.5, -0.5, 60)
    assert found["g", "chunked"].gain.mean == 0
    assert variants([third]) == []
    assert variants([{**first, "answers": {"chunked@512": _answer("red", 50)}}]) == []
    assert variants([third, {**first, "answers": {"chunked@512": _answer("red", 50)}}]) == []
    assert "| g | chunked@512 | 2 | 0.500 (0.000 to 1.000) | -0.500" in "\n".join(report([], list(found.values())))


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


TEXT = (
    "# Marrowbay\n\nRevenue of Marrowbay is told below. "
    + "Cells are sold in crates. " * 400
    + "\n\n# Finances\n\nRevenue was 13.7 million euros.\n"
)
QUESTION = QaQuestion("q1", "g", "What was the revenue of Marrowbay?", "13.7 million", "number", TEXT)


@pytest.fixture(scope="module")
def source() -> PlannedSource:
    return PlannedSource(locate(DEFAULT_MODEL))


@pytest.fixture(scope="module")
def record(source: PlannedSource, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One question, prepared for the bundled model."""
    folder = tmp_path_factory.mktemp("qa")
    (folder / "document.md").write_text(TEXT, encoding="utf-8")
    (folder / "other.md").write_text(TEXT.replace("crates", "boxes"), encoding="utf-8")
    with closing(Collection.open_or_create(folder / ".fathom", "none")) as collection:
        collection.add([folder / "document.md", folder / "other.md"])
        return prepared(QUESTION, Planner(collection, source), variants=True)


def test_a_prepared_question_has_both_readings_and_what_auto_would_do(record: dict[str, Any]) -> None:
    whole, passages = (stored_prompt(record["prompts"][name]) for name in ("native", "chunked"))
    assert whole.tokens > passages.tokens
    assert "13.7 million" in passages.messages[-1].content
    assert len(whole.messages[-1].content) > 1.9 * len(TEXT)
    assert (whole.factor, passages.factor, len(whole.documents)) == (1.0, 1.0, 2)
    assert (record["auto"], record["escalation"], record["auto_reading"]) == ("chunked", "native", None)
    assert record["signals"]["strength"] == "small"


def test_variants_of_a_prepared_question(record: dict[str, Any]) -> None:
    prompts = {name: stored_prompt(prompt) for name, prompt in record["prompts"].items()}
    orders = {f"native@{order}" for order in ("best_first", "best_last", "best_at_ends")}
    lengths = {f"chunked@{tokens}" for tokens in CHUNK_TOKENS}
    assert prompts.keys() == {"chunked", "native", "chunked@best_first", "chunked@best_last"} | orders | lengths
    assert prompts["chunked@512"].tokens < 700
    assert sorted(prompts["native@best_first"].documents) == sorted(prompts["native"].documents)
    first, last = (prompts[f"chunked@{order}"].messages[-1].content for order in ("best_first", "best_last"))
    assert first != last
    assert len(first) == len(last)


def test_auto_reads_whole_with_an_engine_that_is_to_be_trusted(source: PlannedSource, tmp_path: Path) -> None:
    # 6,000 tokens are in SmolLM2's 8,192; 13,000 need a factor of 2 when asked for and of 4 to be trusted
    text = "# Marrowbay\n\n" + "Cells are sold in crates. " * 2000 + "\n\nRevenue was 13.7 million euros.\n"
    (tmp_path / "document.md").write_text(text, encoding="utf-8")
    with closing(Collection.open_or_create(tmp_path / ".fathom", "none")) as collection:
        collection.add([tmp_path / "document.md"])
        record = prepared(QUESTION, Planner(collection, source), variants=False)
    prompts = {name: stored_prompt(prompt) for name, prompt in record["prompts"].items()}
    assert {name: prompt.factor for name, prompt in prompts.items()} == {"chunked": 1.0, "native": 2.0, "whole": 4.0}
    assert prompts["native"].messages == prompts["whole"].messages
    assert record["escalation"] == "whole"


class Stretched(FakeEngine):
    """An engine of a model that is stretched by 4."""

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, rope=RopeScaling("yarn", 4.0, 8192))


def test_answers_are_written_one_by_one_and_a_run_that_was_killed_goes_on(
    record: dict[str, Any], tmp_path: Path
) -> None:
    started: list[int] = []

    def start(needed_tokens: int) -> FakeEngine:
        started.append(needed_tokens)
        return Stretched(max_model_tokens=100_000) if needed_tokens > 20_000 else FakeEngine(max_model_tokens=20_000)

    out = tmp_path / "answers.jsonl"
    answer([record], out, start, ["chunked", "native"])
    lines = read_records(out)
    assert [(line["id"], line["reading"]) for line in lines] == [("q1", "chunked"), ("q1", "native")]
    assert lines[1]["prompt_tokens"] > lines[0]["prompt_tokens"] > 100
    assert lines[0]["text"]
    assert started == [max(record["prompts"][name]["needed_tokens"] for name in ("chunked", "native"))]
    before = out.read_text(encoding="utf-8")
    stretched = {**record["prompts"]["native"], "factor": 4.0, "needed_tokens": 30_000}
    again = {**record, "id": "q2", "prompts": {**record["prompts"], "native": stretched}}
    answer([record, again], out, start, ["chunked", "native", "chunked@5*"])
    assert out.read_text(encoding="utf-8").startswith(before)
    later = [(line["id"], line["reading"], line["factor"]) for line in read_records(out)[2:]]
    assert later == [
        ("q2", "chunked", 1.0),
        ("q1", "chunked@512", 1.0),
        ("q2", "chunked@512", 1.0),
        ("q2", "native", 4.0),
    ]
    assert len(started) == 3
    assert started[2] == 30_000  # an engine for each factor, for the longest request
    answer([record], out, start, ["chunked", "native"])  # nothing is left to do, and no engine starts
    assert len(started) == 3
    assert len(started) == 3
    main = {name: record["prompts"][name] for name in ("chunked", "native")}
    assert summarise(outcomes(joined([{**record, "prompts": main}], lines)))
    wrong = {**record, "id": "q3", "prompts": {"native": {**stretched, "factor": 2.0}}}
    with pytest.raises(ValueError, match="stretched by 2"):
        answer([wrong], out, start)


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
