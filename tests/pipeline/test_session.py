"""The one way in: what a session opens, keeps and closes, and the example of the README."""

import re
from pathlib import Path

import pytest

from engine.fake import FakeEngine
from indexes.collection import Collection
from indexes.errors import CollectionMissingError, EncoderError, QueryError
from pipeline.config import Config, EngineSettings, ReadingSettings, RetrievalSettings, RouterSettings
from pipeline.engines import RunningSource
from pipeline.errors import BudgetError
from pipeline.qa.answer import Status
from pipeline.qa.router import Route
from pipeline.session import Session
from tests.support.files import write
from tests.support.questions import FILES, QUESTION, replying

README = Path(__file__).parents[2] / "README.md"
FAKE = EngineSettings(url="fake://")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection of two memos and a note."""
    collection = Collection.open_or_create(tmp_path / ".fathom", "none")
    collection.add([write(tmp_path / "docs", FILES)])
    collection.close()
    return tmp_path / ".fathom"


class Counting(RunningSource):
    """Keeps the texts that it counts, and how often it was closed."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.counted: list[str] = []
        self.closed = 0

    def count_tokens(self, text: str) -> int:
        self.counted.append(text)
        return super().count_tokens(text)

    def close(self) -> None:
        self.closed += 1
        super().close()


def _session(folder: Path, engine: FakeEngine, config: Config | None = None) -> tuple[Session, Counting]:
    source = Counting(engine)
    return Session(config or Config(), Collection.open(folder), source), source


def test_a_session_searches_plans_and_answers(folder: Path) -> None:
    with Session.open(folder, Config(engine=FAKE)) as session:
        found = session.search(QUESTION, k=1)
        plan = session.plan(QUESTION)
        answer = session.ask(QUESTION)
    assert [hit.document.name for hit in found.hits] == ["marrowbay.md"]
    assert plan.decision.route is Route.NATIVE
    assert answer.status is Status.ANSWERED
    assert answer.route is not None
    assert (answer.route.route, answer.prompt_tokens) == (plan.decision.route, plan.reading.prompt_tokens)


def test_a_search_needs_no_engine(folder: Path) -> None:
    with Session.open(folder, Config(engine=EngineSettings(model="/there/is/none"))) as session:
        assert session.search("cells").hits


def test_one_engine_answers_all_questions_and_ends_with_the_session(folder: Path) -> None:
    engine = FakeEngine()
    session, source = _session(folder, engine)
    with session:
        session.ask(QUESTION)
        session.ask("Who sells cells?")
        assert source.closed == 0
    assert (len(engine.prompts), source.closed) == (2, 1)


def test_a_plan_and_a_dry_run_ask_no_engine(folder: Path) -> None:
    engine = FakeEngine()
    session, _ = _session(folder, engine)
    with session:
        plan = session.plan(QUESTION)
        answer = session.ask(QUESTION, dry_run=True)
    assert engine.prompts == []
    assert answer.status is Status.DRY_RUN
    assert answer.prompt_tokens == plan.reading.prompt_tokens == engine.prompt_tokens(plan.reading.messages)


def test_what_a_plan_shows_is_what_the_engine_reads(folder: Path) -> None:
    engine = FakeEngine(replying("It was 13.7 million euros."))
    session, _ = _session(folder, engine)
    with session:
        plan = session.plan(QUESTION)
        session.ask(QUESTION)
    assert tuple(engine.prompts[0]) == plan.reading.messages


def test_candidates_are_counted_once(folder: Path) -> None:
    engine = FakeEngine(replying("Not in the documents."))
    session, source = _session(folder, engine, Config(reading=ReadingSettings(chunk_tokens=1000)))
    story = "# Larkspur\n\n" + "".join(f"Larkspur rents house {n} in Oslo for {n} euros.\n\n" for n in range(300))
    with session:
        session.collection.add([write(folder.parent / "more", {"larkspur.md": story})])
        answer = session.ask("What is the rent of Larkspur's house 17?")
    assert answer.first_try is not None  # decided three times: planned, running, and for whole documents
    assert sum(text.endswith(story.strip()) for text in source.counted) == 1


def test_another_decision_reads_something_else(folder: Path) -> None:
    session, _ = _session(folder, FakeEngine())
    chunked = Session(Config(router=RouterSettings(route="chunked")), session.collection, session.source)
    with session:
        plan, other = session.plan(QUESTION), chunked.plan(QUESTION)
        assert (plan.decision.route, other.decision.route) == (Route.NATIVE, Route.CHUNKED)
        assert session.read(plan, plan.decision) == plan.reading
        assert session.read(plan, other.decision) == other.reading
        answer_tokens = session.config.reading.answer_tokens
        assert session.needed_tokens(plan, other.decision) == other.decision.prompt_tokens + answer_tokens


def test_what_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CollectionMissingError, match="nowhere"):
        Session.open(tmp_path / "nowhere")
    with pytest.raises(EncoderError):
        Session.open(folder, Config(retrieval=RetrievalSettings(reranker=str(tmp_path / "none")))).search(QUESTION)
    session, _ = _session(folder, FakeEngine())
    with session:
        with pytest.raises(QueryError):
            session.ask(" ")
        with pytest.raises(BudgetError, match="nothing was found"):
            session.plan("zebra")


def test_the_example_of_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert 5 <= len(example.splitlines()) <= 12
    printed: list[str] = []
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("FATHOM_ENGINE_URL", "fake://")
    exec(compile(example, "README.md", "exec"), {"print": lambda *parts: printed.append(" ".join(map(str, parts)))})
    assert any("marrowbay.md" in line for line in printed)
