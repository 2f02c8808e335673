"""Chunks or whole documents: a decision from token counts and a budget, with its reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .budget import Budget, Limit
from .errors import BudgetError


class Route(StrEnum):
    """How the documents are read: the best chunks, or whole documents."""

    CHUNKED = "chunked"
    NATIVE = "native"


Requested = Literal["auto", "chunked", "native"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that could be read whole: its name and its tokens, header included."""

    document_id: int
    name: str
    tokens: int


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """What to read, why, and what stays out.

    `prompt_tokens` is the budget of the whole prompt under this route; `limit` is the one that binds it.
    `documents` are the ids to read whole under `native`.
    """

    route: Route
    requested: Requested
    prompt_tokens: int
    limit: Limit
    documents: tuple[int, ...]
    reasons: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def decide(
    requested: Requested,
    candidates: Sequence[Candidate],
    overhead_tokens: int,
    budget: Budget,
    chunk_tokens: int,
) -> RouteDecision:
    """The route for a question.

    `candidates` are whole documents, best first; `overhead_tokens` is the prompt without any document;
    `chunk_tokens` bounds the passages of the chunked route. Under "auto" whole documents are read where all
    candidates fit every limit. A requested "native" obeys only the engine's hard limits and takes as many
    documents, best first, as fit. Raises BudgetError where nothing fits.
    """
    whole = sum(item.tokens for item in candidates) + overhead_tokens
    binding = budget.binding()
    count = f"{len(candidates)} whole document{'s' if len(candidates) != 1 else ''}"
    if requested == "native":
        return _native(candidates, overhead_tokens, budget)
    if requested == "auto" and candidates and whole <= binding.tokens:
        reasons = (f"{count} need {whole:,} tokens and fit the budget of {binding.tokens:,} ({binding.reason})",)
        ids = tuple(item.document_id for item in candidates)
        return RouteDecision(Route.NATIVE, requested, binding.tokens, binding, ids, reasons)
    hard = budget.binding(hard_only=True)
    allowed = min(chunk_tokens + overhead_tokens, hard.tokens)
    if allowed <= overhead_tokens:
        raise BudgetError(
            f"the question and its instructions need {overhead_tokens:,} tokens, and the budget is {hard.tokens:,} "
            f"({hard.reason})",
            "ask a shorter question, lower [reading] answer_tokens, or give the engine a longer context",
        )
    if requested == "chunked":
        reason = "chunked reading was asked for"
    elif candidates:
        reason = f"{count} need {whole:,} tokens, over the {binding.tokens:,} of the {binding.name} ({binding.reason})"
    else:
        reason = "no document is a candidate for being read whole"
    return RouteDecision(Route.CHUNKED, requested, allowed, hard, (), (reason,))


def _native(candidates: Sequence[Candidate], overhead_tokens: int, budget: Budget) -> RouteDecision:
    hard = budget.binding(hard_only=True)
    taken: list[Candidate] = []
    left_out: list[str] = []
    used = overhead_tokens
    for item in candidates:
        if used + item.tokens <= hard.tokens:
            taken.append(item)
            used += item.tokens
        else:
            left_out.append(f"{item.name}: {item.tokens:,} tokens do not fit beside the {used:,} already taken")
    if not taken:
        first = f"{candidates[0].name} has {candidates[0].tokens:,} tokens" if candidates else "there is no document"
        raise BudgetError(
            f"no whole document fits: {first}, and the budget is {hard.tokens - overhead_tokens:,} ({hard.reason})",
            "use --route chunked, or give the engine a longer context or a larger KV cache",
        )
    reasons = [f"native reading was asked for: {len(taken)} of {len(candidates)} documents, {used:,} tokens"]
    reasons += [
        f"beyond the {limit.name} of {limit.tokens:,} tokens ({limit.reason})"
        for limit in budget.limits
        if not limit.hard and used > limit.tokens
    ]
    ids = tuple(item.document_id for item in taken)
    return RouteDecision(Route.NATIVE, "native", hard.tokens, hard, ids, tuple(reasons), tuple(left_out))
