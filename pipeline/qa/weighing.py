"""What the router needs to know of a question: candidates, signals, limits and costs."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engine.base import EngineInfo
from engine.kv.geometry import GIB
from indexes.documents import DocumentHit

from ..engines import speed_profile
from ..errors import BudgetError
from .budget import RELIABLE_EXTENDED, Bounds, Budget, request_budget
from .packing import prefix_that_fits, whole_tokens
from .prompts import answer_messages
from .question_kind import question_kind
from .router import PASSAGE_TOKENS, Candidate, Costs, Route, RouteDecision, Signals, decide, escalate, strength_of
from .state import QuestionState, Surroundings

CHUNK_SHARE = 0.15  # of the native length, where [reading] chunk_tokens is not set
RIVAL_SHARE = 0.5  # a document is a candidate for whole reading with half the best one's evidence


class Weighing:
    """One question's candidates, counted once, and decisions about them."""

    def __init__(self, state: QuestionState, around: Surroundings) -> None:
        self._question, self._around = state["question"], around
        self._documents = state["found"].documents
        self._candidates = self._count()
        self._overhead = around.source.prompt_tokens(answer_messages([], self._question))
        self._tried = state.get("decision")
        self._never: tuple[str, ...] = ()

    def decide(self, running: bool = False) -> RouteDecision:
        """The decision by the engine as it is, or, before its start, as it would be for whole documents."""
        config = self._around.config
        info, budget, costs = self._engine(running)
        native = info.native_tokens or info.max_model_tokens
        signals = self._signals(info.parameters)
        most = PASSAGE_TOKENS[signals.strength]
        chunk_tokens = config.reading.chunk_tokens or min(int(native * CHUNK_SHARE), most)
        try:
            decision = decide(
                config.router.route, self._candidates, self._overhead, budget, chunk_tokens, signals, costs
            )
        except BudgetError as error:
            if config.router.route != "native" or not (told := self._too_large(budget)):
                raise
            raise BudgetError(f"{error}; {'; '.join(told)}", error.hint) from error
        if config.router.route == "auto" and decision.route is Route.CHUNKED:
            # An engine that was started for passages is shorter than the model could be made.
            self._never = self._never if running else self._too_large(budget)
            decision = replace(decision, left_out=self._never)
        self._tried = decision
        return decision

    def escalation(self, running: bool = False) -> RouteDecision | None:
        """Whole reading, should the passages of the last decision not hold the answer; None where it is not to be."""
        if not self._around.config.router.escalate or self._tried is None:
            return None
        _, budget, costs = self._engine(running)
        return escalate(self._candidates, self._overhead, budget, self._tried, costs)

    def needed_tokens(self, decision: RouteDecision) -> int:
        """The longest request that a decision leads to: it sets the RoPE scaling that the engine starts with."""
        reserve = self._around.config.reading.answer_tokens
        if decision.route is Route.CHUNKED:
            return decision.prompt_tokens + reserve
        chosen = set(decision.documents)
        tokens = self._overhead + sum(item.tokens for item in self._candidates if item.document_id in chosen) + reserve
        return tokens if decision.requested == "native" else self._reliably(tokens)

    def _reliably(self, tokens: int) -> int:
        """The length to start an engine for that is to be trusted with `tokens`: more, where they stretch the model."""
        native = self._around.source.preview(0).native_tokens
        if native is None or tokens <= native:
            return tokens
        wide = math.ceil(tokens / RELIABLE_EXTENDED)
        return max(tokens, min(wide, self._around.source.preview(wide).max_model_tokens))

    def _too_large(self, budget: Budget) -> tuple[str, ...]:
        """Candidates that this engine never holds whole, each with the sections that would fit."""
        hard = budget.binding(hard_only=True)
        room = hard.tokens - self._overhead
        collection = self._around.collection
        told: list[str] = []
        for item, hit in zip(self._candidates, self._chosen(), strict=True):
            if item.tokens <= room:
                continue
            text, (_, headings) = collection.text(hit.document.id), collection.structure(hit.document.id)
            prefix = prefix_that_fits(text, headings, room, self._around.source.count_tokens)
            ending = "not one of its sections would"
            if prefix:
                ending = f"its sections up to “{prefix.title}” would, {prefix.tokens:,} tokens"
            told.append(f"{item.name}: {item.tokens:,} tokens never fit whole ({hard.reason}); {ending}")
        return tuple(told)

    def _chosen(self) -> list[DocumentHit]:
        """Documents that carry the evidence, best first, as many as may be read whole."""
        best = self._documents[0].score if self._documents else 0.0
        chosen = [hit for hit in self._documents if hit.score >= best * RIVAL_SHARE]
        return chosen[: self._around.config.retrieval.documents]

    def _count(self) -> list[Candidate]:
        around, candidates = self._around, []
        for number, hit in enumerate(self._chosen(), 1):
            document = hit.document
            text, (pages, _) = around.collection.text(document.id), around.collection.structure(document.id)
            tokens = whole_tokens(document, text, pages, number, around.source.count_tokens)
            candidates.append(Candidate(document.id, document.name, tokens))
        return candidates

    def _signals(self, parameters: int | None) -> Signals:
        scores = [hit.score for hit in self._documents]
        best, second = (scores[0] if scores else 0.0), (scores[1] if len(scores) > 1 else 0.0)
        margin = 1.0 - max(0.0, second) / best if best > 0 else 0.0
        guess = question_kind(self._question)
        carrying = sum(score >= best * RIVAL_SHARE for score in scores)
        return Signals(guess.kind, guess.probability, carrying, max(0.0, min(1.0, margin)), strength_of(parameters))

    def _engine(self, running: bool) -> tuple[EngineInfo, Budget, Costs]:
        source, router = self._around.source, self._around.config.router
        answer_tokens = self._around.config.reading.answer_tokens
        whole = self._overhead + sum(item.tokens for item in self._candidates) + answer_tokens
        planned = whole if router.route == "native" else self._reliably(whole)
        info = source.preview(0 if running else planned)
        predict = speed_profile(info).predict
        bounds = Bounds(router.time_limit_s, int(router.quota_gib * GIB), router.reliable_tokens)
        budget = request_budget(info, answer_tokens, bounds, predict, source.free_kv_tokens())
        return info, budget, Costs(predict, info.kv_bytes_per_token)


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Adds what the block takes to a part's seconds."""
    started = time.monotonic()
    yield
    seconds[part] = seconds.get(part, 0.0) + time.monotonic() - started
