"""The route as a table: candidates and limits in, route, budget and documents out."""

from dataclasses import dataclass
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BudgetError
from pipeline.qa.evidence import ModelStrength, Signals
from pipeline.qa.question_kind import QuestionKind
from pipeline.qa.router import Requested, Route, decide, escalate
from tests.support.routing import budget_of, evidence_of, signals_of


@dataclass(frozen=True)
class Case:
    """Sizes of the candidates, the limits, the signals, and what must come of them; ids count from 1."""

    requested: Requested
    sizes: tuple[int, ...]
    hard: int
    soft: int | None
    kind: QuestionKind | None
    route: Route
    prompt_tokens: int
    documents: tuple[int, ...] = ()
    left_out: int = 0
    says: str = ""
    strength: ModelStrength = ModelStrength.LARGE
    chunk_tokens: int = 300


C, N = Route.CHUNKED, Route.NATIVE
LOOKUP, COMPARE, GATHER, EXPLAIN, YES = QuestionKind
SMALL, MEDIUM, LARGE, UNKNOWN = ModelStrength
K = 1000
TABLE = {
    # One place is asked for: passages, unless whole documents cost no more
    "lookup: one document fits": Case("auto", (500,), K, None, LOOKUP, C, 400, says="asks for one place"),
    "lookup: as short as passages": Case(
        "auto", (300,), K, None, LOOKUP, N, K, (1,), says="cost no more than passages"
    ),
    "lookup: a token longer than passages": Case("auto", (301,), K, None, LOOKUP, C, 400),
    "lookup: three short ones": Case("auto", (100, 100, 100), K, None, LOOKUP, N, K, (1, 2, 3)),
    "lookup: three, a token longer": Case("auto", (100, 100, 101), K, None, LOOKUP, C, 400),
    "lookup: an empty document": Case("auto", (0,), K, None, LOOKUP, N, K, (1,)),
    "lookup: short, but over a soft limit": Case(
        "auto", (250,), K, 300, LOOKUP, C, 400, says="over the 300 of the reli"
    ),
    "lookup: the second does not fit": Case("auto", (100, 950), K, None, LOOKUP, C, 400, says="200"),
    "yes or no: one document fits": Case("auto", (500,), K, None, YES, C, 400, says="kind yes_no asks for one place"),
    "yes or no: short": Case("auto", (200,), K, None, YES, N, K, (1,)),
    "unsure: one document fits": Case("auto", (500,), K, None, None, C, 400, says="is not clear"),
    "unsure: short": Case("auto", (200,), K, None, None, N, K, (1,), says="cost no more"),
    # Many places are drawn together: whole, where all candidates fit every limit
    "comparison: one fits": Case(
        "auto", (500,), K, None, COMPARE, N, K, (1,), says="draws on many places: 1 whole docu"
    ),
    "comparison: exactly at the limit": Case("auto", (900,), K, None, COMPARE, N, K, (1,)),
    "comparison: one token over": Case(
        "auto", (901,), K, None, COMPARE, C, 400, says="d1.md, has 901 tokens, over the"
    ),
    "comparison: all of three": Case(
        "auto", (200, 300, 400), K, None, COMPARE, N, K, (1, 2, 3), says="3 whole documents"
    ),
    "comparison: not some of three": Case("auto", (200, 300, 401), K, None, COMPARE, C, 400, says="needs all 3 whole"),
    "comparison: two of three": Case("auto", (200, 900, 300), K, None, COMPARE, C, 400, says="and 2 fit the 1,000"),
    "comparison: a soft limit": Case("auto", (500,), K, 599, COMPARE, C, 400, says="599 of the reliable length"),
    "comparison: at the soft limit": Case("auto", (500,), K, 600, COMPARE, N, 600, (1,)),
    "comparison: a soft limit over the hard": Case(
        "auto", (901,), K, 5000, COMPARE, C, 400, says="1,000 of the KV cac"
    ),
    "comparison: no candidate": Case("auto", (), K, None, COMPARE, C, 400, says="no document is a candidate"),
    "aggregation: fits": Case("auto", (400, 400), K, None, GATHER, N, K, (1, 2)),
    "aggregation: not all fit": Case("auto", (400, 600), K, None, GATHER, C, 400, says="needs all 2 whole documents"),
    "aggregation: the best does not fit": Case(
        "auto", (950, 10), K, None, GATHER, C, 400, says="the best document, d1"
    ),
    "synthesis: fits": Case("auto", (700,), K, None, EXPLAIN, N, K, (1,)),
    "synthesis: over": Case("auto", (950,), K, None, EXPLAIN, C, 400),
    "synthesis: over a soft limit": Case("auto", (700,), K, 700, EXPLAIN, C, 400),
    # What a model of a strength gains by whole reading: nothing small, 32,768 medium and unknown, all large
    "small: many places": Case(
        "auto", (500,), K, None, GATHER, C, 400, says="small strength answers no better", strength=SMALL
    ),
    "small: as short as passages": Case("auto", (300,), K, None, GATHER, N, K, (1,), strength=SMALL),
    "small: asked for": Case("native", (500,), K, None, GATHER, N, K, (1,), strength=SMALL),
    "medium: at its bound": Case("auto", (32_668,), 99_999, None, EXPLAIN, N, 99_999, (1,), strength=MEDIUM),
    "medium: over its bound": Case("auto", (32_669,), 99_999, None, EXPLAIN, C, 400, says="medium", strength=MEDIUM),
    "unknown: at its bound": Case("auto", (32_668,), 99_999, None, COMPARE, N, 99_999, (1,), strength=UNKNOWN),
    "unknown: over its bound": Case("auto", (32_669,), 99_999, None, COMPARE, C, 400, says="32,768", strength=UNKNOWN),
    "large: as far as it reaches": Case("auto", (99_000,), 99_999, None, COMPARE, N, 99_999, (1,)),
    "large: as far as it is reliable": Case("auto", (99_000,), 99_999, 99_000, COMPARE, C, 400),
    "medium: two documents over its bound": Case(
        "auto", (17_000, 17_000), 99_999, None, GATHER, C, 400, strength=MEDIUM
    ),
    "medium: a lookup needs no bound": Case("auto", (32_669,), 99_999, None, LOOKUP, C, 400, strength=MEDIUM),
    "small: long passages beat the bound": Case(
        "auto", (20_000,), 99_999, None, LOOKUP, N, 99_999, (1,), strength=SMALL, chunk_tokens=20_000
    ),
    # Passages themselves
    "passages over the hard limit": Case("auto", (5000,), 350, None, COMPARE, C, 350),
    "passages obey no soft limit": Case("auto", (5000,), K, 150, COMPARE, C, 400),
    "passages: one token of room": Case("auto", (5000,), 101, None, LOOKUP, C, 101),
    "passages: exactly what is set": Case("auto", (5000,), 400, None, LOOKUP, C, 400),
    "chunked: though all fits": Case("chunked", (10,), K, None, COMPARE, C, 400, says="was asked for"),
    "chunked: without candidates": Case("chunked", (), K, None, COMPARE, C, 400, says="was asked for"),
    "chunked: cut by the hard limit": Case("chunked", (10,), 101, None, COMPARE, C, 101),
    "chunked: a question of many places": Case("chunked", (200, 200), K, None, GATHER, C, 400),
    "chunked: past a soft limit": Case("chunked", (10,), K, 50, LOOKUP, C, 400),
    # Whole documents because they were asked for: hard limits alone
    "native: one fits": Case("native", (500,), K, None, LOOKUP, N, K, (1,), says="1 of 1 documents, 600 tokens"),
    "native: whatever the kind": Case("native", (500,), K, None, None, N, K, (1,)),
    "native: beyond a soft limit": Case(
        "native", (500,), K, 200, COMPARE, N, K, (1,), says="beyond the reliable length"
    ),
    "native: within a soft limit": Case("native", (500,), K, 600, COMPARE, N, K, (1,)),
    "native: the second stays out": Case("native", (500, 500), K, None, COMPARE, N, K, (1,), 1, "1 of 2 documents"),
    "native: a later, shorter one": Case("native", (500, 500, 400), K, None, COMPARE, N, K, (1, 3), 1, "2 of 3"),
    "native: the best does not fit": Case("native", (950, 300), K, None, COMPARE, N, K, (2,), 1),
    "native: exactly at the hard limit": Case("native", (900,), K, 1, COMPARE, N, K, (1,)),
    "native: all three": Case("native", (300, 300, 300), K, None, GATHER, N, K, (1, 2, 3), says="3 of 3"),
    "native: none but the last": Case("native", (950, 950, 900), K, None, GATHER, N, K, (3,), 2),
    "native: over a small model's bound": Case(
        "native", (50_000,), 99_999, None, GATHER, N, 99_999, (1,), strength=SMALL
    ),
    "native: an empty document": Case("native", (0,), 100, None, LOOKUP, N, 100, (1,)),
    "native: passages would not fit": Case("native", (0,), 100, None, LOOKUP, N, 100, (1,)),
    "native: at a soft limit of nothing": Case("native", (10,), K, 0, LOOKUP, N, K, (1,), says="beyond the reliable"),
}


def test_the_table_is_long_enough_and_meets_every_kind_and_strength() -> None:
    assert len(TABLE) >= 60
    assert {case.kind for case in TABLE.values()} == {*QuestionKind, None}
    assert {case.strength for case in TABLE.values()} == set(ModelStrength)


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_the_table(case: Case) -> None:
    evidence = evidence_of(case.sizes, signals_of(case.kind, case.strength))
    decision = decide(evidence, budget_of(case.hard, case.soft), case.requested, case.chunk_tokens)
    found = (decision.route, decision.requested, decision.prompt_tokens, decision.documents, len(decision.left_out))
    assert found == (case.route, case.requested, case.prompt_tokens, case.documents, case.left_out)
    assert case.says in "; ".join(decision.reasons)


def test_a_kind_that_is_hardly_likelier_than_chance_says_nothing() -> None:
    for probability, route in ((0.29, C), (0.3, N)):
        signals = Signals(COMPARE, probability, strength=LARGE)
        assert decide(evidence_of((500,), signals), budget_of(K, None), "auto", 300).route is route


def test_reasons_tell_of_a_soft_limit_only_where_it_is_passed() -> None:
    assert len(decide(evidence_of((500,)), budget_of(1000, 600), "native", 300).reasons) == 1
    assert len(decide(evidence_of((501,)), budget_of(1000, 600), "native", 300).reasons) == 2


def test_what_is_left_out_is_named_with_its_size() -> None:
    decision = decide(evidence_of((500, 700)), budget_of(1000, None), "native", 300)
    assert decision.left_out == ("d2.md: 700 tokens do not fit beside the 600 already taken",)


@pytest.mark.parametrize("requested", ["auto", "chunked"])
def test_a_question_without_room_for_one_token_of_reading_is_an_error(requested: Requested) -> None:
    with pytest.raises(BudgetError, match="need 100 tokens, and the budget is 100") as caught:
        decide(evidence_of((900,)), budget_of(100, None), requested, 300)
    assert "shorter question" in caught.value.hint


@pytest.mark.parametrize(("sizes", "says"), [((901, 950), "d1.md has 901 tokens"), ((), "there is no document")])
def test_a_native_route_that_nothing_fits_is_an_error(sizes: tuple[int, ...], says: str) -> None:
    with pytest.raises(BudgetError, match=f"no whole document fits: {says}, and the budget is 900") as caught:
        decide(evidence_of(sizes), budget_of(1000, None), "native", 300)
    assert "--route chunked" in caught.value.hint


@given(
    requested=st.sampled_from(get_args(Requested)),
    sizes=st.lists(st.integers(0, 2000), max_size=5).map(tuple),
    overhead=st.integers(0, 400),
    hard=st.integers(0, 3000),
    soft=st.none() | st.integers(0, 3000),
    chunk_tokens=st.integers(1, 1000),
    kind=st.sampled_from(QuestionKind),
    strength=st.sampled_from(ModelStrength),
)
def test_every_route_fits_the_limits_that_it_must_obey(
    requested: Requested,
    sizes: tuple[int, ...],
    overhead: int,
    hard: int,
    soft: int | None,
    chunk_tokens: int,
    kind: QuestionKind,
    strength: ModelStrength,
) -> None:
    evidence, budget = evidence_of(sizes, signals_of(kind, strength), overhead), budget_of(hard, soft)
    try:
        decision = decide(evidence, budget, requested, chunk_tokens)
    except BudgetError:
        assert hard <= overhead or (requested == "native" and all(overhead + size > hard for size in sizes))
        return
    read = overhead + sum(sizes[id - 1] for id in decision.documents)
    assert decision.prompt_tokens <= hard
    if decision.route is Route.NATIVE:
        assert decision.documents
        assert read <= hard
        assert len(decision.documents) + len(decision.left_out) == len(sizes)
        if requested == "auto":
            assert len(decision.documents) == len(sizes)
            assert soft is None or read <= soft
    else:
        assert not decision.documents
        assert overhead < decision.prompt_tokens <= overhead + chunk_tokens
        later = escalate(evidence, budget, decision)
        if later:
            assert overhead + sum(sizes[id - 1] for id in later.documents) <= later.prompt_tokens
            assert later.prompt_tokens == budget.prompt_tokens()
