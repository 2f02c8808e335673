"""What a decision weighs and tells, and what follows passages that did not hold the answer."""

import pytest

from pipeline.qa.evidence import Costs, ModelStrength, strength_of
from pipeline.qa.question_kind import QuestionKind
from pipeline.qa.router import CandidateReading, Requested, Route, decide, escalate
from tests.support.routing import budget_of, evidence_of, signals_of

C, N = Route.CHUNKED, Route.NATIVE
LOOKUP, COMPARE, GATHER, EXPLAIN, YES = QuestionKind
SMALL, MEDIUM, LARGE, UNKNOWN = ModelStrength
K = 1000


def test_both_readings_are_told_with_what_they_cost() -> None:
    costs = Costs(lambda tokens: tokens / 100, 2048)
    decision = decide(evidence_of((500, 600), signals_of(COMPARE)), budget_of(K, None), "auto", 300, costs)
    assert decision.readings == (
        CandidateReading(N, 1, 600, 6.0, 600 * 2048, True),
        CandidateReading(C, 0, 400, 4.0, 400 * 2048, True),
    )
    nothing = decide(evidence_of((5000, 600), signals_of(COMPARE)), budget_of(400, None), "auto", 300)
    assert nothing.readings == (
        CandidateReading(N, 2, 5700, None, None, False),
        CandidateReading(C, 0, 400, None, None, True),
    )
    assert decision.limits == budget_of(K, None).limits
    assert decision.signals == signals_of(COMPARE)


@pytest.mark.parametrize(
    ("requested", "sizes", "hard", "soft", "documents"),
    [
        ("auto", (500,), K, None, (1,)),
        ("auto", (500, 500), K, None, (1,)),  # as many as fit
        ("auto", (950,), K, None, None),
        ("auto", (950, 30), K, None, None),  # never without the best
        ("auto", (500,), K, 599, None),  # soft limits hold too
        ("auto", (500,), K, 600, (1,)),
        ("auto", (), K, None, None),
        ("chunked", (500,), K, None, None),  # passages were what was asked for
    ],
)
def test_passages_without_the_answer_lead_to_the_same_documents_whole(
    requested: Requested, sizes: tuple[int, ...], hard: int, soft: int | None, documents: tuple[int, ...] | None
) -> None:
    budget = budget_of(hard, soft)
    tried = decide(evidence_of(sizes, signals_of(LOOKUP)), budget, requested, 300)
    found = escalate(evidence_of(sizes), budget, tried)
    assert (found.documents if found else None) == documents
    if found:
        assert (found.route, found.escalated, found.requested) == (N, True, "auto")
        assert "did not hold the answer" in found.reasons[0]
        assert escalate(evidence_of(sizes), budget, found) is None  # once


def test_whole_reading_does_not_lead_to_whole_reading() -> None:
    whole = decide(evidence_of((500,), signals_of(COMPARE)), budget_of(K, None), "auto", 300)
    assert escalate(evidence_of((500,)), budget_of(K, None), whole) is None


@pytest.mark.parametrize(
    ("parameters", "strength"),
    [
        (None, UNKNOWN),
        (135_000_000, SMALL),
        (3_999_999_999, SMALL),
        (4_000_000_000, MEDIUM),
        (19_999_999_999, MEDIUM),
        (20_000_000_000, LARGE),
    ],
)
def test_a_models_strength_is_by_its_parameters(parameters: int | None, strength: ModelStrength) -> None:
    assert strength_of(parameters) is strength
