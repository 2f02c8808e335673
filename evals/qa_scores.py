"""Answers scored: each route's accuracy, tokens and times, Self-Route and auto put together, and the oracle's choice.

Chunked and whole reading are run for every question. What auto and Self-Route would have answered follows from those
answers, because decoding is greedy: auto's choice is recorded with the question, and "not in the documents" leads on.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals import metrics
from evals.answer_metrics import chosen_letter, exact_match, f1, number_recall, numeric_match
from pipeline.prompts import says_not_found

ROUTES = ("chunked", "native", "auto", "self-route")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question under one route: its score, all tokens of its prompts, seconds to the first token of its answer
    (tries before it included), and the readings that were made. `score` is NaN where the gold answer gives none."""

    question: str
    group: str
    route: str
    score: float
    exact: float
    prompt_tokens: int
    first_token_s: float
    readings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouteScore:
    """A route over the questions of a group."""

    group: str
    route: str
    questions: int
    accuracy: metrics.Interval
    exact: float
    mean_prompt_tokens: float
    median_first_token_s: float
    read_whole: float


def score_answer(text: str, gold: str, scorer: str) -> float:
    """An answer's score from 0 to 1 by the question's scorer; NaN where the gold answer gives none. No answer is 0."""
    if says_not_found(text):
        text = ""
    if scorer == "number":
        return numeric_match(text, gold)
    if scorer == "numbers":
        return number_recall(text, gold)
    if scorer == "letter":
        wanted = chosen_letter(gold)
        return math.nan if wanted is None else float(chosen_letter(text) == wanted)
    return f1(text, gold)


def outcomes(records: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """All routes of all questions. Raises KeyError for a record without the readings that a route needs."""
    return [_outcome(record, route) for record in records for route in ROUTES]


def _outcome(record: Mapping[str, Any], route: str) -> Outcome:
    answers = record["answers"]
    readings = _readings(record, route)
    last = answers[readings[-1]]
    tokens = sum(answers[reading]["prompt_tokens"] for reading in readings)
    seconds = sum(answers[reading]["first_token_s"] for reading in readings)
    seconds += sum(answers[reading]["decode_s"] for reading in readings[:-1])
    return Outcome(
        record["id"], record["group"], route,
        score_answer(last["text"], record["gold"], record["scorer"]), exact_match(last["text"], record["gold"]),
        tokens, seconds, tuple(readings),
    )  # fmt: skip


def _readings(record: Mapping[str, Any], route: str) -> list[str]:
    """The readings that a route makes, in order. Where whole reading cannot be made, passages are all there is."""
    answers, escalation = record["answers"], record["escalation"]
    if route == "native":
        return ["native"] if "native" in answers else ["chunked"]
    if route == "auto" and record["auto"] == "native":
        return [record["auto_reading"]]
    refused = says_not_found(answers["chunked"]["text"]) and escalation in answers
    return ["chunked", escalation] if route != "chunked" and refused else ["chunked"]


def summarise(found: Sequence[Outcome]) -> list[RouteScore]:
    """Scores by group and route, and over all groups."""
    groups = [*dict.fromkeys(outcome.group for outcome in found), "all"]
    return [_summary(group, route, found) for group in groups for route in ROUTES]


def _summary(group: str, route: str, found: Sequence[Outcome]) -> RouteScore:
    own = [item for item in found if item.route == route and group in (item.group, "all")]
    return RouteScore(
        group, route, len(own), metrics.bootstrap([item.score for item in own]),
        metrics.mean([item.exact for item in own]), statistics.mean(item.prompt_tokens for item in own),
        statistics.median(item.first_token_s for item in own),
        statistics.mean(item.readings[-1] != "chunked" for item in own),
    )  # fmt: skip


def route_accuracy(found: Sequence[Outcome]) -> tuple[float, int]:
    """The share of questions whose reading under auto scores no less than the better of passages and whole documents,
    among those where the two differ, and the number of those."""
    by = {(item.question, item.route): item for item in found}
    questions = dict.fromkeys(item.question for item in found)
    right = total = 0
    for question in questions:
        chunked, native, auto = (by[question, route].score for route in ("chunked", "native", "auto"))
        if math.isnan(chunked) or math.isnan(native) or chunked == native:
            continue
        total += 1
        right += auto >= max(chunked, native) - 1e-9
    return (right / total if total else math.nan), total


def tables(found: Sequence[Outcome]) -> list[str]:
    """Markdown."""
    lines = ["| set | route | questions | accuracy | exact | prompt tokens, mean | first token, s | read whole |"]
    lines.append("|" + " --- |" * 8)
    for item in summarise(found):
        near = f"{item.accuracy.mean:.3f} ({item.accuracy.low:.3f}–{item.accuracy.high:.3f})"
        lines.append(
            f"| {item.group} | {item.route} | {item.questions} | {near} | {item.exact:.3f} "
            f"| {item.mean_prompt_tokens:,.0f} | {item.median_first_token_s:.2f} | {item.read_whole:.0%} |"
        )
    share, total = route_accuracy(found)
    lines += [
        "",
        f"Of {total} questions on which the two readings differ, auto has the better one's score on {share:.1%}.",
    ]
    return lines


def read_records(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON-lines file. Raises ValueError naming the line that is none."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number} is no JSON: {error}") from error
        found.append(record)
    return found
