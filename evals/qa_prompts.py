"""Prompts of a question under every reading: what the pipeline would put before a model on a GPU, without the GPU."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from engine.base import Engine, EngineInfo, Message
from engine.chat.tokenizer import ChatTokenizer
from engine.models.resolution import ModelFiles
from engine.preview import bytes_per_token, parameter_count
from engine.rope.context import plan_context, reach_tokens
from evals.datasets.qa import QaQuestion
from indexes.collection import Collection
from pipeline.config import Config, ReadingSettings, RetrievalSettings, RouterSettings
from pipeline.errors import BudgetError
from pipeline.qa.graph import Plan
from pipeline.qa.packing import Order, Passage
from pipeline.qa.prompts import answer_messages
from pipeline.qa.router import Requested, Route, RouteDecision
from pipeline.session import Session

ANSWER_TOKENS = 160
KV_TOKENS = 2_000_000  # of a 16-bit cache of a small model on an H100 or H200; the model's length binds before it
CHUNK_TOKENS = (512, 1024, 4096, 8192, 16384)  # of passages, beside the default
ORDERS: tuple[Order, ...] = ("best_first", "best_last", "best_at_ends")  # of whole documents, beside the default
_TOKENS_OF_A_CHUNK = 120  # at least, mostly: so many chunks are fetched that they fill their budget


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, its tokens, the longest request that its engine is started for, the factor by which that stretches the
    model (1: not at all), and the documents that it holds whole."""

    messages: tuple[Message, ...]
    tokens: int
    needed_tokens: int
    factor: float
    documents: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """The same for prompts that have the same answer: those of the same words and factor."""
        told = json.dumps([[turn.role, turn.content] for turn in self.messages]) + str(self.factor)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


class PlannedSource:
    """An engine source that previews a GPU's engine and never starts one."""

    def __init__(self, model: ModelFiles) -> None:
        self._model = model
        tokenizer = ChatTokenizer(model.folder)
        # The same documents are counted for every reading of a question.
        self._count = lru_cache(maxsize=4096)(tokenizer.count)
        self._render = lru_cache(maxsize=64)(lambda messages: len(tokenizer.render(messages)))

    def preview(self, needed_tokens: int) -> EngineInfo:
        plan = plan_context(self._model.config, min(needed_tokens, reach_tokens(self._model.config)))
        return EngineInfo(
            self._model.name, "planned", "GPU", plan.max_model_tokens, plan.native_tokens, dtype="bfloat16",
            kv_dtype="bfloat16", kv_tokens=KV_TOKENS, kv_block_tokens=16,
            kv_bytes_per_token=bytes_per_token(self._model, "bfloat16"), rope=plan.scaling,
            parameters=parameter_count(self._model),
        )  # fmt: skip

    def count_tokens(self, text: str) -> int:
        return self._count(text)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return self._render(tuple(messages))

    def free_kv_tokens(self) -> int | None:
        return None

    def start(self, needed_tokens: int, on_stage: Any) -> Engine:
        raise RuntimeError("a planned engine does not start")

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans for one collection and a planned engine, each by its own settings."""

    collection: Collection
    source: PlannedSource

    def plan(self, question: str, config: Config) -> Plan:
        """What would be read. Raises BudgetError where nothing was found or fits."""
        return self._session(config).plan(question)

    def prompt(self, plan: Plan, config: Config, decision: RouteDecision | None = None) -> Prompt:
        """What the model gets to read by a plan, or by another decision for it, and the factor that stretches it.

        Raises BudgetError where a decision's documents do not fit.
        """
        session, chosen = self._session(config), decision or plan.decision
        reading = plan.reading if decision is None else session.read(plan, decision)
        needed = session.needed_tokens(plan, chosen)
        return self._prompt(reading.messages, reading.prompt_tokens, needed, chosen.documents)

    def passages(self, plan: Plan, passages: Sequence[Passage]) -> Prompt:
        """The passages of a plan in another order."""
        messages = tuple(answer_messages([passage.prompt() for passage in passages], plan.question))
        tokens = self.source.prompt_tokens(messages)
        return self._prompt(messages, tokens, plan.decision.prompt_tokens + ANSWER_TOKENS, ())

    def _prompt(self, messages: tuple[Message, ...], tokens: int, needed: int, documents: tuple[int, ...]) -> Prompt:
        rope = self.source.preview(needed).rope
        return Prompt(messages, tokens, needed, rope.factor if rope else 1.0, documents)

    def _session(self, config: Config) -> Session:
        return Session(config, self.collection, self.source)


def prepared(question: QaQuestion, planner: Planner, variants: bool) -> dict[str, Any]:
    """One question's record: its prompts by reading, auto's choice and what it would escalate to.

    Whole documents and lengths of passages that fit no budget are missing. With `variants`, passages of other lengths
    and orders and whole documents in other orders are read too, named after an @. Raises BudgetError where no passage
    fits.
    """
    auto, chunked = (planner.plan(question.text, _config(requested)) for requested in ("auto", "chunked"))
    prompts = {"chunked": planner.prompt(chunked, _config("chunked"))}
    native = _possible(planner, question.text, _config("native"))
    if native is not None:
        prompts["native"] = planner.prompt(native, _config("native"))
    decision = auto.decision
    reads_whole = decision.route is Route.NATIVE
    whole = decision if reads_whole else auto.whole
    chosen = None
    if whole is not None:
        prompt = planner.prompt(auto, _config("auto"), whole)
        chosen = "native" if native is not None and prompt.key == prompts["native"].key else "whole"
        prompts.setdefault(chosen, prompt)
    if variants:
        prompts |= _variants(question.text, planner, chunked, native)
    return {
        "id": question.id, "group": question.group, "question": question.text, "gold": question.gold,
        "scorer": question.scorer, "auto": str(decision.route), "auto_reading": chosen if reads_whole else None,
        "escalation": chosen, "signals": asdict(decision.signals), "reasons": decision.reasons,
        "prompts": {name: asdict(prompt) for name, prompt in prompts.items()},
    }  # fmt: skip


def stored_prompt(stored: Mapping[str, Any]) -> Prompt:
    """A prompt as a record holds it."""
    turns = tuple(Message(turn["role"], turn["content"]) for turn in stored["messages"])
    return Prompt(turns, stored["tokens"], stored["needed_tokens"], stored["factor"], tuple(stored["documents"]))


def _variants(question: str, planner: Planner, chunked: Plan, native: Plan | None) -> dict[str, Prompt]:
    found = {}
    for tokens in CHUNK_TOKENS:
        config = _config("chunked", chunk_tokens=tokens)
        if (state := _possible(planner, question, config)) is not None:
            found[f"chunked@{tokens}"] = planner.prompt(state, config)
    by_score = sorted(chunked.reading.passages, key=lambda passage: -passage.score)
    found["chunked@best_first"] = planner.passages(chunked, by_score)
    found["chunked@best_last"] = planner.passages(chunked, by_score[::-1])
    if native is not None and len(native.decision.documents) > 1:
        for order in ORDERS:
            config = _config("native", order=order)
            found[f"native@{order}"] = planner.prompt(native, config, native.decision)
    return found


def _possible(planner: Planner, question: str, config: Config) -> Plan | None:
    """A plan, None where nothing fits."""
    try:
        return planner.plan(question, config)
    except BudgetError:
        return None


def _config(requested: Requested, chunk_tokens: int | None = None, order: Order = "document") -> Config:
    fetched = max(RetrievalSettings().chunks, (chunk_tokens or 0) // _TOKENS_OF_A_CHUNK)
    return Config(
        router=RouterSettings(route=requested, time_limit_s=0.0),
        retrieval=RetrievalSettings(chunks=fetched),
        reading=ReadingSettings(answer_tokens=ANSWER_TOKENS, chunk_tokens=chunk_tokens, order=order),
    )
