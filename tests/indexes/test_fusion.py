"""Fusion against brute force over every id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.fusion import min_max, reciprocal_rank, weighted
from indexes.lexical import Scored

_RANKING = st.dictionaries(st.integers(0, 20), st.floats(-1e6, 1e6), max_size=15).map(
    lambda scores: [Scored(i, s) for i, s in sorted(scores.items(), key=lambda pair: -pair[1])]
)


def _scaled(ranking: list[Scored], chunk_id: int) -> float:
    """(s − min) / (max − min) of one id, 1 where all are equal, 0 where it is missing."""
    scores = [item.score for item in ranking]
    for item in ranking:
        if item.chunk_id == chunk_id:
            return 1.0 if max(scores) == min(scores) else (item.score - min(scores)) / (max(scores) - min(scores))
    return 0.0


@given(_RANKING)
def test_min_max_equals_brute_force_and_stays_in_the_unit_interval(ranking: list[Scored]) -> None:
    found = min_max(ranking)
    assert found == {item.chunk_id: pytest.approx(_scaled(ranking, item.chunk_id)) for item in ranking}
    assert all(0 <= score <= 1 for score in found.values())


@given(_RANKING.filter(bool), _RANKING.filter(bool), st.floats(0, 1))
def test_weighted_equals_brute_force(lexical: list[Scored], dense: list[Scored], weight: float) -> None:
    found = weighted(lexical, dense, weight)
    ids = {item.chunk_id for item in lexical} | {item.chunk_id for item in dense}
    assert {item.chunk_id: item.score for item in found} == {
        i: pytest.approx((1 - weight) * _scaled(lexical, i) + weight * _scaled(dense, i)) for i in ids
    }
    assert found == sorted(found, key=lambda item: (-item.score, item.chunk_id))


@given(_RANKING, st.floats(0, 1))
def test_one_ranking_alone_decides_whatever_its_weight(ranking: list[Scored], weight: float) -> None:
    alone = weighted(ranking, [], weight)
    assert alone == weighted([], ranking, weight)
    assert {item.chunk_id: item.score for item in alone} == min_max(ranking)


def test_weighted_by_hand() -> None:
    # lexical 4, 2, 0 → 1, ½, 0; dense 0.9, 0.5 → 1, 0; weight 0.7:
    # 1: 0.3·1 + 0.7·0 = 0.3;  2: 0.3·½ + 0.7·1 = 0.85;  3: 0
    found = weighted([Scored(1, 4), Scored(2, 2), Scored(3, 0)], [Scored(2, 0.9), Scored(1, 0.5)])
    assert [(item.chunk_id, round(item.score, 9)) for item in found] == [(2, 0.85), (1, 0.3), (3, 0.0)]


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan")])
def test_a_weight_outside_the_unit_interval_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"^dense_weight must lie in \[0, 1\], got "):
        weighted([Scored(1, 1)], [Scored(1, 1)], weight)


@given(st.lists(_RANKING, max_size=4), st.integers(1, 100))
def test_reciprocal_rank_equals_brute_force(rankings: list[list[Scored]], k: int) -> None:
    found = reciprocal_rank(rankings, k)
    ids = {item.chunk_id for ranking in rankings for item in ranking}
    oracle = {
        i: sum(1 / (k + [x.chunk_id for x in r].index(i) + 1) for r in rankings if i in [x.chunk_id for x in r])
        for i in ids
    }
    assert {item.chunk_id: item.score for item in found} == {i: pytest.approx(score) for i, score in oracle.items()}
    assert found == sorted(found, key=lambda item: (-item.score, item.chunk_id))


def test_reciprocal_rank_by_hand() -> None:
    # 7: 1/61 + 1/62 = 0.032522;  8: 1/62 + 1/61, the same, so by id;  9: 1/63
    found = reciprocal_rank([[Scored(8, 5), Scored(7, 4), Scored(9, 1)], [Scored(7, 9), Scored(8, 2)]])
    assert [(item.chunk_id, round(item.score, 6)) for item in found] == [(7, 0.032522), (8, 0.032522), (9, 0.015873)]


def test_nothing_fused_is_nothing() -> None:
    assert weighted([], []) == []
    assert reciprocal_rank([]) == []
    assert min_max([]) == {}
