"""The graph's state and its surroundings: what nodes read and write, and what they may use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

from engine.base import Completion, EngineInfo
from indexes.collection import Collection
from indexes.search.ranking import SearchResult
from indexes.search.reranking import Reranker

from ..config import Config
from ..engines import EngineSource
from .answer import Answer
from .evidence import Evidence
from .packing import Reading
from .router import RouteDecision


@dataclass(frozen=True, slots=True)
class Attempt:
    """Passages that were read, the engine that read them and the completion that they led to."""

    decision: RouteDecision
    engine: EngineInfo
    reading: Reading
    completion: Completion


class QuestionState(TypedDict, total=False):
    """One question on its way; each node adds its part.

    `seconds` sums what each part took. `whole` is the decision that an answer of "not in the documents" would lead to,
    and `passages` the attempt that led to it.
    """

    question: str
    dry_run: bool
    seconds: dict[str, float]
    found: SearchResult
    evidence: Evidence
    decision: RouteDecision
    whole: RouteDecision | None
    passages: Attempt | None
    engine: EngineInfo
    reading: Reading
    completion: Completion
    answer: Answer


@dataclass(frozen=True, slots=True)
class Listener:
    """Callbacks for progress: `stage` for what happens now, `text` for the answer as it is written."""

    stage: Callable[[str], None] = field(default=lambda _: None)
    text: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What nodes work with; not part of the state, because it cannot be copied."""

    config: Config
    collection: Collection
    source: EngineSource
    listener: Listener = Listener()
    reranker: Reranker | None = None
