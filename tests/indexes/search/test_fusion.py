"""Fusion against brute force over every id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.search.fusion import best_first, by_best, weighted
from indexes.segments.lexical import Scored

_SCORES = st.dictionaries(st.integers(0, 20), st.floats(-1e6, 1e6), max_size=15)
_SHARES = st.dictionaries(st.integers(0, 20), st.floats(0, 1), max_size=15)


@given(_SCORES)
def test_shares_of_the_best_lie_in_the_unit_interval_and_keep_the_order_of_positive_scores(
    scores: dict[int, float],
) -> None:
    found = by_best(Scored(i, score) for i, score in scores.items())
    best = max(scores.values(), default=0.0)
    assert found == {i: pytest.approx(max(score, 0) / best if best > 0 else 0) for i, score in scores.items()}
    assert all(0 <= share <= 1 for share in found.values())


@given(_SHARES, _SHARES, st.floats(0, 1))
def test_weighted_equals_brute_force(lexical: dict[int, float], dense: dict[int, float], weight: float) -> None:
    found = weighted(lexical, dense, weight)
    assert found == {
        i: pytest.approx((1 - weight) * lexical.get(i, 0) + weight * dense.get(i, 0))
        for i in range(21)
        if i in lexical or i in dense
    }


def test_fused_by_hand() -> None:
    # lexical 4, 2 → 1, ½; dense 0.8, 0.4, −0.1 → 1, ½, 0; weight 0.7:
    # 1: 0.3·1 + 0.7·½ = 0.65;  2: 0.3·½ + 0.7·1 = 0.85;  3: 0.7·0 = 0
    lexical = by_best([Scored(1, 4), Scored(2, 2)])
    dense = by_best([Scored(2, 0.8), Scored(1, 0.4), Scored(3, -0.1)])
    found = best_first(weighted(lexical, dense, 0.7))
    assert [(item.chunk_id, round(item.score, 9)) for item in found] == [(2, 0.85), (1, 0.65), (3, 0.0)]


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan")])
def test_a_weight_outside_the_unit_interval_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"^dense_weight must lie in \[0, 1\], got "):
        weighted({1: 1.0}, {1: 1.0}, weight)


@given(_SCORES)
def test_best_first_falls_and_ties_go_by_id(scores: dict[int, float]) -> None:
    found = [(-item.score, item.chunk_id) for item in best_first(scores)]
    assert found == sorted((-score, i) for i, score in scores.items())


def test_nothing_fused_is_nothing() -> None:
    assert by_best([]) == {}
    assert weighted({}, {}, 0.5) == {}
    assert best_first({}) == []
