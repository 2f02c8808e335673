"""Inner-product search over unit vectors by FAISS: exact for most collections, over product codes for large ones."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..encoders.embedding import Vectors
from ..files.folder import Folder
from .bm25 import Array
from .lexical import Scored

EXACT_CHUNKS = 200_000  # a collection up to here is searched exactly
MIN_CODED_CHUNKS = 30_000  # a part of a large collection that is smaller is searched exactly too
RECALL = 0.99  # of the exact best DEPTH, which the number of candidates must reach; over what is promised, 0.98
DEPTH = 100
_CANDIDATES = (1_000, 2_000, 4_000)  # tried in this order
_SAMPLE = 64  # queries that measure the recall
_TRAINING = 40_000  # vectors that the codes are learnt from
_ROWS_AT_ONCE = 65_536
_SHARD_ROWS = 2**19  # codes in one index at most; shards are scanned side by side
_FILE, _CODES_FILE, _CODES_FACTS = "vectors.faiss", "codes-{}.faiss", "codes.json"
_FACTS_BYTES = 4096


@dataclass(frozen=True)
class Codes:
    """Half a byte for every two components of a vector (product quantisation), read in place of the vectors.

    `candidates` that are best by their codes are scored anew by their vectors to find the best DEPTH; `recall` is
    the share of the exact best DEPTH that this found when the codes were made. `shards` are of consecutive rows;
    none, where no number of candidates was enough, and vectors are read after all.
    """

    shards: tuple[Any, ...]
    candidates: int
    recall: float

    @cached_property
    def index(self) -> Any:
        """All shards as one index, which scans them in threads of its own."""
        joined = _faiss().IndexShards(self.shards[0].d, True, True)
        for shard in self.shards:
            joined.add_shard(shard)
        return joined


class DensePart:
    """FAISS's index of some chunks in half precision, those that are dead masked.

    Cosine similarity, because vectors have length 1. Rows number the chunks from 0; their ids rise.
    """

    def __init__(self, index: Any, codes: Codes | None, chunk_ids: Array, dead: Array) -> None:
        self._index = index
        self.codes = codes
        self._ids = chunk_ids
        gone = np.isin(chunk_ids, dead)
        self._gone: npt.NDArray[np.bool_] | None = gone if gone.any() else None
        self._alive: Array | None = np.packbits(~gone, bitorder="little") if gone.any() else None
        self.chunks = len(chunk_ids) - int(gone.sum())

    @classmethod
    def build(cls, chunk_ids: Array, blocks: Iterable[Vectors], exact: bool = True) -> "DensePart":
        """An index of vectors [n, d], given in blocks of rows. Raises ValueError where n is not the number of ids."""
        index = _exact(blocks)
        count = 0 if index is None else index.ntotal
        if count != len(chunk_ids):
            raise ValueError(f"{len(chunk_ids)} chunk ids for {count} vectors")
        codes = None if exact or index is None else _coded(index)
        return cls(index, codes, chunk_ids, np.zeros(0, dtype=np.int64))

    @classmethod
    def read(cls, folder: Folder, chunk_ids: Array, dead: Array) -> "DensePart":
        """The index in a folder, its vectors mapped. Raises OSError, ValueError or RuntimeError where it is damaged."""
        index = _read(folder, _FILE)
        if index.ntotal != len(chunk_ids):
            raise ValueError(f"{folder.path} holds {index.ntotal} vectors for {len(chunk_ids)} chunks")
        codes = None
        if cls.has_codes(folder):
            facts = json.loads(folder.read(_CODES_FACTS, _FACTS_BYTES))
            shards = [_read(folder, _CODES_FILE.format(number)) for number in range(facts["shards"])]
            if shards and (sum(shard.ntotal for shard in shards), shards[0].d) != (len(chunk_ids), index.d):
                raise ValueError(f"{folder.path} holds codes of other vectors")
            codes = Codes(tuple(shards), facts["candidates"], facts["recall"])
        return cls(index, codes, chunk_ids, dead)

    def write(self, folder: Folder) -> None:
        """Nothing is written for a part without vectors."""
        if self._index is not None:
            _write(folder, _FILE, self._index)
        if self.codes is not None:
            for number, shard in enumerate(self.codes.shards):
                _write(folder, _CODES_FILE.format(number), shard)
            facts = {
                "shards": len(self.codes.shards),
                "candidates": self.codes.candidates,
                "recall": self.codes.recall,
            }
            with folder.writing(_CODES_FACTS) as stream:
                stream.write(json.dumps(facts).encode())

    @staticmethod
    def stands_in(folder: Folder) -> bool:
        """Whether a folder holds such an index."""
        return folder.has(_FILE)

    @staticmethod
    def has_codes(folder: Folder) -> bool:
        """Whether the index in a folder has codes, or was found to be better without."""
        return folder.has(_CODES_FACTS)

    def search(self, vector: Vectors, k: int) -> list[Scored]:
        """At most k chunks for a query vector [d], best first; ties by chunk id."""
        if k < 1 or not self.chunks or self._index is None:
            return []
        k = min(k, self.chunks)
        vector = np.ascontiguousarray(vector, dtype=np.float32)
        with _one_thread():
            coded = self.codes is not None and self.codes.shards
            rows, scores = self._by_codes(vector, k) if coded else self._by_vectors(vector, k)
        ids = self._ids[rows]
        best = np.lexsort((ids, -scores))[:k]
        return list(map(Scored, ids[best].tolist(), scores[best].tolist()))

    def vectors(self, chunk_ids: Array) -> Vectors:
        """Vectors [n, d] of n of its chunks."""
        with _one_thread():
            return _rows(self._index, np.searchsorted(self._ids, chunk_ids))

    @property
    def first_id(self) -> int:
        return int(self._ids[0])

    def _by_vectors(self, vector: Vectors, k: int) -> tuple[Array, Vectors]:
        selector = None if self._alive is None else _faiss().IDSelectorBitmap(self._alive)
        scores, rows = self._index.search(vector[None, :], k, params=_faiss().SearchParameters(sel=selector))
        return rows[0][rows[0] >= 0], scores[0][rows[0] >= 0]

    def _by_codes(self, vector: Vectors, k: int) -> tuple[Array, Vectors]:
        """More than k where there are: candidates by their codes, with scores by their vectors.

        Candidates grow with k and, because codes cannot be masked, with the dead.
        """
        assert self.codes is not None
        candidates = int(self.codes.candidates * max(1.0, k / DEPTH) * len(self._ids) / self.chunks)
        if candidates > len(self._ids) // 4:
            return self._by_vectors(vector, k)
        _, found = self.codes.index.search(vector[None, :], candidates)
        rows = np.sort(found[0][found[0] >= 0])
        if self._gone is not None:
            rows = rows[~self._gone[rows]]
        return rows, _rows(self._index, rows) @ vector


@contextmanager
def _one_thread() -> Iterator[None]:
    """FAISS shares out queries among threads; for one query the others would only be waited for."""
    before = _faiss().omp_get_max_threads()
    _faiss().omp_set_num_threads(1)
    try:
        yield
    finally:
        _faiss().omp_set_num_threads(before)


def _faiss() -> Any:
    """FAISS, whose Python layer is generated and carries no types to hold on to."""
    import faiss

    return faiss


def best(parts: Sequence[DensePart], vector: Vectors, k: int) -> list[Scored]:
    """At most k chunks of all parts for a query vector [d], best first; ties by chunk id."""
    found = [item for part in parts for item in part.search(vector, k)]
    return sorted(found, key=lambda item: (-item.score, item.chunk_id))[:k]


def vectors_of(parts: Sequence[DensePart], chunk_ids: Sequence[int]) -> Vectors:
    """Vectors [n, d] of n chunks in the order given; parts are in the order of their ids."""
    order = np.argsort(chunk_ids)
    wanted = np.asarray(chunk_ids, dtype=np.int64)[order]
    bounds = np.searchsorted(wanted, [part.first_id for part in parts] + [np.iinfo(np.int64).max])
    found = [part.vectors(wanted[a:b]) for part, a, b in zip(parts, bounds[:-1], bounds[1:], strict=True) if a < b]
    return np.concatenate(found)[np.argsort(order)] if found else np.zeros((0, 1), dtype=np.float32)


def _read(folder: Folder, name: str) -> Any:
    with folder.path_of(name) as path:
        # A damaged length must not allocate gigabytes.
        _faiss().set_deserialization_vector_byte_limit(Path(path).stat().st_size)
        return _faiss().read_index(path, _faiss().IO_FLAG_MMAP_IFC)


def _write(folder: Folder, name: str, index: Any) -> None:
    with folder.path_of(name, new=True) as path:
        _faiss().write_index(index, path)


def _exact(blocks: Iterable[Vectors]) -> Any:
    """All vectors in half precision one after another; None without vectors."""
    index = None
    for block in blocks:
        if index is None:
            kind, metric = _faiss().ScalarQuantizer.QT_fp16, _faiss().METRIC_INNER_PRODUCT
            index = _faiss().IndexScalarQuantizer(block.shape[1], kind, metric)
        index.add(np.ascontiguousarray(block, dtype=np.float32))
    return index


def _coded(exact: Any) -> Codes:
    """Codes of an exact index's vectors with as many candidates as RECALL takes; no shards where it is not reached."""
    count, size = exact.ntotal, exact.d
    rows = np.random.default_rng(0).permutation(count)
    learnt = _faiss().IndexPQFastScan(size, size // 2 if size % 2 == 0 else size, 4, _faiss().METRIC_INNER_PRODUCT)
    learnt.train(_rows(exact, np.sort(rows[:_TRAINING])))
    bounds = np.linspace(0, count, -(-count // _SHARD_ROWS) + 1).astype(int).tolist()
    shards = []
    for start, end in pairwise(bounds):
        shards.append(_faiss().clone_index(learnt))
        for first in range(start, end, _ROWS_AT_ONCE):
            shards[-1].add(exact.reconstruct_n(first, min(_ROWS_AT_ONCE, end - first)))
    queries = _between(_rows(exact, np.sort(rows[:_SAMPLE])))
    depth = min(DEPTH, count)
    _, wanted = exact.search(queries, depth)
    codes = Codes(tuple(shards), 0, 0.0)
    recall = 0.0
    for candidates in _CANDIDATES:
        recall = round(_recall(exact, codes.index, queries, wanted, min(candidates, count)), 4)
        if recall >= RECALL:
            return Codes(codes.shards, candidates, recall)
    return Codes((), 0, recall)


def _between(vectors: Vectors) -> Vectors:
    """Unit vectors half way from each to the next, because real questions lie between passages and not on them."""
    mixed = vectors + np.roll(vectors, 1, axis=0)
    lengths: Vectors = np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return mixed / lengths


def _recall(exact: Any, index: Any, queries: Vectors, wanted: Array, candidates: int) -> float:
    """Share of the wanted rows [q, depth] among the best of so many candidates."""
    _, found = index.search(queries, candidates)
    hits = 0
    for query, rows, best in zip(queries, found, wanted, strict=True):
        scores = _rows(exact, rows) @ query
        hits += len(np.intersect1d(rows[np.argsort(-scores)[: len(best)]], best))
    return hits / wanted.size


def _rows(index: Any, rows: Array) -> Vectors:
    vectors: Vectors = index.reconstruct_batch(rows)
    return vectors
