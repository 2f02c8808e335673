"""The steps of a question, from retrieving to checking. Each takes the state and returns its part."""

from engine.base import Sampling, complete
from engine.errors import EngineError
from indexes.search.ranking import SearchMode

from ..engines import speed_profile
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
from .grounding import check_answer
from .packing import Reading, read_chunks, read_documents, section_passage
from .prompts import answer_messages, says_not_found
from .router import Route
from .state import QuestionState, Surroundings
from .weighing import Weighing, timed

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
    """Decides by what the engine would be, starts it for that, and decides again by what it really has."""
    around.listener.stage("choosing the route")
    source, seconds = around.source, dict(state["seconds"])
    weighing = Weighing(state, around)
    decision, whole = weighing.decide(), weighing.escalation()
    needed = weighing.needed_tokens(decision)
    if around.dry_run:
        return {"decision": decision, "whole": whole, "engine": source.preview(needed), "seconds": seconds}
    with timed(seconds, "engine_start"):
        engine = source.start(needed, around.listener.stage)
    decision = weighing.decide(running=True)
    return {"decision": decision, "whole": whole, "engine": engine.info, "seconds": seconds}


def escalate(state: QuestionState, around: Surroundings) -> QuestionState:
    """The documents whole, after passages did not hold the answer. What forbids it leaves the first answer as it is."""
    around.listener.stage("not in the passages: reading whole documents")
    seconds, completion = dict(state["seconds"]), state["completion"]
    weighing = Weighing(state, around)
    whole = state["whole"]
    if whole is None:
        return {}
    try:
        with timed(seconds, "engine_start"):
            engine = around.source.start(weighing.needed_tokens(whole), around.listener.stage)
        decision = weighing.escalation(running=True)
        reading = read({**state, "decision": decision}, around)["reading"] if decision else None
    except (EngineError, BudgetError) as error:  # the first answer is there, and stays
        around.listener.stage(f"not read whole: {error}")
        decision = reading = None
    if decision is None or reading is None:
        return {"whole": None, "seconds": seconds}
    first = FirstTry(
        completion.usage.prompt_tokens,
        completion.usage.completion_tokens,
        completion.usage.cached_tokens,
        completion.timings.first_token_s,
        completion.timings.decode_s,
    )
    return {
        "decision": decision,
        "reading": reading,
        "whole": None,
        "first_try": first,
        "engine": engine.info,
        "seconds": seconds,
    }


def read(state: QuestionState, around: Surroundings) -> QuestionState:
    """Packs the passages of the route into its budget. Raises BudgetError where not one of them fits."""
    decision, question, source = state["decision"], state["question"], around.source
    if decision.route is Route.CHUNKED:
        collection = around.collection
        reading = read_chunks(
            state["found"].hits, question, decision.prompt_tokens, source.count_tokens, source.prompt_tokens,
            lambda passage: section_passage(passage, collection.section_chunks(passage.document.id, passage.start)),
        )  # fmt: skip
    else:
        by_id = {hit.document.id: hit.document for hit in state["found"].documents}
        whole = [(by_id[i], around.collection.text(i), around.collection.structure(i)[0]) for i in decision.documents]
        order = around.config.reading.order
        reading = read_documents(whole, question, decision.prompt_tokens, source.prompt_tokens, order)
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
            first_try=state.get("first_try"),
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
            first_try=None,
            engine=state.get("engine"),
            timings=AnswerTimings(retrieval_s=state["seconds"].get("retrieval")),
        )
    }


def _closest(reading: Reading) -> tuple[Citation, ...]:
    """The passages that matched the question best, for a reader who wants to look for himself."""
    best = sorted(reading.passages, key=lambda passage: -passage.score)[:_CLOSEST]
    return tuple(
        citation(number, passage, passage.start, passage.end, passage.text.strip())
        for number, passage in enumerate(best, 1)
    )
