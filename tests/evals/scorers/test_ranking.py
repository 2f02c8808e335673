"""Measures by hand arithmetic, and against brute force or NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scorers.ranking import bootstrap, covered, mean, ndcg, recall, reciprocal_rank

_RANKING = st.lists(st.integers(0, 12), unique=True, max_size=12)
_RELEVANT = st.sets(st.integers(0, 12), min_size=1)


def test_ndcg_by_hand() -> None:
    # relevant at ranks 1 and 3 of three relevant: (1 + 1/2) / (1 + 1/log2(3) + 1/2)
    assert ndcg([7, 1, 8, 2], {7, 8, 9}, 10) == pytest.approx(1.5 / (1.5 + 1 / math.log2(3)))
    assert ndcg([1, 7], {7}, 1) == 0.0
    assert ndcg([7], {7, 8, 9}, 1) == 1.0  # no ranking of one could be better


@given(_RANKING, _RELEVANT, st.integers(1, 12))
def test_ndcg_equals_gains_over_discounts_by_numpy(ranking: list[int], relevant: set[int], k: int) -> None:
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gains = np.array([float(item in relevant) for item in ranking[:k]] + [0.0] * (k - len(ranking[:k])))
    ideal = np.sort([1.0] * len(relevant) + [0.0] * k)[::-1][:k]
    assert ndcg(ranking, relevant, k) == pytest.approx(float(gains @ discounts / (ideal @ discounts)))


def test_an_item_ranked_twice_counts_once() -> None:
    assert ndcg([7, 7], {7, 8}, 10) == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert recall([7, 7], {7, 8}, 10) == 0.5


def test_recall_and_reciprocal_rank_by_hand() -> None:
    assert recall(["b", "a", "c"], {"a", "c", "d"}, 2) == pytest.approx(1 / 3)
    assert reciprocal_rank(["b", "a", "c"], {"a", "c"}) == 0.5
    assert reciprocal_rank(["b"], {"a"}) == 0.0


def test_without_anything_relevant_values_are_missing_and_not_zero() -> None:
    assert math.isnan(ndcg([1], set(), 10))
    assert math.isnan(recall([1], set(), 10))
    assert math.isnan(reciprocal_rank([1], set()))
    assert math.isnan(covered([], [(0, 5)]))
    assert math.isnan(covered([(3, 3)], [(0, 5)]))


def test_covered_characters_by_hand() -> None:
    # gold 10…20 and 18…22: 12 characters; found 5…12 has 10, 11 and 19…21 has 19, 20: 4 of 12
    assert covered([(10, 20), (18, 22)], [(5, 12), (19, 21), (19, 21)]) == pytest.approx(4 / 12)
    assert covered([(0, 4)], [(0, 100)]) == 1.0
    assert covered([(0, 4)], []) == 0.0


def test_a_mean_leaves_missing_values_out() -> None:
    assert mean([1.0, math.nan, 0.0]) == 0.5
    assert math.isnan(mean([math.nan]))
    assert math.isnan(mean([]))


def test_a_bootstrap_interval_is_that_of_the_normal_approximation_for_many_values() -> None:
    values = np.random.default_rng(1).normal(2, 1, 400)
    found = bootstrap([*values.tolist(), math.nan])
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.n == 400
    assert found.low == pytest.approx(values.mean() - half, abs=0.015)
    assert found.high == pytest.approx(values.mean() + half, abs=0.015)
    assert bootstrap(values.tolist()) == bootstrap(values.tolist())


def test_the_interval_of_nothing_is_missing() -> None:
    found = bootstrap([math.nan])
    assert (math.isnan(found.mean), math.isnan(found.low), found.n) == (True, True, 0)
