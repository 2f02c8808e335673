"""Questions to a built collection: how long answers take, and how much of the exact ones the dense index finds."""

import gc
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evals.bench.lexical import described
from evals.bench.scale.build import EMBEDDING, FOLDER
from evals.bench.scale.vectors import DIMENSION
from evals.datasets.generated import Array
from indexes.collection import Collection
from indexes.encoders.embedding import Vectors
from indexes.search.ranking import SearchMode
from indexes.search.view import open_view
from indexes.segments.dense import best
from indexes.storage.store import Store

_WARM_UP = 20  # questions that are asked before the clock starts
_DEPTHS = (10, 100)


class QuestionVectors:
    """An encoder that knows the vectors of some questions, so that embedding them costs nothing."""

    name = fingerprint = EMBEDDING
    dimension = DIMENSION

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        self.texts = list(texts)
        self._known = dict(zip(texts, vectors, strict=True))

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """Vectors of known questions. Raises KeyError for any other text."""
        if progress:
            progress(len(texts))
        return np.stack([self._known[text] for text in texts])

    def encode_query(self, text: str) -> Vectors:
        """The vector of a known question. Raises KeyError for any other text."""
        vector: Vectors = self._known[text]
        return vector


def questions(folder: Path) -> QuestionVectors:
    """The questions that were written with a collection."""
    texts = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    return QuestionVectors(texts, np.load(folder / "questions.npy", allow_pickle=False))


def search_times(folder: Path, modes: Sequence[str], rounds: int) -> dict[str, Any]:
    """Percentiles in ms by mode of `Collection.search`: ranking, and the rows of 100 chunks and their documents.

    The vector of a question is known. Modes take turns question by question.
    """
    asked = questions(folder)
    collection = Collection.open(folder / FOLDER, lambda _: asked)
    for text in asked.texts[:_WARM_UP]:
        for mode in modes:
            collection.search(text, mode=SearchMode(mode))
    gc.collect()
    gc.freeze()
    times: dict[str, list[float]] = {mode: [] for mode in modes}
    cpu_s = dict.fromkeys(modes, 0.0)
    for _ in range(rounds):
        for text in asked.texts:
            for mode in modes:
                started, cpu = time.perf_counter(), time.process_time()
                collection.search(text, mode=SearchMode(mode))
                times[mode].append((time.perf_counter() - started) * 1000)
                cpu_s[mode] += time.process_time() - cpu
    collection.close()
    return {
        mode: {**described(values), "cpu_mean_ms": round(cpu_s[mode] / len(values) * 1000, 3)}
        for mode, values in times.items()
    }


def dense_recall(folder: Path) -> dict[str, Any]:
    """Mean share of the exact nearest 10 and 100 chunks that the dense index finds, over questions it never saw."""
    asked = questions(folder)
    vectors = asked.encode(asked.texts)
    store = Store.open(folder / FOLDER)
    with store.snapshot():
        view = open_view(store, last_try=False)
        wanted = exact_nearest(store, vectors, max(_DEPTHS))
        found = [[item.chunk_id for item in best(view.dense, vector, max(_DEPTHS))] for vector in vectors]
    store.close()
    shares = {
        f"recall_at_{depth}": round(
            float(np.mean([_share(some, list(ids), depth) for some, ids in zip(found, wanted, strict=True)])), 4
        )
        for depth in _DEPTHS
    }
    coded = [part.codes for part in view.dense if part.codes and part.codes.shards]
    ways = [f"codes, {codes.candidates} candidates" for codes in coded]
    return {**shares, "n": len(vectors), "search": ways or ["exact"]}


def exact_nearest(store: Store, queries: Vectors, depth: int) -> Array:
    """Ids [q, depth] of the chunks with the highest inner products with queries [q, d], all vectors looked at."""
    ids = np.asarray(store.chunk_ids(1, store.last_chunk()), dtype=np.int64)
    scores = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    rows = np.zeros((len(queries), 0), dtype=np.int64)
    before = 0
    for vectors in store.vectors.between(1, store.last_chunk()):
        here = np.broadcast_to(np.arange(before, before + len(vectors)), (len(queries), len(vectors)))
        scores = np.concatenate([scores, queries @ vectors.T], axis=1)
        rows = np.concatenate([rows, here], axis=1)
        before += len(vectors)
        if scores.shape[1] > depth:
            kept = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
            scores, rows = np.take_along_axis(scores, kept, axis=1), np.take_along_axis(rows, kept, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    nearest: Array = ids[np.take_along_axis(rows, order, axis=1)]
    return nearest


def _share(found: Sequence[int], wanted: Sequence[int], depth: int) -> float:
    return len(set(found[:depth]) & set(wanted[:depth])) / min(depth, len(wanted))
