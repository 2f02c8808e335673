"""What tests of the router's decisions are made of: candidates, budgets and signals."""

from pipeline.qa.budget import Budget, Limit, LimitName
from pipeline.qa.evidence import Candidate, Evidence, ModelStrength, Signals
from pipeline.qa.question_kind import QuestionKind

OVERHEAD = 100  # tokens of a prompt without a document


def budget_of(hard: int, soft: int | None) -> Budget:
    limits = [Limit(LimitName.KV_CACHE, hard, "the cache", hard=True)]
    if soft is not None:
        limits.append(Limit(LimitName.RELIABLE_LENGTH, soft, "a guess", hard=False))
    return Budget(tuple(limits), 0)


def evidence_of(sizes: tuple[int, ...], signals: Signals = Signals(), overhead: int = OVERHEAD) -> Evidence:
    candidates = tuple(Candidate(id, f"d{id}.md", size) for id, size in enumerate(sizes, 1))
    return Evidence(candidates, overhead, signals)


def signals_of(kind: QuestionKind | None, strength: ModelStrength = ModelStrength.LARGE) -> Signals:
    return Signals(kind or QuestionKind.LOOKUP, 0.9 if kind else 0.2, 2, 0.5, strength)
