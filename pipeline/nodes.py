"""The steps of a question: retrieve, route, read, answer, check. Each takes the state and returns its part."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.base import Sampling, complete
from engine.kv.geometry import GIB
from indexes.documents import DocumentHit
from indexes.ranking import SearchMode

from .answer import (
    SCHEMA_VERSION,
    Answer,
    AnswerTimings,
    Citation,
    Status,
    citation,
    cite,
    judge,
    read_passages,
)
from .budget import Bounds, request_budget
from .citing import check_answer
from .engines import speed_profile
from .errors import BudgetError
from .prompts import answer_messages, says_not_found
from .reading import Reading, read_chunks, read_documents, whole_tokens
from .router import Candidate, Route, RouteDecision, decide
from .state import QuestionState, Surroundings

CHUNK_SHARE = 0.15  # of the native length, where [reading] chunk_tokens is not set
CHUNK_TOKENS_MOST = 4096
_CLOSEST = 3  # places shown where nothing supports an answer
_RIVAL_SHARE = 0.5  # a document is a candidate for whole reading with half the best one's evidence


def retrieve(state: QuestionState, around: Surroundings) -> QuestionState:
    """Adds what the collection finds."""
    around.listener.stage("searching the documents")
    seconds = dict(state.get("seconds", {}))
    mode = around.config.retrieval.mode
    with _timed(seconds, "retrieval"):
        found = around.collection.search(
            state["question"], around.config.retrieval.chunks, SearchMode(mode) if mode else None, around.reranker
        )
    return {"found": found, "seconds": seconds}


def route(state: QuestionState, around: Surroundings) -> QuestionState:
    """Decides by what the engine would be, starts it for that, and decides again by what it really has."""
    around.listener.stage("choosing the route")
    question, source = state["question"], around.source
    seconds = dict(state["seconds"])
    candidates = _candidates(state["found"].documents, around)
    decision = _decide(state, around, candidates, whole=True)
    needed = _needed_tokens(decision, candidates, question, around)
    if around.dry_run:
        return {"decision": decision, "engine": source.preview(needed), "seconds": seconds}
    with _timed(seconds, "engine_start"):
        engine = source.start(needed, around.listener.stage)
    decision = _decide(state, around, candidates, whole=False)
    return {"decision": decision, "engine": engine.info, "seconds": seconds}


def read(state: QuestionState, around: Surroundings) -> QuestionState:
    """Packs the passages of the route into its budget. Raises BudgetError where not one of them fits."""
    decision, question, source = state["decision"], state["question"], around.source
    if decision.route is Route.CHUNKED:
        reading = read_chunks(
            state["found"].hits, question, decision.prompt_tokens, source.count_tokens, source.prompt_tokens
        )
    else:
        by_id = {hit.document.id: hit.document for hit in state["found"].documents}
        whole = [(by_id[i], around.collection.text(i), around.collection.structure(i)[0]) for i in decision.documents]
        reading = read_documents(whole, question, decision.prompt_tokens, source.prompt_tokens)
    if not reading.passages:
        raise BudgetError(
            f"none of the {len(reading.left_out)} passages found fits a prompt of {decision.prompt_tokens:,} tokens",
            "raise [reading] chunk_tokens, ask a shorter question, or index anew with fewer [index] chunk_characters",
        )
    return {"reading": reading}


def answer(state: QuestionState, around: Surroundings) -> QuestionState:
    """Lets the engine write, and keeps how long its prefill took."""
    reading, config = state["reading"], around.config
    tokens = f"{reading.prompt_tokens:,} tokens"
    expected = speed_profile(state["engine"]).predict(reading.prompt_tokens)
    around.listener.stage(f"reading {tokens}" + (f", about {expected:.0f} s" if expected else ""))
    messages = answer_messages([passage.prompt() for passage in reading.passages], state["question"])
    sampling = Sampling(max_tokens=config.reading.answer_tokens, temperature=config.engine.temperature)
    engine = around.source.start(reading.prompt_tokens + sampling.max_tokens, around.listener.stage)
    completion = complete(engine, messages, sampling, around.listener.text)
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
    with _timed(seconds, "check"):
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
    dry = around.dry_run and decision is not None
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
            engine=state.get("engine"),
            timings=AnswerTimings(retrieval_s=state["seconds"].get("retrieval")),
        )
    }


def _candidates(documents: tuple[DocumentHit, ...], around: Surroundings) -> list[Candidate]:
    """Documents that carry the evidence, best first, with the tokens of their whole text."""
    best = documents[0].score if documents else 0.0
    chosen = [hit.document for hit in documents if hit.score >= best * _RIVAL_SHARE]
    candidates = []
    for number, document in enumerate(chosen[: around.config.retrieval.documents], 1):
        text, (pages, _) = around.collection.text(document.id), around.collection.structure(document.id)
        tokens = whole_tokens(document, text, pages, number, around.source.count_tokens)
        candidates.append(Candidate(document.id, document.name, tokens))
    return candidates


def _decide(state: QuestionState, around: Surroundings, candidates: list[Candidate], whole: bool) -> RouteDecision:
    """The decision by the engine as it is, or, before its start, as it would be for whole documents."""
    source, config = around.source, around.config
    overhead = source.prompt_tokens(answer_messages([], state["question"]))
    answer_tokens = config.reading.answer_tokens
    needed = overhead + sum(item.tokens for item in candidates) + answer_tokens if whole else 0
    info = source.preview(needed)
    profile = speed_profile(info)
    router = config.router
    bounds = Bounds(router.time_limit_s, int(router.quota_gib * GIB), router.reliable_tokens)
    budget = request_budget(info, answer_tokens, bounds, profile.predict, source.free_kv_tokens())
    native = info.native_tokens or info.max_model_tokens
    chunk_tokens = config.reading.chunk_tokens or min(int(native * CHUNK_SHARE), CHUNK_TOKENS_MOST)
    return decide(config.router.route, candidates, overhead, budget, chunk_tokens)


def _needed_tokens(decision: RouteDecision, candidates: list[Candidate], question: str, around: Surroundings) -> int:
    """The longest request that the decision leads to: it sets the RoPE scaling that the engine starts with."""
    reserve = around.config.reading.answer_tokens
    if decision.route is Route.CHUNKED:
        return decision.prompt_tokens + reserve
    overhead = around.source.prompt_tokens(answer_messages([], question))
    chosen = set(decision.documents)
    return overhead + sum(item.tokens for item in candidates if item.document_id in chosen) + reserve


def _closest(reading: Reading) -> tuple[Citation, ...]:
    """The passages that matched the question best, for a reader who wants to look for himself."""
    best = sorted(reading.passages, key=lambda passage: -passage.score)[:_CLOSEST]
    return tuple(
        citation(number, passage, passage.start, passage.end, passage.text.strip())
        for number, passage in enumerate(best, 1)
    )


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[part] = seconds.get(part, 0.0) + time.monotonic() - started
