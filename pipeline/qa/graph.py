"""A question as a LangGraph: retrieve → route → start → pack → generate → check.

Nothing found and a dry run end early; passages that do not hold the answer lead once to whole documents. Each node is
named after its function in `nodes`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from engine.base import EngineInfo
from indexes.search.ranking import SearchResult

from ..errors import BudgetError
from .answer import Answer
from .evidence import Evidence
from .packing import Reading
from .prompts import says_not_found
from .router import Route, RouteDecision
from .state import QuestionState, Surroundings

Step = Callable[[QuestionState, Surroundings], QuestionState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be read for a question. `whole` is the decision that passages without the answer would lead to."""

    question: str
    found: SearchResult
    evidence: Evidence
    decision: RouteDecision
    whole: RouteDecision | None
    reading: Reading
    engine: EngineInfo


@lru_cache(maxsize=1)
def compiled() -> Any:
    """The graph. LangGraph's tracing to a service is switched off: nothing leaves the machine."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        os.environ[name] = "false"
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    from . import nodes

    graph = StateGraph(QuestionState, context_schema=Surroundings)

    def add(step: Step) -> None:
        def node(state: QuestionState, runtime: Runtime[Surroundings]) -> QuestionState:
            return step(state, runtime.context)

        graph.add_node(step.__name__, node)

    for step in (
        *(nodes.retrieve, nodes.route, nodes.start, nodes.pack, nodes.generate),
        *(nodes.escalate, nodes.check, nodes.refuse),
    ):
        add(step)
    graph.add_edge(START, "retrieve")
    graph.add_conditional_edges("retrieve", _after_retrieve, ["route", "refuse"])
    graph.add_conditional_edges("route", _after_route, ["start", "pack"])
    graph.add_edge("start", "pack")
    graph.add_conditional_edges("pack", _after_pack, ["generate", "check", "refuse"])
    graph.add_conditional_edges("generate", _after_generate, ["escalate", "check"])
    graph.add_conditional_edges("escalate", _after_escalate, ["pack", "check"])
    graph.add_edge("check", END)
    graph.add_edge("refuse", END)
    return graph.compile()


def ask(question: str, around: Surroundings, dry_run: bool = False) -> Answer:
    """The answer to a question; with `dry_run` no engine starts. Raises the errors of all rooms.

    The collection is never changed.
    """
    started = time.monotonic()
    answer: Answer = _run(question, around, dry_run)["answer"]
    return replace(answer, timings=replace(answer.timings, total_s=time.monotonic() - started))


def plan(question: str, around: Surroundings) -> Plan:
    """What would be read, without an engine. Raises BudgetError where nothing was found or fits."""
    state = _run(question, around, dry_run=True)
    if "reading" not in state:
        raise BudgetError("nothing was found for the question", "ask it in words that the documents use")
    return Plan(
        question=question,
        found=state["found"],
        evidence=state["evidence"],
        decision=state["decision"],
        whole=state.get("whole"),
        reading=state["reading"],
        engine=state["engine"],
    )


def _run(question: str, around: Surroundings, dry_run: bool) -> QuestionState:
    initial: QuestionState = {"question": question, "dry_run": dry_run, "seconds": {}}
    final: QuestionState = compiled().invoke(initial, context=around)
    return final


def _after_retrieve(state: QuestionState) -> str:
    return "route" if state["found"].hits else "refuse"


def _after_route(state: QuestionState) -> str:
    return "pack" if state["dry_run"] else "start"


def _after_pack(state: QuestionState) -> str:
    if state["dry_run"]:
        return "refuse"
    return "check" if _is_first_attempt(state) else "generate"


def _after_generate(state: QuestionState) -> str:
    waiting = state.get("whole") is not None and state["decision"].route is Route.CHUNKED
    return "escalate" if waiting and says_not_found(state["completion"].text) else "check"


def _after_escalate(state: QuestionState) -> str:
    return "check" if _is_first_attempt(state) else "pack"


def _is_first_attempt(state: QuestionState) -> bool:
    """Whether the passages have been answered and whole documents do not follow."""
    return "completion" in state and state["decision"].route is Route.CHUNKED
