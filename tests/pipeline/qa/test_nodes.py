"""Each step of a question, over a real collection and the fake engine."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from engine.base import Completion, Delta, EngineInfo, Message, Sampling, Timings, Usage
from engine.estimates.speed import Observation
from engine.fake import FakeEngine
from indexes.errors import QueryError
from pipeline.config import Config, ReadingSettings, RetrievalSettings, RouterSettings
from pipeline.engines import speed_profile
from pipeline.errors import BudgetError
from pipeline.qa import nodes
from pipeline.qa.answer import Status
from pipeline.qa.budget import LimitName
from pipeline.qa.prompts import answer_messages
from pipeline.qa.router import Requested, Route
from pipeline.qa.state import Listener, QuestionState, Surroundings
from tests.support.files import pdf
from tests.support.questions import QUESTION, replying, surroundings, user_message


def _start(question: str = QUESTION) -> QuestionState:
    return {"question": question, "dry_run": False, "seconds": {}}


def _until_read(around: Surroundings, question: str = QUESTION) -> QuestionState:
    state = _start(question)
    for step in (nodes.retrieve, nodes.route, nodes.start, nodes.pack):
        state = {**state, **step(state, around)}
    return state


def _config(route: Requested = "auto", chunk_tokens: int | None = None, documents: int = 3) -> Config:
    return Config(
        router=RouterSettings(route=route),
        reading=ReadingSettings(chunk_tokens=chunk_tokens),
        retrieval=RetrievalSettings(documents=documents),
    )


@pytest.mark.parametrize(
    ("parameters", "native", "passages"),
    [(10**9, 8000, 1200), (10**9, 32_768, 2048), (10**10, 32_768, 4096), (None, 32_768, 4096), (None, 8000, 1200)],
)
def test_passages_are_a_share_of_the_native_length_up_to_what_helps(
    tmp_path: Path, parameters: int | None, native: int, passages: int
) -> None:
    engine = FakeEngine(max_model_tokens=native, parameters=parameters)
    with surroundings(tmp_path, engine, _config("chunked")) as around:
        state = _start()
        decision = nodes.route({**state, **nodes.retrieve(state, around)}, around)["decision"]
        assert decision.prompt_tokens == engine.prompt_tokens(answer_messages([], QUESTION)) + passages


def test_retrieval_takes_as_many_chunks_as_are_set(tmp_path: Path) -> None:
    config = Config(retrieval=RetrievalSettings(chunks=1))
    with surroundings(tmp_path, config=config) as around:
        state = nodes.retrieve(_start(), around)
    assert len(state["found"].hits) == 1
    assert state["seconds"].keys() == {"retrieval"}


def test_retrieval_ranks_by_the_mode_that_is_set(tmp_path: Path) -> None:
    config = Config(retrieval=RetrievalSettings(mode="dense"))
    with surroundings(tmp_path, config=config, embedding="hash") as around:
        found = nodes.retrieve(_start(), around)["found"]
    assert found.mode.value == "dense"
    assert all(hit.lexical_rank is None for hit in found.hits)


def test_a_question_without_words_is_refused(tmp_path: Path) -> None:
    with surroundings(tmp_path) as around, pytest.raises(QueryError):
        nodes.retrieve(_start(" "), around)


def test_small_documents_are_read_whole(tmp_path: Path) -> None:
    with surroundings(tmp_path) as around:
        state = _until_read(around)
        texts = {around.collection.text(document.id) for document in around.collection.documents()}
    assert state["decision"].route is Route.NATIVE
    assert {passage.text for passage in state["reading"].passages} <= texts
    assert {passage.document.id for passage in state["reading"].passages} == set(state["decision"].documents)


def test_only_documents_with_half_the_best_ones_evidence_are_candidates(tmp_path: Path) -> None:
    with surroundings(tmp_path) as around:
        state = _until_read(around)
        best = state["found"].documents[0].score
    strong = {item.document.id for item in state["found"].documents if item.score >= best / 2}
    assert set(state["decision"].documents) == strong


def test_no_more_documents_are_read_whole_than_are_set(tmp_path: Path) -> None:
    files = {f"{i}.md": f"# D{i}\n\nThe fee of fund {i} is {i} percent.\n" for i in range(6)}
    with surroundings(tmp_path, files=files, config=_config(documents=2)) as around:
        assert len(_until_read(around, "What is the fee of the fund?")["decision"].documents) == 2


def test_documents_over_the_budget_are_read_in_chunks(tmp_path: Path) -> None:
    engine = FakeEngine(max_model_tokens=270, kv_tokens=None)
    with surroundings(tmp_path, engine, _config(chunk_tokens=64)) as around:
        state = _until_read(around)
    assert state["decision"].route is Route.CHUNKED
    assert state["reading"].prompt_tokens <= state["decision"].prompt_tokens <= 270 - 160
    assert state["reading"].passages


def test_the_kv_cache_binds_where_it_is_the_smallest(tmp_path: Path) -> None:
    with surroundings(tmp_path, FakeEngine(kv_tokens=300)) as around:
        decision = _until_read(around)["decision"]
    assert decision.limit.name is LimitName.KV_CACHE
    assert "300" in decision.limit.reason


def test_a_measured_speed_and_a_time_limit_choose_chunks(tmp_path: Path) -> None:
    config = Config(router=RouterSettings(time_limit_s=1.0))
    with surroundings(tmp_path, config=config) as around:
        speed_profile(around.source.preview(0)).record(100, 10.0)  # a tenth of a second a token
        decision = _until_read(around)["decision"]
    assert decision.route is Route.CHUNKED
    assert "time limit" in decision.reasons[0]
    assert [reading.fits for reading in decision.readings] == [False, True]
    assert decision.readings[1].seconds == pytest.approx(decision.readings[1].tokens / 10)


def test_a_pdf_whose_tokens_just_fit_is_read(tmp_path: Path) -> None:
    """The page numbers of its header count before it is chosen, so that the reading does not drop it again."""
    pages = [[(f"Page {n}: Marrowbay revenue was 13.7 million euros.", 11.0)] for n in range(12)]
    files = {"memo.pdf": pdf(pages, title="Memo")}
    with surroundings(tmp_path, files=files, config=_config("native")) as around:
        needed = _until_read(around)["reading"].prompt_tokens
    routes = []
    for spare in range(8):
        engine = FakeEngine(max_model_tokens=needed + 160 + spare, kv_tokens=None)
        with surroundings(tmp_path, engine, files=files, config=_config("native")) as around:
            state: QuestionState = {**_start(), **nodes.retrieve(_start(), around)}
            decided: QuestionState = {}
            with suppress(BudgetError):  # the router's word, before anything is read
                decided = nodes.route(state, around)
            if decided:
                reading = nodes.pack({**state, **decided}, around)["reading"]
                assert [passage.document.name for passage in reading.passages] == ["memo.pdf"]
                routes.append(decided["decision"].route)
    assert Route.NATIVE in routes


def test_a_reading_that_no_passage_fits_is_an_error_and_no_guess(tmp_path: Path) -> None:
    files = {"long.md": "# Long\n\n" + "The Marrowbay revenue is a long story. " * 60}
    with (
        surroundings(tmp_path, files=files, config=_config("chunked", chunk_tokens=64)) as around,
        pytest.raises(BudgetError, match=r"none of the \d+ passages found fits") as caught,
    ):
        _until_read(around)
    assert "chunk_tokens" in caught.value.hint


def test_the_prompt_holds_what_was_read_and_the_question(tmp_path: Path) -> None:
    engine = FakeEngine()
    with surroundings(tmp_path, engine) as around:
        state = _until_read(around)
        nodes.generate(state, around)
    content = user_message(engine)
    assert all(passage.text.strip() in content for passage in state["reading"].passages)
    assert content.endswith(QUESTION)


def test_stages_and_the_text_are_told_as_they_come(tmp_path: Path) -> None:
    stages: list[str] = []
    pieces: list[str] = []
    listener = Listener(stages.append, pieces.append)
    with surroundings(tmp_path, FakeEngine(replying("It was 13.7 million.")), listener=listener) as around:
        state = _until_read(around)
        completion = nodes.generate(state, around)["completion"]
    assert "".join(pieces) == completion.text == "It was 13.7 million."
    assert len(stages) == 3


class Timed(FakeEngine):
    """Takes two seconds to its first token, with some of the prompt in its prefix cache."""

    def __init__(self, cached: int) -> None:
        super().__init__()
        self._cached = cached

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        yield Delta("", Completion("", "stop", Usage(500, 1, self._cached), Timings(2.0, 0.0)))


@pytest.mark.parametrize(("cached", "expected"), [(0, [Observation(500, 2.0)]), (100, [])])
def test_the_speed_of_an_uncached_prompt_is_kept(tmp_path: Path, cached: int, expected: list[Observation]) -> None:
    with surroundings(tmp_path, Timed(cached)) as around:
        state = _until_read(around)
        nodes.generate(state, around)
        assert speed_profile(state["engine"]).observations() == expected


def _checked(tmp_path: Path, text: str) -> QuestionState:
    with surroundings(tmp_path, FakeEngine(replying(text))) as around:
        state = _until_read(around)
        state = {**state, **nodes.generate(state, around)}
        return {**state, **nodes.check(state, around)}


def test_a_supported_answer_is_cited(tmp_path: Path) -> None:
    answer = _checked(tmp_path, "Marrowbay had revenue of 13.7 million euros in 2025.")["answer"]
    assert answer.status is Status.ANSWERED
    assert [citation.document for citation in answer.citations] == ["marrowbay.md"]
    assert answer.sentences[0].citations == (1,)
    assert answer.closest == ()


def test_an_unsupported_answer_is_kept_and_the_closest_passages_are_shown(tmp_path: Path) -> None:
    answer = _checked(tmp_path, "It was 99 million.")["answer"]
    assert (answer.status, answer.text, answer.citations) == (Status.UNSUPPORTED, "It was 99 million.", ())
    assert [citation.number for citation in answer.closest] == list(range(1, len(answer.closest) + 1))
    assert answer.closest


def test_the_models_word_that_there_is_no_answer_is_taken(tmp_path: Path) -> None:
    answer = _checked(tmp_path, "Not in the documents. Marrowbay revenue was 13.7 million euros in 2025.")["answer"]
    assert (answer.status, answer.sentences) == (Status.NOT_FOUND, ())


def test_an_answer_of_nothing_is_none(tmp_path: Path) -> None:
    assert _checked(tmp_path, "")["answer"].status is Status.NOT_FOUND


def test_what_did_not_happen_is_missing_and_not_zero(tmp_path: Path) -> None:
    with surroundings(tmp_path) as around:
        state: QuestionState = {**_start(), **nodes.retrieve(_start("zebra"), around)}
        answer = nodes.refuse(state, around)["answer"]
    assert answer.status is Status.NOT_FOUND
    assert (answer.route, answer.engine, answer.prompt_tokens, answer.completion_tokens) == (None, None, None, None)
    assert answer.timings.prefill_s is None
    assert answer.timings.retrieval_s is not None


def test_a_dry_run_tells_the_engine_that_would_start(tmp_path: Path) -> None:
    with surroundings(tmp_path) as around:
        state: QuestionState = {**_start(), "dry_run": True}
        for step in (nodes.retrieve, nodes.route, nodes.pack):
            state = {**state, **step(state, around)}
        answer = nodes.refuse(state, around)["answer"]
    assert answer.status is Status.DRY_RUN
    assert isinstance(answer.engine, EngineInfo)
    assert answer.prompt_tokens == state["reading"].prompt_tokens
    assert answer.timings.engine_start_s is None
