"""Measures of a ranking against what is relevant, and what a mean of them is worth; a missing value is NaN, not 0."""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Item = TypeVar("Item", bound=Hashable)
Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `n` values with the bounds between which it lies in 95 of 100 resamplings of them."""

    mean: float
    low: float
    high: float
    n: int


def ndcg(ranking: Sequence[Item], relevant: Collection[Item], k: int) -> float:
    """nDCG@k of binary relevance: Σ 1/log2(rank + 1) over relevant ranks, by that of a perfect ranking.

    NaN where nothing is relevant. An item that is ranked twice counts once, at its better rank.
    """
    if not relevant:
        return math.nan
    wanted, gain = set(relevant), 0.0
    for rank, item in enumerate(ranking[:k], 1):
        if item in wanted:
            wanted.discard(item)
            gain += 1 / math.log2(rank + 1)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(len(set(relevant)), k) + 1))


def recall(ranking: Sequence[Item], relevant: Collection[Item], k: int) -> float:
    """Share of the relevant items among the first k; NaN where nothing is relevant."""
    wanted = set(relevant)
    return len(wanted.intersection(ranking[:k])) / len(wanted) if wanted else math.nan


def reciprocal_rank(ranking: Sequence[Item], relevant: Collection[Item]) -> float:
    """1 / rank of the first relevant item, 0 where none is ranked; NaN where nothing is relevant."""
    wanted = set(relevant)
    if not wanted:
        return math.nan
    return next((1 / rank for rank, item in enumerate(ranking, 1) if item in wanted), 0.0)


def covered(gold: Spans, found: Spans) -> float:
    """Share of the characters of the gold spans `[start, end)` that lie in a found span; NaN without gold characters.

    A character counts once, however many spans hold it.
    """
    wanted = _characters(gold)
    return len(wanted & _characters(found)) / len(wanted) if wanted else math.nan


def mean(values: Sequence[float]) -> float:
    """The mean of the values that are there; NaN where none is."""
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan


def bootstrap(values: Sequence[float], resamples: int = 10_000, seed: int = 0) -> Interval:
    """The mean of the values that are there and its 95% percentile interval, by resampling them with replacement."""
    there = np.asarray([value for value in values if not math.isnan(value)])
    if not len(there):
        return Interval(math.nan, math.nan, math.nan, 0)
    draws = np.random.default_rng(seed).integers(0, len(there), size=(resamples, len(there)))
    low, high = np.percentile(there[draws].mean(axis=1), (2.5, 97.5))
    return Interval(float(there.mean()), float(low), float(high), len(there))


def _characters(spans: Spans) -> set[int]:
    return {offset for start, end in spans for offset in range(start, end)}
