"""BM25 over chunks: rank-bm25 for small collections, an inverted index read term by term for large ones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from . import bm25
from .bm25 import Array
from .postings import Postings

SMALL_CHUNKS = 1_000  # up to here rank-bm25, which looks at every chunk for every term, is as quick
_ROUNDING = 1e-9  # bounds and scores add the same numbers in another order


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk id with one index's score; higher is better."""

    chunk_id: int
    score: float


class LexicalIndex(Protocol):
    """Ranks chunks for weighted index terms by Σ weight · idf · saturation (see `bm25`)."""

    def search(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        """At most k chunks that share a term of positive weight with the query, best first; ties by chunk id."""
        ...

    def __len__(self) -> int:
        """Chunks in the index."""
        ...


class RankBM25Index:
    """rank-bm25's BM25Okapi: scores every chunk for every query.

    Deviation: the idf is Lucene's. Okapi's own is zero or less for a term in half of the chunks, and a
    collection of one or two would find nothing.
    """

    def __init__(self, chunk_ids: Sequence[int], tokenised: Sequence[Sequence[str]]) -> None:
        if len(chunk_ids) != len(tokenised):
            raise ValueError(f"{len(chunk_ids)} chunk ids for {len(tokenised)} token lists")
        self._ids = np.asarray(chunk_ids, dtype=np.int64)
        self._holding = Counter(term for tokens in tokenised for term in set(tokens))
        self._bm25: Any = None
        if self._holding:
            from rank_bm25 import BM25Okapi

            self._bm25 = BM25Okapi([list(tokens) for tokens in tokenised], k1=bm25.K1, b=bm25.B)
            self._bm25.idf = {term: bm25.idf(len(tokenised), n) for term, n in self._holding.items()}

    def __len__(self) -> int:
        return len(self._ids)

    def search(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        known = {term: weight for term, weight in weights.items() if weight > 0 and term in self._holding}
        if not known or k < 1:
            return []
        scores = np.zeros(len(self), dtype=np.float64)
        for term, weight in known.items():
            scores += weight * np.asarray(self._bm25.get_scores([term]))
        order = np.argsort(-scores, kind="stable")[:k]
        return [Scored(int(self._ids[i]), float(scores[i])) for i in order if scores[i] > 0]


class LexicalPart:
    """The inverted index of some chunks, those that are dead masked."""

    def __init__(self, postings: Postings, peaks: Array, dead: Array) -> None:
        self.postings = postings
        gone = np.isin(postings.chunk_ids, dead)
        self._alive = None if not gone.any() else ~gone
        self.own_mean = float(postings.lengths.mean()) if len(postings) else 1.0
        self._peaks = peaks
        lengths = postings.lengths if self._alive is None else postings.lengths[self._alive]
        self.chunks, self.length = len(lengths), int(lengths.sum(dtype=np.int64))

    def find(self, term: str) -> "_Found | None":
        """Live postings of a term; None where there are none."""
        number = self.postings.number(term)
        if number is None:
            return None
        rows, counts = self.postings.of(number)
        if self._alive is not None:
            kept = self._alive[rows]
            rows, counts = rows[kept], counts[kept]
        return _Found(rows, counts, float(self._peaks[number])) if len(rows) else None


@dataclass(frozen=True, slots=True)
class _Found:
    """A term's rows and counts in one part, and its highest saturation there."""

    rows: Array
    counts: Array
    peak: float


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A term's postings in one part with weight · idf, and the most that they can add to a score."""

    found: _Found
    weight: float
    most: float


class InvertedIndex:
    """BM25 over parts, with the statistics of all of them together; exact.

    Terms are taken by what they can add at most. Once the rest of them cannot lift an unseen chunk among the
    best k, only chunks that were seen are looked up in them: MaxScore (Turtle and Flood, Query evaluation:
    strategies and optimizations, 1995), term by term over arrays.
    """

    def __init__(self, parts: Sequence[LexicalPart]) -> None:
        self._parts = [part for part in parts if part.chunks]
        self._chunks = sum(part.chunks for part in self._parts)
        self._mean_length = max(sum(part.length for part in self._parts), 1) / max(self._chunks, 1)

    def __len__(self) -> int:
        return self._chunks

    def search(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        if k < 1:
            return []
        found = {term: [part.find(term) for part in self._parts] for term, weight in weights.items() if weight > 0}
        ids, scores = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)
        idfs = {
            term: bm25.idf(self._chunks, sum(len(item.rows) for item in items if item)) for term, items in found.items()
        }
        weighed = [
            [
                _Weighed(item, weights[term] * idfs[term], self._most(part, item, weights[term] * idfs[term]))
                if item
                else None
                for part, item in zip(self._parts, items, strict=True)
            ]
            for term, items in found.items()
        ]
        # One order for all parts: numbers that are added in another order differ in their last digit, and equal chunks
        # would not be equal.
        weighed.sort(key=lambda items: -max((item.most for item in items if item), default=0.0))
        for index, part in enumerate(self._parts):
            terms = [item for items in weighed if (item := items[index])]
            bar = float(scores[k - 1]) if len(scores) >= k else 0.0
            rows, more = self._best(part, terms, k, bar)
            ids, scores = _top(np.concatenate([ids, part.postings.chunk_ids[rows]]), np.concatenate([scores, more]), k)
        return [Scored(int(i), float(s)) for i, s in zip(ids, scores, strict=True)]

    def _most(self, part: LexicalPart, found: _Found, weight: float) -> float:
        return weight * bm25.peak_at(found.peak, part.own_mean, self._mean_length)

    def _best(self, part: LexicalPart, terms: list[_Weighed], k: int, bar: float) -> tuple[Array, Array]:
        """Rows with their scores: all that may be among the best k, where `bar` is the k-th best so far."""
        lengths = part.postings.lengths
        scores = np.zeros(len(part.postings), dtype=np.float64)
        rest = sum(item.most for item in terms)
        seen: list[Array] = []
        for number, item in enumerate(terms):
            rows = item.found.rows
            before = scores[rows]
            seen.append(rows[before == 0])  # every term adds more than 0, so no row is in here twice
            scores[rows] = before + item.weight * bm25.saturation(item.found.counts, lengths[rows], self._mean_length)
            rest -= item.most
            following = terms[number + 1 :]
            # Worth a look only where it saves more than it costs.
            if sum(len(other.found.rows) for other in following) > sum(map(len, seen)):
                margin = rest * (1 + _ROUNDING)
                rows = _distinct(seen, scores, max(bar - margin, 0.0))
                bar = max(bar, _kth(scores[rows], k) * (1 - _ROUNDING))
                if margin < bar:
                    return self._finish(rows[scores[rows] + margin >= bar], scores, following, lengths)
                seen = [rows]
        rows = _distinct(seen, scores, bar * (1 - _ROUNDING))
        return rows, scores[rows]

    def _finish(self, rows: Array, scores: Array, terms: list[_Weighed], lengths: Array) -> tuple[Array, Array]:
        """Adds what the remaining terms give to the rows [r], rising."""
        total = scores[rows]
        for item in terms:
            at = np.searchsorted(item.found.rows, rows)
            at[at == len(item.found.rows)] = 0
            hit = item.found.rows[at] == rows
            counts = item.found.counts[at[hit]]
            total[hit] += item.weight * bm25.saturation(counts, lengths[rows[hit]], self._mean_length)
        return rows, total


def _distinct(seen: list[Array], scores: Array, bar: float) -> Array:
    """Rows that were seen, each in one of the arrays, and score at least the bar, rising."""
    if sum(map(len, seen)) > len(scores) // 8:
        return np.flatnonzero(scores >= bar) if bar > 0 else np.flatnonzero(scores)
    rows = np.concatenate(seen) if seen else np.zeros(0, dtype=np.int32)
    return np.sort(rows[scores[rows] >= bar] if bar > 0 else rows)


def _kth(scores: Array, k: int) -> float:
    """The k-th highest score; 0.0 where there are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else 0.0


def _top(ids: Array, scores: Array, k: int) -> tuple[Array, Array]:
    """The best k, best first, ties by id."""
    if len(scores) > k:
        kept = scores >= _kth(scores, k)
        ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, -scores))[:k]
    return ids[order], scores[order]
