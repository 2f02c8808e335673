"""The one way in: a collection and an engine of a configuration, opened together, that search, plan and answer.

with Session.open(Path("contracts/.fathom")) as session:
    print(session.ask("What is the liability cap?").text)
"""

from pathlib import Path
from typing import TYPE_CHECKING, Self

from indexes.collection import FOLDER, Collection, find_collection
from indexes.errors import CollectionMissingError
from indexes.search.ranking import SearchMode, SearchResult, check_query

from .config import Config

if TYPE_CHECKING:
    from indexes.search.reranking import Reranker

    from .engines import EngineSource
    from .qa.answer import Answer
    from .qa.graph import Plan
    from .qa.packing import Reading
    from .qa.router import RouteDecision
    from .qa.state import Listener, Surroundings


class Session:
    """Answers questions about one collection by one engine, which is started for the first question and kept for the
    next. A context manager; not shared between threads."""

    def __init__(
        self,
        config: Config,
        collection: Collection,
        source: "EngineSource | None" = None,
        reranker: "Reranker | None" = None,
    ) -> None:
        """`source` is closed with the session; without one, that of the settings is made when it is needed."""
        self.config = config
        self.collection = collection
        self._source = source
        self._reranker = reranker

    @classmethod
    def open(cls, folder: Path | None = None, config: Config | None = None) -> "Session":
        """The session of the collection in a folder, else of the nearest one in or above the current folder.

        Without `config` the defaults hold. Raises CollectionMissingError and its kinds, and EncoderError for a
        reranker that is not here.
        """
        config = config or Config()
        reranker = None
        if config.retrieval.reranker is not None:
            from indexes.search.reranking import CrossEncoderReranker

            reranker = CrossEncoderReranker(config.retrieval.reranker)
        return cls(config, open_collection(folder), None, reranker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the engine, if one was started, and the collection."""
        try:
            if self._source is not None:
                self._source.close()
        finally:
            self.collection.close()

    @property
    def source(self) -> "EngineSource":
        """The engine of the settings. Raises ModelError, EngineUnreachableError and EngineReplyError."""
        if self._source is None:
            from .engines import engine_source

            self._source = engine_source(self.config.engine)
        return self._source

    def search(self, query: str, k: int = 10) -> SearchResult:
        """The k best passages for a query, by the mode and reranker of the settings. Raises QueryError."""
        mode = self.config.retrieval.mode
        return self.collection.search(query, k, SearchMode(mode) if mode else None, self._reranker)

    def plan(self, question: str) -> "Plan":
        """What would be read for a question; no engine starts. Raises QueryError, and BudgetError where nothing was
        found or fits."""
        from .qa.graph import plan

        return plan(question, self._surroundings(None))

    def read(self, plan: "Plan", decision: "RouteDecision") -> "Reading":
        """What another decision would read for a planned question. Raises BudgetError where nothing fits."""
        from .qa.nodes import read

        return read(plan.question, plan.found, decision, self._surroundings(None))

    def needed_tokens(self, plan: "Plan", decision: "RouteDecision") -> int:
        """The longest request that a decision leads to, for which the engine would be started."""
        from .qa.nodes import needed_tokens

        return needed_tokens(plan.evidence, decision, self.source, self.config.reading.answer_tokens)

    def ask(self, question: str, listener: "Listener | None" = None, dry_run: bool = False) -> "Answer":
        """The answer to a question, its citations checked; with `dry_run` what would be read, and no engine starts.

        Raises QueryError, BudgetError where nothing fits, and the engine's errors.
        """
        from .qa.graph import ask

        check_query(question)
        return ask(question, self._surroundings(listener), dry_run)

    def _surroundings(self, listener: "Listener | None") -> "Surroundings":
        from .qa.state import Listener, Surroundings

        return Surroundings(self.config, self.collection, self.source, listener or Listener(), self._reranker)


def open_collection(folder: Path | None) -> Collection:
    """The collection in a folder, or the nearest one. Raises CollectionMissingError and its kinds."""
    found = folder or find_collection(Path.cwd())
    if found is None:
        raise CollectionMissingError(
            f"there is no collection ({FOLDER}/) in {Path.cwd()} or above it", "make one: fathom index FOLDER"
        )
    return Collection.open(found)
