"""The reader's side of the index files: both indexes of one state of the collection, ready to be searched."""

from dataclasses import dataclass

import numpy as np

from ..errors import CollectionBrokenError
from ..segments.bm25 import Array
from ..segments.compaction import SEGMENT_CHUNKS, is_small, segment_of
from ..segments.dense import DensePart
from ..segments.lexical import SMALL_CHUNKS, InvertedIndex, LexicalIndex, RankBM25Index
from ..segments.segment import Segment, opened
from ..storage.store import Store

_IN_MEMORY_CHUNKS = 4 * SEGMENT_CHUNKS


class StaleError(Exception):
    """A segment was replaced between reading the list of segments and its files; a new snapshot knows better."""


@dataclass(frozen=True, slots=True)
class IndexView:
    """Indexes of a generation. Mapped files stay readable when a writer replaces them.

    `vectors`: `dense` was opened; a search by words alone has no need of it.
    """

    generation: int
    vectors: bool
    lexical: LexicalIndex
    dense: tuple[DensePart, ...]


def open_view(store: Store, last_try: bool, vectors: bool = True) -> IndexView:
    """The indexes of what the store holds now, chunks without a segment indexed in memory.

    Its caller holds a snapshot. Raises StaleError where a segment cannot be read; on the last try such a segment's
    chunks are indexed in memory, and CollectionBrokenError is raised where they are too many for that.
    """
    dead = np.asarray(store.segments.dead(), dtype=np.int64)
    segments: list[Segment] = []
    gaps = store.segments.gaps(store.last_chunk())
    rows = store.segments.all()
    compared = is_small(rows)
    for row in rows:
        segment = opened(store.home, row, dead, vectors, compared)
        if segment is not None:
            segments.append(segment)
        elif last_try:
            gaps.append((row.first_chunk, row.last_chunk))
        else:
            raise StaleError
    segments.extend(_in_memory(store, gaps, vectors))
    segments.sort(key=lambda segment: int(segment.postings.chunk_ids[0]))
    dense = tuple(segment.dense for segment in segments if segment.dense is not None)
    return IndexView(store.generation, vectors, _lexical(segments, dead), dense)


def _in_memory(store: Store, gaps: list[tuple[int, int]], vectors: bool) -> list[Segment]:
    found = []
    left = _IN_MEMORY_CHUNKS
    for first, last in gaps:
        ids = store.chunk_ids(first, last)
        left -= len(ids)
        if left < 0:
            raise CollectionBrokenError(
                f"index files of the collection {store.folder} are missing or damaged",
                "run `fathom index` on its documents again: it writes them anew and reads no document twice",
            )
        if ids:
            found.append(segment_of(store, first, last, vectors))
    return found


def _lexical(segments: list[Segment], dead: Array) -> LexicalIndex:
    index = InvertedIndex([segment.lexical for segment in segments])
    if len(index) > SMALL_CHUNKS:
        return index
    gone = set(dead.tolist())
    bags = [bag for segment in segments for bag in segment.postings.bags() if bag[0] not in gone]
    return RankBM25Index([chunk_id for chunk_id, _ in bags], [terms for _, terms in bags])
