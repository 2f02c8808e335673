"""The ranking of one query: candidates of both indexes, their fused scores, and what the best says of the rest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..encoders.embedding import Vectors
from ..segments.lexical import Scored
from ..text.periods import asks_for_latest, latest
from ..text.tokens import proper_terms, query_terms
from . import fusion
from .naming import Names
from .ranking import SearchMode

_LIKENESS_POWER = 6  # passages that are merely about the same things are not like each other

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a chunk comes from. `name` is what its document is called (folders, file, title); empty without one."""

    document_id: int
    name: str = ""


class Searchable(Protocol):
    """What ranking needs of a collection: two indexes, and vectors, origins and texts of what they find."""

    def lexical(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        """At most k chunks that hold one of the terms, by the sum of BM25 score × weight, best first."""
        ...

    def dense(self, vector: Vectors, k: int) -> list[Scored]:
        """The k chunks nearest to a unit vector [d], by cosine, best first; runs in a thread beside `lexical`."""
        ...

    def encode_query(self, text: str) -> Vectors:
        """The unit vector [d] of a query."""
        ...

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        """The unit vectors [n, d] of chunks, in the order of their ids."""
        ...

    def origins(self, chunk_ids: Sequence[int]) -> Mapping[int, Origin]:
        """Where chunks come from, by their ids."""
        ...

    def text(self, chunk_id: int) -> str:
        """The text of a chunk."""
        ...


@dataclass(frozen=True, slots=True)
class RankSettings:
    """Constants of the ranking, one setting for every collection.

    `depth`: candidates that each index gives. `dense_weight`: the dense score's share of a passage's own score,
    which lies in [0, 1]; the rest is the lexical one's. To this are added, at most: `asked` for the proper words of
    the query that are in its document's name, `named` where the query says the whole name, `named_by_best` where the
    best passage of another document says it, `latest` where the query asks for the latest and of the documents that
    it asks for no other one's name tells a later period, `like_best` where its vector is that of the best passage.
    A document's further passages get these additions times `decay`, `decay`² and so on, best first.
    """

    depth: int = 100
    dense_weight: float = 0.7
    asked: float = 0.3
    named: float = 0.3
    named_by_best: float = 0.4
    latest: float = 0.3
    like_best: float = 0.2
    decay: float = 0.5


@dataclass(frozen=True, slots=True)
class Fused:
    """A chunk with its fused score and what each index said of it; ranks count from 1, None: not among its results."""

    chunk_id: int
    score: float
    lexical_rank: int | None = None
    dense_rank: int | None = None
    lexical_score: float | None = None
    dense_score: float | None = None


def retrieve(
    query: str, source: Searchable, mode: SearchMode, depth: int, settings: RankSettings | None = None
) -> list[Fused]:
    """At most `depth` chunks for a query, best first; ties by chunk id.

    Dense mode ranks by cosine alone. The others add what names say, and hybrid mode likeness to the best passage.
    """
    settings = settings or RankSettings()
    k = max(settings.depth, depth)
    weights = {term: float(count) for term, count in Counter(query_terms(query)).items()}
    lexical: list[Scored] = []
    dense: list[Scored] = []
    vector = None if mode is SearchMode.LEXICAL else source.encode_query(query)
    with ThreadPoolExecutor(1) as other:
        nearest = other.submit(source.dense, vector, k) if vector is not None else None
        if mode is not SearchMode.DENSE:
            lexical = source.lexical(weights, k)
        if nearest is not None:
            dense = nearest.result()
    if mode is SearchMode.DENSE:
        ranked = fusion.best_first(fusion.by_best(dense))
    elif ids := sorted({item.chunk_id for item in (*lexical, *dense)}):
        own = fusion.by_best(lexical)
        vectors = source.vectors(ids) if vector is not None else None
        if vector is not None and vectors is not None:
            # The dense index gives its best alone; the others' cosines are as quickly had.
            cosines = fusion.by_best(map(Scored, ids, (vectors @ vector).tolist()))
            own = fusion.weighted(own, cosines, settings.dense_weight)
        scores = np.array([own.get(i, 0.0) for i in ids])
        ranked = _with_evidence(query, ids, scores, vectors, source, settings)
    else:
        ranked = []
    return _explained(ranked[:depth], lexical, dense)


def _with_evidence(
    query: str,
    ids: Sequence[int],
    scores: Scores,
    vectors: Vectors | None,
    source: Searchable,
    settings: RankSettings,
) -> list[Scored]:
    """Candidates with scores [n] and vectors [n, d], ranked by these and by names, periods and likeness."""
    origins = source.origins(ids)
    called = {found.document_id: found.name for found in origins.values()}
    documents = [origins[i].document_id if i in origins else None for i in ids]
    names = Names(called)
    asked, named = names.asked(proper_terms(query)), names.named(frozenset(query_terms(query)))
    added = settings.asked * _of(asked, documents) + settings.named * _of(named, documents)
    most = max(asked.values(), default=0.0)
    if most > 0 and asks_for_latest(query):
        newest = latest({document: called[document] for document, share in asked.items() if share == most})
        added += settings.latest * _of(dict.fromkeys(newest, 1.0), documents)
    row = int(np.argmax(scores + added))
    if best := origins.get(ids[row]):
        said = names.named(frozenset(query_terms(source.text(ids[row]))))
        said[best.document_id] = 0.0
        added += settings.named_by_best * _of(said, documents)
    if vectors is not None:
        likeness = np.maximum((vectors @ vectors[row]).astype(np.float64), 0.0)
        added += settings.like_best * likeness**_LIKENESS_POWER
    added *= _decayed(scores + added, documents, settings.decay)
    return fusion.best_first(dict(zip(ids, (scores + added).tolist(), strict=True)))


def _decayed(scores: Scores, documents: Sequence[int | None], decay: float) -> Scores:
    """Factors [n]: 1 for the best passage of each document, `decay` for its second, `decay`² for its third."""
    factors, before = np.ones(len(scores)), Counter[int | None]()
    for row in np.argsort(-scores, kind="stable"):
        factors[row] = decay ** before[documents[row]]
        before[documents[row]] += 1
    return factors


def _of(values: Mapping[int, float], documents: Sequence[int | None]) -> Scores:
    """Each candidate's document's value [n], 0 where it has none."""
    return np.array([values.get(document, 0.0) if document is not None else 0.0 for document in documents])


def _explained(fused: Sequence[Scored], lexical: Sequence[Scored], dense: Sequence[Scored]) -> list[Fused]:
    """Fused scores with the ranks and scores that they came from."""
    by_lexical = {item.chunk_id: (rank, item.score) for rank, item in enumerate(lexical, 1)}
    by_dense = {item.chunk_id: (rank, item.score) for rank, item in enumerate(dense, 1)}
    found = []
    for item in fused:
        lexical_rank, lexical_score = by_lexical.get(item.chunk_id, (None, None))
        dense_rank, dense_score = by_dense.get(item.chunk_id, (None, None))
        found.append(Fused(item.chunk_id, item.score, lexical_rank, dense_rank, lexical_score, dense_score))
    return found
