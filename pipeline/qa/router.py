"""Passages or whole documents: a decision from the question, the evidence and a budget, with its reasons. Pure.

Whole documents are worth their tokens where an answer must be drawn together from many places; one fact lies in one
place, which the passages hold or the model misses, and then they are read whole after all (Self-Route: Li et al., 2024,
arXiv 2407.16833). Small models lose more over a very long context than they gain (LaRA: Li et al., 2025, arXiv
2502.09977).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ..errors import BudgetError
from .budget import Budget, Limit
from .evidence import Candidate, Costs, Evidence, ModelStrength, Signals
from .question_kind import QuestionKind


class Route(StrEnum):
    """How the documents are read: the best chunks, or whole documents."""

    CHUNKED = "chunked"
    NATIVE = "native"


Requested = Literal["auto", "chunked", "native"]
# Whole reading that a model of a strength is trusted with for the sake of the answer; None: as far as it is reliable.
# A small model's answers were measured to be no better by it (docs/results.md); the others are set by hand.
WHOLE_TOKENS: dict[ModelStrength, int | None] = {
    ModelStrength.SMALL: 0,
    ModelStrength.MEDIUM: 32_768,
    ModelStrength.UNKNOWN: 32_768,
    ModelStrength.LARGE: None,
}
# Passages that are read at most: a small model's answers were no better with more of them (docs/results.md).
PASSAGE_TOKENS: dict[ModelStrength, int] = {
    ModelStrength.SMALL: 2048,
    ModelStrength.MEDIUM: 4096,
    ModelStrength.UNKNOWN: 4096,
    ModelStrength.LARGE: 4096,
}
UNSURE = 0.3  # a kind less probable than this says nothing
_SCATTERED = (QuestionKind.COMPARISON, QuestionKind.AGGREGATION, QuestionKind.SYNTHESIS)


@dataclass(frozen=True, slots=True)
class CandidateReading:
    """One of the two readings that were weighed: whole documents or passages, the prompt's tokens (for passages at
    most), what they cost, and whether every limit allows it."""

    route: Route
    documents: int
    tokens: int
    seconds: float | None
    kv_bytes: int | None
    fits: bool


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """What to read, why, and what stays out.

    `prompt_tokens` is the budget of the whole prompt under this route; `limit` is the one that binds it.
    `documents` are the ids to read whole under `native`. `escalated` tells that passages were tried before.
    """

    route: Route
    requested: Requested
    prompt_tokens: int
    limit: Limit
    documents: tuple[int, ...]
    reasons: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    signals: Signals = Signals()
    limits: tuple[Limit, ...] = ()
    readings: tuple[CandidateReading, ...] = ()
    escalated: bool = False


def decide(
    evidence: Evidence, budget: Budget, requested: Requested, chunk_tokens: int, costs: Costs = Costs()
) -> RouteDecision:
    """The route for a question.

    `chunk_tokens` bounds the passages of the chunked route. Whole reading takes as many candidates, best first, as
    fit: every limit under "auto", only the engine's hard ones where "native" was requested. Raises BudgetError where
    nothing fits.
    """
    candidates, overhead_tokens, signals = evidence.candidates, evidence.overhead_tokens, evidence.signals
    limit = budget.binding(hard_only=requested == "native")
    hard = budget.binding(hard_only=True)
    taken, left_out, used = _fitting(candidates, overhead_tokens, limit)
    passages = min(chunk_tokens + overhead_tokens, hard.tokens)
    readings = _readings(candidates, taken, used, passages, overhead_tokens, costs)
    if requested == "native":
        if not taken:
            raise _nothing_fits(candidates, overhead_tokens, hard)
        native, reasons = True, _asked_native(candidates, len(taken), used, budget)
    else:
        native, reason = _weigh(candidates, taken, used, passages, limit, signals)
        native = native and requested == "auto"
        reasons = [reason if requested == "auto" else "chunked reading was asked for"]
    if native:
        ids = tuple(item.document_id for item in taken)
        weighed = (signals, budget.limits, readings)
        return RouteDecision(Route.NATIVE, requested, limit.tokens, limit, ids, tuple(reasons), left_out, *weighed)
    if passages <= overhead_tokens:
        raise BudgetError(
            f"the question and its instructions need {overhead_tokens:,} tokens, and the budget is {hard.tokens:,} "
            f"({hard.reason})",
            "ask a shorter question, lower [reading] answer_tokens, or give the engine a longer context",
        )
    weighed = (signals, budget.limits, readings)
    return RouteDecision(Route.CHUNKED, requested, passages, hard, (), tuple(reasons), (), *weighed)


def escalate(evidence: Evidence, budget: Budget, tried: RouteDecision, costs: Costs = Costs()) -> RouteDecision | None:
    """Whole reading of the documents that carry the evidence after passages did not hold the answer.

    None where a limit forbids the best of them, or where passages were what was asked for.
    """
    candidates, overhead_tokens = evidence.candidates, evidence.overhead_tokens
    limit = budget.binding()
    taken, left_out, used = _fitting(candidates, overhead_tokens, limit)
    if tried.route is not Route.CHUNKED or tried.requested != "auto" or tried.escalated:
        return None
    if not candidates or candidates[0] not in taken:
        return None
    reasons = (f"the passages did not hold the answer: {_documents(len(taken))}, {used:,} tokens, read whole",)
    readings = _readings(candidates, taken, used, tried.prompt_tokens, overhead_tokens, costs)
    ids = tuple(item.document_id for item in taken)
    return RouteDecision(
        Route.NATIVE, "auto", limit.tokens, limit, ids, reasons, left_out, tried.signals, budget.limits, readings,
        escalated=True,
    )  # fmt: skip


def _weigh(
    candidates: Sequence[Candidate],
    taken: Sequence[Candidate],
    used: int,
    passages: int,
    limit: Limit,
    signals: Signals,
) -> tuple[bool, str]:
    """Whether whole reading is the better one under "auto", and why."""
    if not candidates:
        return False, "no document is a candidate for being read whole"
    best = candidates[0]
    if best not in taken:
        return False, (
            f"the best document, {best.name}, has {best.tokens:,} tokens, over the {limit.tokens:,} of the "
            f"{limit.name} ({limit.reason})"
        )
    whole = f"{_documents(len(taken))}, {used:,} tokens"
    if len(taken) == len(candidates) and used <= passages:
        return True, f"{whole}, cost no more than passages"
    kind = signals.kind if signals.kind_probability >= UNSURE else None
    if kind not in _SCATTERED:
        asks = (
            "what the question asks is not clear" if kind is None else f"a question of kind {kind} asks for one place"
        )
        return False, f"{asks}: passages of at most {passages:,} tokens, where whole reading takes {used:,}"
    if len(taken) < len(candidates):
        return False, (
            f"a question of kind {kind} needs all {_documents(len(candidates))}, and {len(taken)} fit the "
            f"{limit.tokens:,} tokens of the {limit.name} ({limit.reason})"
        )
    trusted = WHOLE_TOKENS[signals.strength]
    if trusted == 0:
        model = f"a model of {signals.strength} strength"
        return False, f"a question of kind {kind} draws on many places, but {model} answers no better by {whole}"
    if trusted is not None and used > trusted:
        return False, (
            f"{whole}, are over the {trusted:,} up to which a model of {signals.strength} strength gains by them"
        )
    return True, f"a question of kind {kind} draws on many places: {whole}, fit the {limit.name} ({limit.reason})"


def _fitting(
    candidates: Sequence[Candidate], overhead_tokens: int, limit: Limit
) -> tuple[list[Candidate], tuple[str, ...], int]:
    """The documents that fit, best first, those that do not, and the prompt's tokens."""
    taken: list[Candidate] = []
    left_out: list[str] = []
    used = overhead_tokens
    for item in candidates:
        if used + item.tokens <= limit.tokens:
            taken.append(item)
            used += item.tokens
        else:
            left_out.append(f"{item.name}: {item.tokens:,} tokens do not fit beside the {used:,} already taken")
    return taken, tuple(left_out), used


def _readings(
    candidates: Sequence[Candidate],
    taken: Sequence[Candidate],
    used: int,
    passages: int,
    overhead_tokens: int,
    costs: Costs,
) -> tuple[CandidateReading, ...]:
    """Whole reading, of all candidates where not one fits, and passages."""

    def reading(route: Route, documents: int, tokens: int, fits: bool) -> CandidateReading:
        kv_bytes = None if costs.kv_bytes_per_token is None else tokens * costs.kv_bytes_per_token
        return CandidateReading(route, documents, tokens, costs.seconds(tokens), kv_bytes, fits)

    whole = used if taken else overhead_tokens + sum(item.tokens for item in candidates)
    return (
        reading(Route.NATIVE, len(taken) or len(candidates), whole, bool(taken)),
        reading(Route.CHUNKED, 0, max(0, passages), passages > overhead_tokens),
    )


def _asked_native(candidates: Sequence[Candidate], taken: int, used: int, budget: Budget) -> list[str]:
    reasons = [f"native reading was asked for: {taken} of {len(candidates)} documents, {used:,} tokens"]
    return reasons + [
        f"beyond the {limit.name} of {limit.tokens:,} tokens ({limit.reason})"
        for limit in budget.limits
        if not limit.hard and used > limit.tokens
    ]


def _nothing_fits(candidates: Sequence[Candidate], overhead_tokens: int, hard: Limit) -> BudgetError:
    first = f"{candidates[0].name} has {candidates[0].tokens:,} tokens" if candidates else "there is no document"
    return BudgetError(
        f"no whole document fits: {first}, and the budget is {hard.tokens - overhead_tokens:,} ({hard.reason})",
        "use --route chunked, or give the engine a longer context or a larger KV cache",
    )


def _documents(count: int) -> str:
    return f"{count} whole document{'' if count == 1 else 's'}"
