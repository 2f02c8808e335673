"""What tests of the router's decisions are made of: candidates, budgets and signals."""

from pipeline.qa.budget import Budget, Limit, LimitName
from pipeline.qa.question_kind import QuestionKind
from pipeline.qa.router import Candidate, ModelStrength, Signals

OVERHEAD = 100  # tokens of a prompt without a document


def budget_of(hard: int, soft: int | None) -> Budget:
    limits = [Limit(LimitName.KV_CACHE, hard, "the cache", hard=True)]
    if soft is not None:
        limits.append(Limit(LimitName.RELIABLE_LENGTH, soft, "a guess", hard=False))
    return Budget(tuple(limits), 0)


def candidates_of(sizes: tuple[int, ...]) -> list[Candidate]:
    return [Candidate(id, f"d{id}.md", size) for id, size in enumerate(sizes, 1)]


def signals_of(kind: QuestionKind | None, strength: ModelStrength = ModelStrength.LARGE) -> Signals:
    return Signals(kind or QuestionKind.LOOKUP, 0.9 if kind else 0.2, 2, 0.5, strength)
