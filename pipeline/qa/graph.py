"""The question as a LangGraph: retrieve → route → read → answer → check.

Nothing found or a dry run ends early; passages that do not hold the answer lead once to whole documents.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from .answer import Answer
from .prompts import says_not_found
from .router import Route
from .state import QuestionState, Surroundings

Step = Callable[[QuestionState, Surroundings], QuestionState]


@lru_cache(maxsize=1)
def compiled() -> Any:
    """The graph. LangGraph's tracing to a service is switched off: nothing leaves the machine."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        os.environ[name] = "false"
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    from . import nodes

    graph = StateGraph(QuestionState, context_schema=Surroundings)

    def add(name: str, step: Step) -> None:
        def node(state: QuestionState, runtime: Runtime[Surroundings]) -> QuestionState:
            return step(state, runtime.context)

        graph.add_node(name, node)

    # Names differ from the keys of the state, which LangGraph keeps apart.
    add("retrieve", nodes.retrieve)
    add("choose_route", nodes.route)
    add("read", nodes.read)
    add("write", nodes.answer)
    add("escalate", nodes.escalate)
    add("check", nodes.check)
    add("refuse", nodes.refuse)
    graph.add_edge(START, "retrieve")
    graph.add_conditional_edges("retrieve", _after_retrieve, ["choose_route", "refuse"])
    graph.add_edge("choose_route", "read")
    graph.add_conditional_edges("read", _after_read, ["write", "refuse"])
    graph.add_conditional_edges("write", _after_write, ["escalate", "check"])
    graph.add_conditional_edges("escalate", _after_escalate, ["write", "check"])
    graph.add_edge("check", END)
    graph.add_edge("refuse", END)
    return graph.compile()


def ask(question: str, around: Surroundings) -> Answer:
    """The answer to a question. Raises the errors of all rooms; what was indexed is never touched."""
    started = time.monotonic()
    initial: QuestionState = {"question": question, "dry_run": around.dry_run, "seconds": {}}
    final = compiled().invoke(initial, context=around)
    answer: Answer = final["answer"]
    return replace(answer, timings=replace(answer.timings, total_s=time.monotonic() - started))


def _after_retrieve(state: QuestionState) -> str:
    return "choose_route" if state["found"].hits else "refuse"


def _after_read(state: QuestionState) -> str:
    return "refuse" if state["dry_run"] else "write"


def _after_write(state: QuestionState) -> str:
    waiting = state.get("whole") is not None and state["decision"].route is Route.CHUNKED
    return "escalate" if waiting and says_not_found(state["completion"].text) else "check"


def _after_escalate(state: QuestionState) -> str:
    return "write" if state["decision"].escalated else "check"
