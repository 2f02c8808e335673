"""BM25 over chunks, by rank-bm25 (Okapi, k1 1.5, b 0.75)."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .tokens import terms


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk id with one index's score; higher is better."""

    chunk_id: int
    score: float


class LexicalIndex(Protocol):
    """Ranks chunks for query terms."""

    def search(self, query: str, k: int) -> list[Scored]:
        """At most k chunks that share a term with the query, best first; ties keep corpus order."""
        ...


class RankBM25Index:
    """rank-bm25's BM25Okapi: scores every chunk for every query, so for collections up to some 50,000.

    Deviation: the idf is Lucene's ln(1 + (N − n + ½)/(n + ½)), n of N chunks holding the term. Okapi's own is
    zero or less for a term in half of the chunks, and a collection of one or two would find nothing.
    """

    def __init__(self, chunk_ids: Sequence[int], tokenised: Sequence[Sequence[str]]) -> None:
        if len(chunk_ids) != len(tokenised):
            raise ValueError(f"{len(chunk_ids)} chunk ids for {len(tokenised)} token lists")
        self._ids = np.asarray(chunk_ids, dtype=np.int64)
        total, holding = len(tokenised), Counter(term for tokens in tokenised for term in set(tokens))
        self._vocabulary = frozenset(holding)
        self._bm25: Any = None
        if self._vocabulary:
            from rank_bm25 import BM25Okapi

            self._bm25 = BM25Okapi([list(tokens) for tokens in tokenised])
            self._bm25.idf = {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in holding.items()}

    def search(self, query: str, k: int) -> list[Scored]:
        known = [term for term in terms(query) if term in self._vocabulary]
        if not known or k < 1:
            return []
        scores = np.asarray(self._bm25.get_scores(known), dtype=np.float64)
        order = np.argsort(-scores, kind="stable")[:k]
        return [Scored(int(self._ids[i]), float(scores[i])) for i in order if scores[i] > 0]
