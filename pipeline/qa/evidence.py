"""What the router decides by: documents that carry the evidence, their tokens, and signals, counted once a question."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from engine.base import EngineInfo
from engine.kv.geometry import GIB
from indexes.collection import Collection
from indexes.documents import DocumentHit

from ..config import Config
from ..engines import EngineSource, speed_profile
from .budget import RELIABLE_EXTENDED, Bounds, Budget, request_budget
from .packing import prefix_that_fits, whole_tokens
from .prompts import answer_messages
from .question_kind import QuestionKind, question_kind

RIVAL_SHARE = 0.5  # a document is a candidate for whole reading with half the best one's evidence


class ModelStrength(StrEnum):
    """A model by its parameters: under 4 billion, under 20, more; unknown where an engine does not report them."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    UNKNOWN = "unknown"


SMALL_PARAMETERS, MEDIUM_PARAMETERS = 4_000_000_000, 20_000_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that could be read whole: its name and its tokens, header included."""

    document_id: int
    name: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for one route or the other: the question's kind, how many documents carry the evidence, how far the
    best one is ahead of the next (0: not at all, 1: there is no other), and the model's strength."""

    kind: QuestionKind = QuestionKind.LOOKUP
    kind_probability: float = 0.0
    documents: int = 0
    margin: float = 1.0
    strength: ModelStrength = ModelStrength.UNKNOWN


@dataclass(frozen=True, slots=True)
class Costs:
    """What tokens cost: predicted seconds to the first token and bytes of KV cache; None where it is not known."""

    seconds: Callable[[int], float | None] = field(default=lambda _: None)
    kv_bytes_per_token: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A question's candidates, best first, the tokens of its prompt without any document, and its signals."""

    candidates: tuple[Candidate, ...]
    overhead_tokens: int
    signals: Signals = Signals()

    @property
    def whole_tokens(self) -> int:
        """Tokens of a prompt with all candidates whole."""
        return self.overhead_tokens + sum(item.tokens for item in self.candidates)

    def tokens_of(self, documents: Sequence[int]) -> int:
        """Tokens of a prompt with these documents whole."""
        chosen = set(documents)
        return self.overhead_tokens + sum(item.tokens for item in self.candidates if item.document_id in chosen)


@dataclass(frozen=True, slots=True)
class Outlook:
    """An engine as a decision sees it: what it is, what one request may have, and what tokens cost."""

    info: EngineInfo
    budget: Budget
    costs: Costs


def gather(
    question: str, documents: Sequence[DocumentHit], collection: Collection, source: EngineSource, most: int
) -> Evidence:
    """The evidence for a question among the documents found, best first; at most `most` are candidates."""
    best = documents[0].score if documents else 0.0
    carrying = [hit for hit in documents if hit.score >= best * RIVAL_SHARE]
    candidates = []
    for number, hit in enumerate(carrying[:most], 1):
        document = hit.document
        text, (pages, _) = collection.text(document.id), collection.structure(document.id)
        tokens = whole_tokens(document, text, pages, number, source.count_tokens)
        candidates.append(Candidate(document.id, document.name, tokens))
    overhead = source.prompt_tokens(answer_messages([], question))
    second = documents[1].score if len(documents) > 1 else 0.0
    margin = 1.0 - max(0.0, second) / best if best > 0 else 0.0
    guess = question_kind(question)
    strength = strength_of(source.preview(0).parameters)
    signals = Signals(guess.kind, guess.probability, len(carrying), max(0.0, min(1.0, margin)), strength)
    return Evidence(tuple(candidates), overhead, signals)


def planned(evidence: Evidence, source: EngineSource, config: Config) -> Outlook:
    """The engine as it would be started for all candidates whole; the one that runs, where it holds them."""
    tokens = evidence.whole_tokens + config.reading.answer_tokens
    return _outlook(tokens if config.router.route == "native" else _reliably(tokens, source), source, config)


def running(source: EngineSource, config: Config) -> Outlook:
    """The engine as it runs."""
    return _outlook(0, source, config)


def _outlook(needed_tokens: int, source: EngineSource, config: Config) -> Outlook:
    info = source.preview(needed_tokens)
    predict = speed_profile(info).predict
    bounds = Bounds(config.router.time_limit_s, int(config.router.quota_gib * GIB), config.router.reliable_tokens)
    budget = request_budget(info, config.reading.answer_tokens, bounds, predict, source.free_kv_tokens())
    return Outlook(info, budget, Costs(predict, info.kv_bytes_per_token))


def engine_tokens(tokens: int, requested: str, source: EngineSource) -> int:
    """The length to start an engine for that reads `tokens` whole: it sets the RoPE scaling."""
    return tokens if requested == "native" else _reliably(tokens, source)


def _reliably(tokens: int, source: EngineSource) -> int:
    """The length to start an engine for that is to be trusted with `tokens`: more, where they stretch the model."""
    trained = source.preview(0).native_tokens
    if trained is None or tokens <= trained:
        return tokens
    wide = math.ceil(tokens / RELIABLE_EXTENDED)
    return max(tokens, min(wide, source.preview(wide).max_model_tokens))


def too_large(
    evidence: Evidence, budget: Budget, collection: Collection, count_text: Callable[[str], int]
) -> tuple[str, ...]:
    """Candidates that the engine never holds whole, each with the sections that would fit."""
    hard = budget.binding(hard_only=True)
    left = hard.tokens - evidence.overhead_tokens
    reasons: list[str] = []
    for item in evidence.candidates:
        if item.tokens <= left:
            continue
        text, (_, headings) = collection.text(item.document_id), collection.structure(item.document_id)
        prefix = prefix_that_fits(text, headings, left, count_text)
        ending = "not one of its sections would"
        if prefix:
            ending = f"its sections up to “{prefix.title}” would, {prefix.tokens:,} tokens"
        reasons.append(f"{item.name}: {item.tokens:,} tokens never fit whole ({hard.reason}); {ending}")
    return tuple(reasons)


def strength_of(parameters: int | None) -> ModelStrength:
    """The strength of a model with this many parameters."""
    if parameters is None:
        return ModelStrength.UNKNOWN
    if parameters < SMALL_PARAMETERS:
        return ModelStrength.SMALL
    return ModelStrength.MEDIUM if parameters < MEDIUM_PARAMETERS else ModelStrength.LARGE
