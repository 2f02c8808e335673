"""BM25's formulas by hand, and their bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.segments import bm25

COUNTS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 400)), min_size=1, max_size=30)
MEANS = st.floats(0.5, 500)


def test_idf_by_hand() -> None:
    assert bm25.idf(3, 1) == pytest.approx(math.log(1 + 2.5 / 1.5))
    assert bm25.idf(10, 10) == pytest.approx(math.log(1 + 0.5 / 10.5))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_idf_is_above_zero_and_falls_with_the_chunks_that_hold_the_term(numbers: tuple[int, int]) -> None:
    chunks, holding = numbers
    assert bm25.idf(chunks, holding) > 0
    assert holding == 0 or bm25.idf(chunks, holding) < bm25.idf(chunks, holding - 1)


def test_saturation_by_hand() -> None:
    # f = 2, |d| = 4, mean 8/3: 2·2.5 / (2 + 1.5·(0.25 + 0.75·1.5)) = 5/4.0625
    # f = 1, |d| = mean: 2.5 / (1 + 1.5) = 1
    found = bm25.saturation(np.array([2, 1], dtype=np.uint16), np.array([4, 8 / 3]), 8 / 3)
    np.testing.assert_allclose(found, [5 / 4.0625, 1.0])


def test_saturation_leaves_what_it_is_given_as_it_was() -> None:
    counts, lengths = np.array([2.0, 1.0]), np.array([4.0, 2.0])
    bm25.saturation(counts, lengths, 3.0)
    assert (counts.tolist(), lengths.tolist()) == ([2, 1], [4, 2])


@given(COUNTS, MEANS)
def test_a_saturation_lies_between_zero_and_its_limit(pairs: list[tuple[int, int]], mean: float) -> None:
    counts, lengths = np.array(pairs).T
    found = bm25.saturation(counts, lengths, mean)
    assert (found > 0).all()
    assert (found < bm25.K1 + 1).all()


@given(st.lists(COUNTS, max_size=5), MEANS, MEANS)
def test_a_peak_is_never_below_a_saturation_at_any_mean_length(
    terms: list[list[tuple[int, int]]], then: float, now: float
) -> None:
    starts = np.concatenate([[0], np.cumsum([len(pairs) for pairs in terms])]).astype(np.int64)
    counts, lengths = np.array([pair for pairs in terms for pair in pairs]).reshape(-1, 2).T
    peaks = bm25.peaks(counts, lengths, starts, then)
    assert len(peaks) == len(terms)
    assert peaks.dtype == np.float32
    for peak, pairs in zip(peaks.tolist(), terms, strict=True):
        their_counts, their_lengths = np.array(pairs).T
        assert peak >= bm25.saturation(their_counts, their_lengths, then).max()
        assert bm25.peak_at(peak, then, now) * (1 + 1e-12) >= bm25.saturation(their_counts, their_lengths, now).max()
