"""Two indexes' scores → one: each divided by its best, then their weighted sum. Pure functions over scores by chunk."""

from collections.abc import Iterable, Mapping

from ..segments.lexical import Scored


def by_best(found: Iterable[Scored]) -> dict[int, float]:
    """Scores as shares of the best one, in [0, 1]; those below 0, and all where none is above it, become 0.

    Unlike min-max this does not depend on how deep a ranking was read.
    """
    scores = {item.chunk_id: max(item.score, 0.0) for item in found}
    best = max(scores.values(), default=0.0)
    return {chunk_id: score / best if best > 0 else 0.0 for chunk_id, score in scores.items()}


def weighted(lexical: Mapping[int, float], dense: Mapping[int, float], dense_weight: float) -> dict[int, float]:
    """(1 − w)·lexical + w·dense; a chunk that one of them lacks scores 0 there.

    Raises ValueError for a weight outside [0, 1].
    """
    if not 0 <= dense_weight <= 1:
        raise ValueError(f"dense_weight must lie in [0, 1], got {dense_weight}")
    ids = lexical.keys() | dense.keys()
    return {i: (1 - dense_weight) * lexical.get(i, 0.0) + dense_weight * dense.get(i, 0.0) for i in ids}


def best_first(scores: Mapping[int, float]) -> list[Scored]:
    """The ranking of scored chunks; ties by chunk id."""
    return [Scored(i, score) for i, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]
