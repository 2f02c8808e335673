"""BM25 libraries over the same terms: ours, rank-bm25, bm25s and tantivy behind one interface, and exact scores.

Each is given chunks as terms, one after another; what it must do to take them in is part of its building time.
A query is some different terms, and the answer the positions of the best chunks.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evals.datasets.generated import Array
from indexes.files.folder import Folder
from indexes.segments import bm25
from indexes.segments.compaction import SEGMENT_CHUNKS
from indexes.segments.lexical import InvertedIndex
from indexes.segments.postings import Postings, merge
from indexes.segments.segment import NONE_DEAD, Segment

RANK_BM25_CHUNKS = 100_000  # beyond, rank-bm25 takes longer for a query than anyone waits
_HEAP_BYTES = 256 * 2**20  # tantivy's writer
_FIELD, _POSITION = "terms", "position"


@dataclass(frozen=True, slots=True)
class TermChunks:
    """c chunks as w terms: `ids` [w] int32 into `words`, `ends` [c] int64 where each chunk's terms end."""

    ids: Array
    ends: Array
    words: list[str]

    def __len__(self) -> int:
        return len(self.ends)

    def numbers(self) -> Iterator[Array]:
        """The term numbers of each chunk."""
        start = 0
        for end in self.ends.tolist():
            yield self.ids[start:end]
            start = end

    def terms(self) -> Iterator[list[str]]:
        """The terms of each chunk; equal ones are one object."""
        for ids in self.numbers():
            yield [self.words[i] for i in ids.tolist()]

    def write(self, folder: Path) -> None:
        np.save(folder / "ids.npy", self.ids, allow_pickle=False)
        np.save(folder / "ends.npy", self.ends, allow_pickle=False)
        (folder / "words.json").write_text(json.dumps(self.words), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "TermChunks":
        """The terms in a folder; they are mapped, the words are read."""
        ids, ends = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("ids", "ends"))
        return cls(ids, ends, json.loads((folder / "words.json").read_text(encoding="utf-8")))


class Contender(Protocol):
    """A BM25 index that is built into a folder, loaded from it and asked."""

    def build(self, chunks: TermChunks, folder: Path) -> None:
        """Makes the index; nothing is written by one that lives in memory only."""
        ...

    def load(self, folder: Path) -> None:
        """Makes it ready for queries, in a process that may be another one."""
        ...

    def search(self, terms: Sequence[str], k: int) -> list[int]:
        """Positions of at most k chunks, best first."""
        ...


class Ours:
    """The inverted index of the collection, in one segment."""

    def build(self, chunks: TermChunks, folder: Path) -> None:
        parts, some = [], []
        for position, terms in enumerate(chunks.terms()):
            some.append((position, terms))
            if len(some) == SEGMENT_CHUNKS:
                parts.append(Postings.build(some))
                some = []
        if some:
            parts.append(Postings.build(some))
        Segment.of(merge(parts, NONE_DEAD), None).write(Folder.open(folder), 0, len(chunks) - 1)

    def load(self, folder: Path) -> None:
        segments = [Segment.read(Folder.open(path), NONE_DEAD) for path in (folder / "segments").iterdir()]
        self._index = InvertedIndex([segment.lexical for segment in segments])

    def search(self, terms: Sequence[str], k: int) -> list[int]:
        return [found.chunk_id for found in self._index.search(dict.fromkeys(terms, 1.0), k)]


class RankBM25:
    """rank-bm25's BM25Okapi with its own idf. It has no files: loading from terms is building."""

    def build(self, chunks: TermChunks, folder: Path) -> None:
        from rank_bm25 import BM25Okapi

        self._index = BM25Okapi(list(chunks.terms()), k1=bm25.K1, b=bm25.B)

    def load(self, folder: Path) -> None:
        self.build(TermChunks.read(folder.parent), folder)

    def search(self, terms: Sequence[str], k: int) -> list[int]:
        scores = self._index.get_scores(list(terms))
        best = np.argpartition(-scores, min(k, len(scores) - 1))[:k]
        return [int(i) for i in best[np.argsort(-scores[best], kind="stable")] if scores[i] > 0]


class BM25S:
    """bm25s with Lucene's formula, its arrays read into memory as it does by default."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def build(self, chunks: TermChunks, folder: Path) -> None:
        from bm25s import BM25

        numbers = list(range(len(chunks.words)))  # one object a number, or they would take gigabytes
        ids = [[numbers[i] for i in some.tolist()] for some in chunks.numbers()]
        index = BM25(k1=bm25.K1, b=bm25.B, method="lucene", backend=self._backend)
        index.index((ids, {word: i for i, word in enumerate(chunks.words)}), show_progress=False)
        index.save(str(folder), show_progress=False)

    def load(self, folder: Path) -> None:
        from bm25s import BM25

        self._index = BM25.load(str(folder), show_progress=False)
        if self._backend == "numba":
            self._index.activate_numba_scorer()

    def search(self, terms: Sequence[str], k: int) -> list[int]:
        known = [term for term in terms if term in self._index.vocab_dict]
        if not known:
            return []
        k = min(k, self._index.scores["num_docs"])
        found = self._index.retrieve([known], k=k, show_progress=False, backend_selection=self._backend)
        return [int(i) for i, score in zip(found.documents[0], found.scores[0], strict=True) if score > 0]


class Tantivy:
    """tantivy, written and searched by one thread. Its k1 is 1.2 and it rounds lengths, so its ranking differs."""

    def __init__(self) -> None:
        from tantivy import SchemaBuilder

        schema = SchemaBuilder()
        schema.add_text_field(_FIELD, tokenizer_name="whitespace", index_option="freq")
        schema.add_unsigned_field(_POSITION, fast=True)
        self._schema = schema.build()

    def build(self, chunks: TermChunks, folder: Path) -> None:
        from tantivy import Document, Index

        index = Index(self._schema, str(folder))
        writer = index.writer(_HEAP_BYTES, 1)
        for position, terms in enumerate(chunks.terms()):
            document = Document()
            document.add_text(_FIELD, " ".join(terms))
            document.add_unsigned(_POSITION, position)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()

    def load(self, folder: Path) -> None:
        from tantivy import Index

        index = Index.open(str(folder))
        index.reload()
        self._searcher = index.searcher()

    def search(self, terms: Sequence[str], k: int) -> list[int]:
        from tantivy import Occur, Query

        parts = [(Occur.Should, Query.term_query(self._schema, _FIELD, term, "freq")) for term in terms]
        hits = self._searcher.search(Query.boolean_query(parts), k, count=False).hits
        positions: list[Any] = self._searcher.fast_field_values(_POSITION, [address for _, address in hits])
        return [int(i) for i in positions]


CONTENDERS: Mapping[str, Callable[[], Contender]] = {
    "ours": Ours,
    "rank-bm25": RankBM25,
    "bm25s": lambda: BM25S("numpy"),
    "bm25s, numba": lambda: BM25S("numba"),
    "tantivy": Tantivy,
}


def exact(chunks: TermChunks, queries: Sequence[Sequence[str]]) -> Iterator[Array]:
    """BM25 scores [c] float64 of all chunks for each query, added up without an index."""
    numbers = {word: i for i, word in enumerate(chunks.words)}
    wanted = np.zeros(len(chunks.words), dtype=bool)
    wanted[[numbers[term] for terms in queries for term in terms if term in numbers]] = True
    chunk_of = np.repeat(np.arange(len(chunks), dtype=np.int32), np.diff(chunks.ends, prepend=0))
    kept = wanted[chunks.ids]
    order = np.argsort(chunks.ids[kept], kind="stable")
    ids, chunk_of = chunks.ids[kept][order], chunk_of[kept][order]
    lengths = np.diff(chunks.ends, prepend=0).astype(np.float64)
    share = bm25.K1 * (1 - bm25.B + bm25.B * lengths / lengths.mean())
    for terms in queries:
        scores = np.zeros(len(chunks))
        for number in (numbers[term] for term in terms if term in numbers):
            first, last = np.searchsorted(ids, [number, number + 1])
            rows, counts = np.unique(chunk_of[first:last], return_counts=True)
            rarity = np.log(1 + (len(chunks) - len(rows) + 0.5) / (len(rows) + 0.5))
            scores[rows] += rarity * counts * (bm25.K1 + 1) / (counts + share[rows])
        yield scores


def agreement(found: Sequence[int], scores: Array, k: int = 10) -> float:
    """Share of the best k by exact scores that are among the first k found; equal scores stand for each other.

    NaN where no chunk scores.
    """
    there = min(k, int(np.count_nonzero(scores)))
    if not there:
        return float("nan")
    bar = np.partition(scores, -there)[-there] * (1 - 1e-6)  # bm25s and tantivy add in single precision
    return float(np.mean(scores[list(found[:there])] >= bar)) if found else 0.0


def written_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def described(values: Sequence[float]) -> dict[str, Any]:
    """Percentiles of times in ms, with how many there were."""
    p50, p90, p99 = (round(float(value), 3) for value in np.percentile(values, (50, 90, 99)))
    return {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "n": len(values)}
