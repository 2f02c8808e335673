"""Several rankings → one: weighted sums of normalised scores, or reciprocal ranks. Pure functions."""

from collections.abc import Mapping, Sequence

from .lexical import Scored

DEFAULT_DENSE_WEIGHT = 0.7
RRF_K = 60


def min_max(ranking: Sequence[Scored]) -> dict[int, float]:
    """Scores mapped onto [0, 1] within one ranking; where all are equal, every one becomes 1."""
    if not ranking:
        return {}
    low = min(item.score for item in ranking)
    span = max(item.score for item in ranking) - low
    return {item.chunk_id: (item.score - low) / span if span > 0 else 1.0 for item in ranking}


def weighted(
    lexical: Sequence[Scored], dense: Sequence[Scored], dense_weight: float = DEFAULT_DENSE_WEIGHT
) -> list[Scored]:
    """(1 − w)·lexical + w·dense over min-max-normalised scores, best first; ties by chunk id.

    A chunk that one ranking lacks scores 0 there. Where one ranking is empty the other decides alone.
    """
    if not 0 <= dense_weight <= 1:
        raise ValueError(f"dense_weight must lie in [0, 1], got {dense_weight}")
    if not lexical or not dense:
        return _sorted(min_max(lexical or dense))
    left, right = min_max(lexical), min_max(dense)
    ids = left.keys() | right.keys()
    return _sorted({i: (1 - dense_weight) * left.get(i, 0.0) + dense_weight * right.get(i, 0.0) for i in ids})


def reciprocal_rank(rankings: Sequence[Sequence[Scored]], k: int = RRF_K) -> list[Scored]:
    """Reciprocal rank fusion, score Σ 1/(k + rank), ranks from 1 (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item.chunk_id] = scores.get(item.chunk_id, 0.0) + 1 / (k + rank)
    return _sorted(scores)


def _sorted(scores: Mapping[int, float]) -> list[Scored]:
    return [Scored(i, score) for i, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]
