"""BM25's formulas (Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009)."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

K1 = 1.5
B = 0.75


def idf(chunks: int, holding: int) -> float:
    """Lucene's ln(1 + (N − n + ½)/(n + ½)), always above 0, for a term that n of N chunks hold."""
    return math.log(1 + (chunks - holding + 0.5) / (holding + 0.5))


def saturation(counts: Array, lengths: Array, mean_length: float) -> Array:
    """tf·(k1 + 1)/(tf + k1·(1 − b + b·length/mean)), float64, for counts of a term in chunks of these lengths."""
    tf = counts.astype(np.float64)
    scale: Array = lengths.astype(np.float64)
    scale *= K1 * B / mean_length
    scale += K1 * (1 - B)
    scale += tf
    tf *= K1 + 1
    tf /= scale
    return tf


def peaks(counts: Array, lengths: Array, starts: Array, mean_length: float) -> Array:
    """Highest saturation of each of t terms, float32 rounded up; `starts` [t + 1] says where a term's counts begin."""
    if len(starts) < 2:
        return np.zeros(0, dtype=np.float32)
    highest = np.maximum.reduceat(saturation(counts, lengths, mean_length), starts[:-1])
    return np.nextafter(highest.astype(np.float32), np.float32(np.inf))


def peak_at(peak: float, mean_then: float, mean_now: float) -> float:
    """An upper bound of a saturation whose peak was taken at another mean length: it grows at most as the mean does."""
    return peak * max(1.0, mean_now / mean_then)
