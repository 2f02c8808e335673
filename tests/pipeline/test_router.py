"""The route as a table: candidates and limits in, route, budget and documents out."""

from dataclasses import dataclass
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.budget import Budget, Limit, LimitName
from pipeline.errors import BudgetError
from pipeline.router import Candidate, Requested, Route, decide

OVERHEAD = 100


@dataclass(frozen=True)
class Case:
    """Sizes of the candidates, the limits, and what must come of them; ids count from 1."""

    requested: Requested
    sizes: tuple[int, ...]
    hard: int
    soft: int | None
    chunk_tokens: int
    route: Route
    prompt_tokens: int
    documents: tuple[int, ...] = ()
    left_out: int = 0
    says: str = ""


C, N = Route.CHUNKED, Route.NATIVE
TABLE = {
    "auto: one document fits": Case("auto", (500,), 1000, None, 300, N, 1000, (1,), 0, "1 whole document need 600"),
    "auto: exactly at the limit": Case("auto", (900,), 1000, None, 300, N, 1000, (1,)),
    "auto: one token over": Case("auto", (901,), 1000, None, 300, C, 400, says="need 1,001 tokens, over the 1,000"),
    "auto: all of three fit": Case("auto", (200, 300, 400), 1000, None, 300, N, 1000, (1, 2, 3)),
    "auto: never some of three": Case("auto", (200, 300, 401), 1000, None, 300, C, 400, says="3 whole documents"),
    "auto: a soft limit holds back": Case("auto", (500,), 1000, 599, 300, C, 400, says="599 of the reliable length"),
    "auto: at the soft limit": Case("auto", (500,), 1000, 600, 300, N, 600, (1,)),
    "auto: a soft limit above the hard": Case("auto", (901,), 1000, 5000, 300, C, 400, says="1,000 of the KV cache"),
    "auto: no candidate": Case("auto", (), 1000, None, 300, C, 400, says="no document is a candidate"),
    "auto: an empty document": Case("auto", (0,), 1000, None, 300, N, 1000, (1,)),
    "auto: chunks over the hard limit": Case("auto", (5000,), 350, None, 300, C, 350),
    "auto: chunks obey no soft limit": Case("auto", (5000,), 1000, 150, 300, C, 400),
    "chunked: though all fits": Case("chunked", (10,), 1000, None, 300, C, 400, says="was asked for"),
    "chunked: without candidates": Case("chunked", (), 1000, None, 300, C, 400, says="was asked for"),
    "chunked: cut by the hard limit": Case("chunked", (10,), 101, None, 300, C, 101),
    "native: one fits": Case("native", (500,), 1000, None, 300, N, 1000, (1,), says="1 of 1 documents, 600 tokens"),
    "native: beyond a soft limit": Case("native", (500,), 1000, 200, 300, N, 1000, (1,), says="beyond the reliable"),
    "native: within a soft limit": Case("native", (500,), 1000, 600, 300, N, 1000, (1,)),
    "native: the second stays out": Case("native", (500, 500), 1000, None, 300, N, 1000, (1,), 1, "1 of 2"),
    "native: a later, shorter one": Case("native", (500, 500, 400), 1000, None, 300, N, 1000, (1, 3), 1, "2 of 3"),
    "native: the best does not fit": Case("native", (950, 300), 1000, None, 300, N, 1000, (2,), 1),
    "native: exactly at the hard limit": Case("native", (900,), 1000, 1, 300, N, 1000, (1,)),
}


def _budget(hard: int, soft: int | None) -> Budget:
    limits = [Limit(LimitName.KV_CACHE, hard, "the cache", hard=True)]
    if soft is not None:
        limits.append(Limit(LimitName.RELIABLE_LENGTH, soft, "a guess", hard=False))
    return Budget(tuple(limits), 0)


def _candidates(sizes: tuple[int, ...]) -> list[Candidate]:
    return [Candidate(id, f"d{id}.md", size) for id, size in enumerate(sizes, 1)]


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_the_table(case: Case) -> None:
    decision = decide(
        case.requested, _candidates(case.sizes), OVERHEAD, _budget(case.hard, case.soft), case.chunk_tokens
    )
    found = (decision.route, decision.requested, decision.prompt_tokens, decision.documents, len(decision.left_out))
    assert found == (case.route, case.requested, case.prompt_tokens, case.documents, case.left_out)
    assert case.says in "; ".join(decision.reasons)


def test_reasons_tell_of_a_soft_limit_only_where_it_is_passed() -> None:
    assert len(decide("native", _candidates((500,)), OVERHEAD, _budget(1000, 600), 300).reasons) == 1
    assert len(decide("native", _candidates((501,)), OVERHEAD, _budget(1000, 600), 300).reasons) == 2


def test_what_is_left_out_is_named_with_its_size() -> None:
    decision = decide("native", _candidates((500, 700)), OVERHEAD, _budget(1000, None), 300)
    assert decision.left_out == ("d2.md: 700 tokens do not fit beside the 600 already taken",)


@pytest.mark.parametrize("requested", ["auto", "chunked"])
def test_a_question_without_room_for_one_token_of_reading_is_an_error(requested: Requested) -> None:
    with pytest.raises(BudgetError, match="need 100 tokens, and the budget is 100") as caught:
        decide(requested, _candidates((900,)), OVERHEAD, _budget(100, None), 300)
    assert "shorter question" in caught.value.hint


@pytest.mark.parametrize(("sizes", "says"), [((901, 950), "d1.md has 901 tokens"), ((), "there is no document")])
def test_a_native_route_that_nothing_fits_is_an_error(sizes: tuple[int, ...], says: str) -> None:
    with pytest.raises(BudgetError, match=f"no whole document fits: {says}, and the budget is 900") as caught:
        decide("native", _candidates(sizes), OVERHEAD, _budget(1000, None), 300)
    assert "--route chunked" in caught.value.hint


@given(
    requested=st.sampled_from(get_args(Requested)),
    sizes=st.lists(st.integers(0, 2000), max_size=5).map(tuple),
    overhead=st.integers(0, 400),
    hard=st.integers(0, 3000),
    soft=st.none() | st.integers(0, 3000),
    chunk_tokens=st.integers(1, 1000),
)
def test_every_route_fits_the_limits_that_it_must_obey(
    requested: Requested, sizes: tuple[int, ...], overhead: int, hard: int, soft: int | None, chunk_tokens: int
) -> None:
    candidates = _candidates(sizes)
    try:
        decision = decide(requested, candidates, overhead, _budget(hard, soft), chunk_tokens)
    except BudgetError:
        assert hard <= overhead or (requested == "native" and all(overhead + size > hard for size in sizes))
        return
    read = overhead + sum(sizes[id - 1] for id in decision.documents)
    assert decision.prompt_tokens <= hard
    if decision.route is Route.NATIVE:
        assert decision.documents
        assert read <= hard
        if requested == "auto":
            assert len(decision.documents) == len(sizes)
            assert soft is None or read <= soft
        else:
            assert len(decision.documents) + len(decision.left_out) == len(sizes)
    else:
        assert not decision.documents
        assert overhead < decision.prompt_tokens <= overhead + chunk_tokens
        fits = sizes and overhead + sum(sizes) <= min(hard, hard if soft is None else soft)
        assert requested == "chunked" or not fits
