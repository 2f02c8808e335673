"""Answers scored: each route's accuracy, tokens and times, Self-Route and auto put together, and the oracle's choice.

Passages and whole documents are read for every question. What auto and Self-Route would have answered follows from
those answers: each reading was made by an engine that stretches the model as `ask` would for it, decoding is greedy,
auto's choice is recorded with the question, and "not in the documents" leads on.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.qa_prompts import stored_prompt
from evals.scorers import ranking as metrics
from evals.scorers.answers import chosen_letter, exact_match, f1, number_recall, numeric_match
from pipeline.qa.prompts import says_not_found

ROUTES = ("chunked", "native", "auto", "self-route", "oracle")


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


def joined(records: Iterable[Mapping[str, Any]], answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Questions with their answers by reading, which `readings` names; the prompts are left behind.

    An answer belongs to the prompt that it was given to, whatever the reading was called then.
    """
    by = {(line["id"], line["prompt"]): line for line in answers}
    found = []
    for record in records:
        keys = {name: (record["id"], stored_prompt(prompt).key) for name, prompt in record["prompts"].items()}
        kept = {key: value for key, value in record.items() if key != "prompts"}
        given = {name: by[key] for name, key in keys.items() if key in by}
        found.append(kept | {"readings": list(keys), "answers": given})
    return found


def outcomes(records: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """All routes of all questions whose readings were all answered."""
    return [_outcome(record, route) for record in records if _is_answered(record) for route in ROUTES]


def _is_answered(record: Mapping[str, Any]) -> bool:
    return all(name in record["answers"] for name in record["readings"] if "@" not in name)


def _outcome(record: Mapping[str, Any], route: str) -> Outcome:
    answers = record["answers"]
    readings = _readings(record, route)
    last = answers[readings[-1]]
    tokens = sum(answers[reading]["prompt_tokens"] for reading in readings)
    seconds = sum(answers[reading]["first_token_s"] for reading in readings)
    seconds += sum(answers[reading]["decode_s"] for reading in readings[:-1])
    return Outcome(
        record["id"], record["group"], route, _score(record, readings[-1]), exact_match(last["text"], record["gold"]),
        tokens, seconds, tuple(readings),
    )  # fmt: skip


def _score(record: Mapping[str, Any], reading: str) -> float:
    return score_answer(record["answers"][reading]["text"], record["gold"], record["scorer"])


def _readings(record: Mapping[str, Any], route: str) -> list[str]:
    """The readings that a route makes, in order. Where whole reading cannot be made, passages are all there is."""
    answers, escalation = record["answers"], record["escalation"]
    native = "native" if "native" in record["readings"] else "chunked"
    if route == "native":
        return [native]
    if route == "oracle":
        return [native if _score(record, native) > _score(record, "chunked") else "chunked"]
    if route == "auto" and record["auto"] == "native":
        return [record["auto_reading"]]
    refused = says_not_found(answers["chunked"]["text"]) and escalation is not None
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


@dataclass(frozen=True, slots=True)
class RouteAccuracy:
    """Among `questions` on which passages and whole documents differ, the share on which auto's reading scores no less
    than the better one."""

    share: float
    questions: int


def route_accuracy(found: Sequence[Outcome]) -> RouteAccuracy:
    """Auto's choices against the oracle's; NaN where the two readings never differ."""
    by = {(item.question, item.route): item for item in found}
    right = total = 0
    for question in dict.fromkeys(item.question for item in found):
        chunked, native, auto = (by[question, route].score for route in ("chunked", "native", "auto"))
        if math.isnan(chunked) or math.isnan(native) or chunked == native:
            continue
        total += 1
        right += auto >= max(chunked, native) - 1e-9
    return RouteAccuracy(right / total if total else math.nan, total)


@dataclass(frozen=True, slots=True)
class VariantScore:
    """A variant of a reading over the questions that all variants of it were answered for; `gain` is its score less
    that of the reading itself, question by question."""

    group: str
    reading: str
    questions: int
    accuracy: metrics.Interval
    gain: metrics.Interval
    mean_prompt_tokens: float


def variants(records: Sequence[Mapping[str, Any]]) -> list[VariantScore]:
    """Passages of other lengths and orders, and whole documents in other orders, by group and over all."""
    names = list(dict.fromkeys(name for record in records for name in record["answers"]))
    found = []
    for base in ("chunked", "native"):
        compared = [name for name in names if name == base or name.startswith(f"{base}@")]
        own = [record for record in records if record["answers"].keys() >= {base, *compared}]
        if len(compared) < 2 or not own:
            continue
        for group in [*dict.fromkeys(record["group"] for record in own), "all"]:
            within = [record for record in own if group in (record["group"], "all")]
            found += [_variant(group, name, base, within) for name in compared]
    return found


def _variant(group: str, name: str, base: str, records: Sequence[Mapping[str, Any]]) -> VariantScore:
    scores, plain = ([_score(record, reading) for record in records] for reading in (name, base))
    gains = [one - other for one, other in zip(scores, plain, strict=True)]
    tokens = statistics.mean(record["answers"][name]["prompt_tokens"] for record in records)
    return VariantScore(group, name, len(records), metrics.bootstrap(scores), metrics.bootstrap(gains), tokens)


def report(found: Sequence[Outcome], compared: Sequence[VariantScore]) -> list[str]:
    """Markdown: the routes, auto against the oracle, and the variants of readings."""
    lines = ["| set | route | scored | accuracy | exact | prompt tokens, mean | first token, s | read whole |"]
    lines.append("|" + " --- |" * 8)
    for item in summarise(found) if found else ():
        lines.append(
            f"| {item.group} | {item.route} | {item.accuracy.n} | {_interval(item.accuracy)} | {item.exact:.3f} "
            f"| {item.mean_prompt_tokens:,.0f} | {item.median_first_token_s:.2f} | {item.read_whole:.0%} |"
        )
    right = route_accuracy(found)
    lines += [
        "",
        f"Of {right.questions} questions on which the two readings differ, auto has the better one's score on "
        f"{right.share:.1%}.",
    ]
    if compared:
        lines += ["", "| set | reading | scored | accuracy | gain | prompt tokens, mean |", "|" + " --- |" * 6]
    for variant in compared:
        lines.append(
            f"| {variant.group} | {variant.reading} | {variant.accuracy.n} | {_interval(variant.accuracy)} "
            f"| {_interval(variant.gain)} | {variant.mean_prompt_tokens:,.0f} |"
        )
    return lines


def _interval(found: metrics.Interval) -> str:
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"
