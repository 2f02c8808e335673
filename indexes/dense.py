"""Inner-product search over unit vectors by FAISS: exact for most collections, inverted lists (IVF) for large ones."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bm25 import Array
from .embedding import Vectors
from .lexical import Scored

EXACT_CHUNKS = 200_000  # a collection up to here is searched exactly
MIN_LISTS_CHUNKS = 30_000  # a part of a large collection that is smaller is searched exactly too
RECALL = 0.99  # of the exact best DEPTH, at which the number of lists to read is set; over what is promised, 0.98
DEPTH = 100
_SAMPLE = 256  # vectors that stand for queries when that number is set
_TRAIN_PER_LIST = 40
_FILE, _PROBE = "vectors.faiss", "vectors.json"


@dataclass(frozen=True, slots=True)
class Probing:
    """How inverted lists are read: `probe` of `lists`, and the recall of the best DEPTH measured on the sample."""

    lists: int
    probe: int
    recall: float


class DensePart:
    """FAISS's index of some chunks in half precision, those that are dead masked.

    Cosine similarity, because vectors have length 1. Rows number the chunks from 0.
    """

    def __init__(self, index: Any, probing: Probing | None, chunk_ids: Array, dead: Array) -> None:
        self._index = index
        self.probing = probing
        self._ids = chunk_ids
        gone = np.isin(chunk_ids, dead)
        self._alive: Array | None = np.packbits(~gone, bitorder="little") if gone.any() else None
        self.chunks = len(chunk_ids) - int(gone.sum())

    @classmethod
    def build(cls, chunk_ids: Array, blocks: Iterable[Vectors], exact: bool = True) -> "DensePart":
        """An index of vectors [n, d], given in blocks of rows. Raises ValueError where n is not the number of ids."""
        index, probing = _exact(blocks), None
        count = 0 if index is None else index.ntotal
        if count != len(chunk_ids):
            raise ValueError(f"{len(chunk_ids)} chunk ids for {count} vectors")
        if index is not None and not exact:
            index, probing = _inverted(index)
        return cls(index, probing, chunk_ids, np.zeros(0, dtype=np.int64))

    @classmethod
    def read(cls, folder: Path, chunk_ids: Array, dead: Array) -> "DensePart":
        """The index in a folder, mapped, not read. Raises OSError, ValueError or RuntimeError where it is damaged."""
        path = folder / _FILE
        # A damaged length must not allocate gigabytes.
        _faiss().set_deserialization_vector_byte_limit(path.stat().st_size)
        index = _faiss().read_index(str(path), _faiss().IO_FLAG_MMAP_IFC)
        if index.ntotal != len(chunk_ids):
            raise ValueError(f"{path} holds {index.ntotal} vectors for {len(chunk_ids)} chunks")
        probing = None
        if cls.has_lists(folder):
            probing = Probing(**json.loads((folder / _PROBE).read_text()))
        return cls(index, probing, chunk_ids, dead)

    def write(self, folder: Path) -> None:
        """Nothing is written for a part without vectors."""
        if self._index is not None:
            _faiss().write_index(self._index, str(folder / _FILE))
        if self.probing is not None:
            (folder / _PROBE).write_text(json.dumps(asdict(self.probing)))

    @staticmethod
    def stands_in(folder: Path) -> bool:
        """Whether a folder holds such an index."""
        return (folder / _FILE).exists()

    @staticmethod
    def has_lists(folder: Path) -> bool:
        """Whether the index in a folder is one of inverted lists."""
        return (folder / _PROBE).exists()

    def search(self, vector: Vectors, k: int) -> list[Scored]:
        """At most k chunks for a query vector [d], best first; ties by chunk id."""
        if k < 1 or not self.chunks or self._index is None:
            return []
        with _one_thread():
            scores, rows = self._index.search(
                np.ascontiguousarray(vector[None, :]), min(k, self.chunks), params=self._parameters()
            )
        found = [Scored(int(self._ids[r]), float(s)) for r, s in zip(rows[0], scores[0], strict=True) if r >= 0]
        return sorted(found, key=lambda item: (-item.score, item.chunk_id))

    def _parameters(self) -> Any:
        selector = None if self._alive is None else _faiss().IDSelectorBitmap(self._alive)
        if self.probing is not None:
            return _faiss().SearchParametersIVF(sel=selector, nprobe=self.probing.probe)
        return _faiss().SearchParameters(sel=selector) if selector is not None else None


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


def _exact(blocks: Iterable[Vectors]) -> Any:
    """All vectors in half precision one after another; None without vectors."""
    index = None
    for block in blocks:
        if index is None:
            kind, metric = _faiss().ScalarQuantizer.QT_fp16, _faiss().METRIC_INNER_PRODUCT
            index = _faiss().IndexScalarQuantizer(block.shape[1], kind, metric)
        index.add(np.ascontiguousarray(block, dtype=np.float32))
    return index


def _inverted(exact: Any) -> tuple[Any, Probing]:
    """Inverted lists over the vectors of an exact index, and how many to read for RECALL."""
    count, size = exact.ntotal, exact.d
    lists = max(1, int(4 * count**0.5))
    rows = np.random.default_rng(0).permutation(count)
    coarse = _faiss().IndexFlatIP(size)
    kind, metric = _faiss().ScalarQuantizer.QT_fp16, _faiss().METRIC_INNER_PRODUCT
    index = _faiss().IndexIVFScalarQuantizer(coarse, size, lists, kind, metric, False)
    index.own_fields = False
    index.cp.spherical = True
    index.train(_rows(exact, np.sort(rows[: lists * _TRAIN_PER_LIST])))
    for first in range(0, count, 65_536):
        index.add(exact.reconstruct_n(first, min(65_536, count - first)))
    return index, _probing(exact, index, _rows(exact, np.sort(rows[:_SAMPLE])))


def _rows(index: Any, rows: Array) -> Vectors:
    vectors: Vectors = index.reconstruct_batch(rows)
    return vectors


def _probing(exact: Any, index: Any, queries: Vectors) -> Probing:
    """The smallest number of lists, to a quarter, at which the best DEPTH of the exact search are found to RECALL.

    Queries are vectors of the collection, drawn half way to another one of the sample, because real questions
    lie between passages and not on them.
    """
    mixed = queries + np.roll(queries, 1, axis=0)
    mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    depth = min(DEPTH, exact.ntotal)
    _, wanted = exact.search(mixed, depth)
    probe, recall = 1, 0.0
    while True:
        _, rows = index.search(mixed, depth, params=_faiss().SearchParametersIVF(nprobe=probe))
        recall = sum(len(np.intersect1d(a, b)) for a, b in zip(rows, wanted, strict=True)) / wanted.size
        if recall >= RECALL or probe >= index.nlist:
            return Probing(index.nlist, probe, round(recall, 4))
        probe = min(index.nlist, max(probe + 1, probe * 5 // 4))
