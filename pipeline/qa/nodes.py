"""The steps of a question, from retrieving to checking. Each takes the state and returns its part."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engine.base import Sampling, complete
from engine.errors import EngineError
from indexes.search.ranking import SearchMode, SearchResult

from ..config import Config
from ..engines import EngineSource, speed_profile
from ..errors import BudgetError
from .answer import (
    SCHEMA_VERSION,
    Answer,
    AnswerTimings,
    Citation,
    FirstTry,
    Status,
    citation,
    cite,
    judge,
    read_passages,
)
from .evidence import Evidence, Outlook, engine_tokens, gather, planned, running, too_large
from .grounding import check_answer
from .packing import Reading, read_chunks, read_documents, section_passage
from .prompts import says_not_found
from .router import PASSAGE_TOKENS, Route, RouteDecision, decide
from .router import escalate as escalate_to
from .state import Attempt, QuestionState, Surroundings

CHUNK_SHARE = 0.15  # of the trained length, where [reading] chunk_tokens is not set
_CLOSEST = 3  # places shown where nothing supports an answer


def retrieve(state: QuestionState, around: Surroundings) -> QuestionState:
    """Adds what the collection finds."""
    around.listener.stage("searching the documents")
    seconds = dict(state.get("seconds", {}))
    mode = around.config.retrieval.mode
    with timed(seconds, "retrieval"):
        found = around.collection.search(
            state["question"], around.config.retrieval.chunks, SearchMode(mode) if mode else None, around.reranker
        )
    return {"found": found, "seconds": seconds}


def route(state: QuestionState, around: Surroundings) -> QuestionState:
    """Decides by what the engine would be, and whether whole documents would follow passages without the answer."""
    around.listener.stage("choosing the route")
    source, config, documents = around.source, around.config, state["found"].documents
    evidence = gather(state["question"], documents, around.collection, source, config.retrieval.documents)
    outlook = planned(evidence, source, config)
    try:
        decision = _decided(evidence, outlook, config)
    except BudgetError as error:
        reasons = too_large(evidence, outlook.budget, around.collection, source.count_tokens)
        if config.router.route != "native" or not reasons:
            raise
        raise BudgetError(f"{error}; {'; '.join(reasons)}", error.hint) from error
    if config.router.route == "auto" and decision.route is Route.CHUNKED:
        left_out = too_large(evidence, outlook.budget, around.collection, source.count_tokens)
        decision = replace(decision, left_out=left_out)
    whole = escalate_to(evidence, outlook.budget, decision, outlook.costs) if config.router.escalate else None
    engine = source.preview(needed_tokens(evidence, decision, source, config.reading.answer_tokens))
    return {"evidence": evidence, "decision": decision, "whole": whole, "engine": engine}


def start(state: QuestionState, around: Surroundings) -> QuestionState:
    """Starts the engine for the decision, and decides again by what the engine really has."""
    source, config, seconds = around.source, around.config, dict(state["seconds"])
    evidence, before = state["evidence"], state["decision"]
    with timed(seconds, "engine_start"):
        needed = needed_tokens(evidence, before, source, config.reading.answer_tokens)
        engine = source.start(needed, around.listener.stage)
    decision = _decided(evidence, running(source, config), config)
    if config.router.route == "auto" and decision.route is Route.CHUNKED:
        # An engine that was started for passages is shorter than the model could be made.
        decision = replace(decision, left_out=before.left_out if before.route is Route.CHUNKED else ())
    return {"decision": decision, "engine": engine.info, "seconds": seconds}


def escalate(state: QuestionState, around: Surroundings) -> QuestionState:
    """The decision for whole documents, after passages did not hold the answer. What forbids it leaves the first
    answer as it is."""
    around.listener.stage("not in the passages: reading whole documents")
    source, config, seconds = around.source, around.config, dict(state["seconds"])
    evidence, before, whole = state["evidence"], state["decision"], state["whole"]
    if whole is None:
        return {}
    try:
        with timed(seconds, "engine_start"):
            needed = needed_tokens(evidence, whole, source, config.reading.answer_tokens)
            engine = source.start(needed, around.listener.stage)
        outlook = running(source, config)
        decision = escalate_to(evidence, outlook.budget, before, outlook.costs)
    except EngineError as error:  # the first answer is there, and stays
        around.listener.stage(f"not read whole: {error}")
        decision = None
    if decision is None:
        return {"whole": None, "seconds": seconds}
    passages = Attempt(before, state["engine"], state["reading"], state["completion"])
    return {"decision": decision, "whole": None, "passages": passages, "engine": engine.info, "seconds": seconds}


def pack(state: QuestionState, around: Surroundings) -> QuestionState:
    """Packs what the route reads into its budget. Raises BudgetError where nothing of it fits."""
    try:
        return {"reading": read(state["question"], state["found"], state["decision"], around)}
    except BudgetError as error:
        passages = state.get("passages")
        if passages is None:
            raise
        around.listener.stage(f"not read whole: {error}")  # the first answer is there, and stays
        back: QuestionState = {"decision": passages.decision, "engine": passages.engine, "reading": passages.reading}
        return {**back, "passages": None}


def read(question: str, found: SearchResult, decision: RouteDecision, around: Surroundings) -> Reading:
    """What a decision reads of what was found, within its budget. Raises BudgetError where nothing of it fits."""
    collection, source = around.collection, around.source
    if decision.route is Route.CHUNKED:
        reading = read_chunks(
            found.hits, question, decision.prompt_tokens, source.count_tokens, source.prompt_tokens,
            lambda passage: section_passage(passage, collection.section_chunks(passage.document.id, passage.start)),
        )  # fmt: skip
    else:
        by_id = {hit.document.id: hit.document for hit in found.documents}
        whole = [(by_id[i], collection.text(i), collection.structure(i)[0]) for i in decision.documents]
        order = around.config.reading.order
        reading = read_documents(whole, question, decision.prompt_tokens, source.prompt_tokens, order)
    if not reading.passages:
        raise BudgetError(
            f"none of the {len(reading.left_out)} passages found fits a prompt of {decision.prompt_tokens:,} tokens",
            "raise [reading] chunk_tokens, ask a shorter question, or index anew with fewer [index] chunk_characters",
        )
    return reading


def generate(state: QuestionState, around: Surroundings) -> QuestionState:
    """Has the engine write the answer, and keeps how long its prefill took."""
    reading, config = state["reading"], around.config
    tokens = f"{reading.prompt_tokens:,} tokens"
    expected = speed_profile(state["engine"]).predict(reading.prompt_tokens)
    around.listener.stage(f"reading {tokens}" + (f", about {expected:.0f} s" if expected else ""))
    sampling = Sampling(max_tokens=config.reading.answer_tokens, temperature=config.engine.temperature)
    engine = around.source.start(reading.prompt_tokens + sampling.max_tokens, around.listener.stage)
    completion = complete(engine, reading.messages, sampling, around.listener.text)
    if completion.usage.cached_tokens == 0:
        profile = speed_profile(engine.info)
        profile.record(completion.usage.prompt_tokens, completion.timings.first_token_s)
    return {"completion": completion}


def check(state: QuestionState, around: Surroundings) -> QuestionState:
    """Matches the answer's sentences with the reading and makes the final record."""
    around.listener.stage("checking the answer against what was read")
    seconds = dict(state["seconds"])
    completion, reading = state["completion"], state["reading"]
    not_found = says_not_found(completion.text)
    with timed(seconds, "check"):
        text = "" if not_found else completion.text
        checked = check_answer(text, state["question"], reading.passages, around.collection.encoder)
        parts, citations = cite(checked, reading.passages, around.collection.place)
    status = judge(parts, completion, not_found)
    return {
        "answer": Answer(
            schema_version=SCHEMA_VERSION,
            question=state["question"],
            status=status,
            text=completion.text.strip(),
            sentences=parts,
            citations=citations,
            route=state["decision"],
            reading=read_passages(reading),
            left_out=(*state["decision"].left_out, *reading.left_out),
            closest=() if status is Status.ANSWERED else _closest(reading),
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.usage.prompt_tokens,
            completion_tokens=completion.usage.completion_tokens,
            cached_tokens=completion.usage.cached_tokens,
            first_try=_first_try(state.get("passages")),
            engine=state["engine"],
            timings=AnswerTimings(
                retrieval_s=seconds.get("retrieval"),
                engine_start_s=seconds.get("engine_start"),
                prefill_s=completion.timings.first_token_s,
                decode_s=completion.timings.decode_s,
                check_s=seconds.get("check"),
            ),
        )
    }


def refuse(state: QuestionState, around: Surroundings) -> QuestionState:
    """The record of a question for which nothing was found, or of a dry run."""
    decision, reading = state.get("decision"), state.get("reading")
    dry = state["dry_run"] and decision is not None
    left_out = (*(decision.left_out if decision else ()), *(reading.left_out if reading else ()))
    return {
        "answer": Answer(
            schema_version=SCHEMA_VERSION,
            question=state["question"],
            status=Status.DRY_RUN if dry else Status.NOT_FOUND,
            text="",
            sentences=(),
            citations=(),
            route=decision,
            reading=read_passages(reading) if reading else (),
            left_out=left_out,
            closest=(),
            finish_reason=None,
            prompt_tokens=reading.prompt_tokens if reading else None,
            completion_tokens=None,
            cached_tokens=None,
            first_try=None,
            engine=state.get("engine"),
            timings=AnswerTimings(retrieval_s=state["seconds"].get("retrieval")),
        )
    }


def needed_tokens(evidence: Evidence, decision: RouteDecision, source: EngineSource, answer_tokens: int) -> int:
    """The longest request that a decision leads to, for which the engine is started: it sets the RoPE scaling."""
    if decision.route is Route.CHUNKED:
        return decision.prompt_tokens + answer_tokens
    return engine_tokens(evidence.tokens_of(decision.documents) + answer_tokens, decision.requested, source)


def _decided(evidence: Evidence, outlook: Outlook, config: Config) -> RouteDecision:
    """The decision for an engine, with the length of passages that is set or fits the model."""
    info = outlook.info
    trained = info.native_tokens or info.max_model_tokens
    most = PASSAGE_TOKENS[evidence.signals.strength]
    chunk_tokens = config.reading.chunk_tokens or min(int(trained * CHUNK_SHARE), most)
    return decide(evidence, outlook.budget, config.router.route, chunk_tokens, outlook.costs)


def _first_try(passages: Attempt | None) -> FirstTry | None:
    if passages is None:
        return None
    usage, timings = passages.completion.usage, passages.completion.timings
    return FirstTry(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        timings.first_token_s,
        timings.decode_s,
    )


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Adds what the block takes to a part's seconds."""
    started = time.monotonic()
    yield
    seconds[part] = seconds.get(part, 0.0) + time.monotonic() - started


def _closest(reading: Reading) -> tuple[Citation, ...]:
    """The passages that matched the question best, for a reader who wants to look for himself."""
    best = sorted(reading.passages, key=lambda passage: -passage.score)[:_CLOSEST]
    return tuple(
        citation(number, passage, passage.start, passage.end, passage.text.strip())
        for number, passage in enumerate(best, 1)
    )
