"""Keeps the index files in step with the database: covers new chunks, joins small segments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ..storage.database import broken
from ..storage.segment_table import SegmentRow
from ..storage.store import Store
from ..text.tokens import index_terms
from .dense import EXACT_CHUNKS, MIN_CODED_CHUNKS, DensePart
from .postings import Postings, merge
from .segment import NONE_DEAD, Segment, damage, discard, has_codes, leftovers, opened, postings_of

SEGMENT_CHUNKS = 8_192  # covered at once: what a killed run leaves uncovered at most, and a reader indexes in memory
_TIER = 8  # while a run goes on, so many segments of a size are joined into one
_RATIO = 4  # at its end a segment is at least so many times as large as the one after it
_COMPARED_BYTES = 2**25  # of index files that are compared with their checksums whenever they are opened
_DEAD_SHARE = 0.2  # a segment with more dead chunks is written anew


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbouring segments that become one."""

    rows: tuple[SegmentRow, ...]

    @property
    def chunks(self) -> int:
        return sum(row.chunks for row in self.rows)


def is_small(rows: Sequence[SegmentRow]) -> bool:
    """Whether all index files together are few enough to be read whole each time they are opened."""
    return sum(item.size_bytes for row in rows for item in row.files) <= _COMPARED_BYTES


class Compaction:
    """The writer's side of the index files. Its user holds the collection's write lock."""

    def __init__(self, store: Store, on_work: Callable[[str], None] = lambda _: None) -> None:
        self._store = store
        self._home = store.home
        self._on_work = on_work

    def clear(self) -> None:
        """Forgets segments whose files are gone or cannot be read and deletes folders that no segment owns."""
        rows = self._store.segments.all()
        compared = is_small(rows)
        broken = [row for row in rows if opened(self._home, row, NONE_DEAD, compared=compared) is None]
        if broken:
            with self._store.transaction():
                for row in broken:
                    self._store.segments.drop(row.name)
                self._store.advance()
        for name in leftovers(self._home, self._store.segments.all()):
            discard(self._home, name)

    def cover(self) -> None:
        """Writes segments for all chunks that have none."""
        for first, last in self._store.segments.gaps(self._store.last_chunk()):
            ids = self._store.chunk_ids(first, last)
            # Of like size: a small rest would keep its neighbours from being joined.
            count = max(1, len(ids) // SEGMENT_CHUNKS) if ids else 0
            for number in range(count):
                some = ids[number * len(ids) // count : (number + 1) * len(ids) // count]
                self._put([], segment_of(self._store, some[0], some[-1]), some[0], some[-1])

    def uncovered(self) -> int:
        """How many chunk ids after the last segment have none."""
        rows = self._store.segments.all()
        return self._store.last_chunk() - (rows[-1].last_chunk if rows else 0)

    def join_equals(self) -> None:
        """Joins the last _TIER segments where they are of one size, as often as that is so."""
        while True:
            rows = self._store.segments.all()
            last = rows[-_TIER:]
            if len(last) < _TIER or max(row.chunks for row in last) >= _TIER * min(row.chunks for row in last):
                return
            self._join(_Group(tuple(last)), exact=True)

    def settle(self) -> None:
        """Covers everything and leaves few segments, each several times as large as the next; large ones get codes."""
        self.cover()
        rows = self._store.segments.all()
        large = sum(row.chunks - self._store.segments.dead_in(row) for row in rows) > EXACT_CHUNKS
        for group in _groups(rows):
            exact = not (large and group.chunks >= MIN_CODED_CHUNKS)
            bare = not exact and not has_codes(self._home, group.rows[0])
            if len(group.rows) > 1 or self._worn(group.rows[0]) or bare:
                self._join(group, exact)
        with self._store.transaction():
            self._store.segments.forget_dead_outside()
            self._store.removed()

    def _worn(self, row: SegmentRow) -> bool:
        return self._store.segments.dead_in(row) > _DEAD_SHARE * row.chunks

    def _join(self, group: _Group, exact: bool) -> None:
        self._on_work(f"joining {group.chunks:,} chunks of the index")
        first, last = group.rows[0].first_chunk, group.rows[-1].last_chunk
        joined = self._joined(group)
        if joined is None:
            joined = _postings_of(self._store, first, last)
        segment = _with_vectors(self._store, joined, first, last, exact) if len(joined) else None
        self._put(group.rows, segment, first, last)

    def _joined(self, group: _Group) -> Postings | None:
        """The postings of a group's live chunks; None where a file was damaged: new checksums must not seal that."""
        if any(damage(self._home, row) for row in group.rows):
            return None
        dead = np.asarray(self._store.segments.dead(), dtype=np.int64)
        return merge([postings_of(self._home, row) for row in group.rows], dead)

    def _put(self, old: Sequence[SegmentRow], segment: Segment | None, first: int, last: int) -> None:
        row = segment.write(self._home, first, last) if segment else None
        with self._store.transaction():
            self._store.segments.replace(old, row)
            self._store.advance()
        for gone in old:
            discard(self._home, gone.name)


def segment_of(store: Store, first: int, last: int, vectors: bool = True) -> Segment:
    """A segment in memory, made from the chunks in the database with an id in [first, last]."""
    if not vectors:
        return Segment.of(_postings_of(store, first, last), None)
    return _with_vectors(store, _postings_of(store, first, last), first, last, exact=True)


def _postings_of(store: Store, first: int, last: int) -> Postings:
    texts = store.chunk_texts(first, last)
    return Postings.build((chunk_id, index_terms(context, text)) for chunk_id, context, text in texts)


def _with_vectors(store: Store, postings: Postings, first: int, last: int, exact: bool) -> Segment:
    blocks = store.vectors.between(first, last)
    for head in blocks:
        try:
            return Segment.of(postings, DensePart.build(postings.chunk_ids, chain([head], blocks), exact))
        except ValueError as error:
            raise broken(store.folder, str(error)) from error
    return Segment.of(postings, None)


def _groups(rows: Sequence[SegmentRow]) -> list[_Group]:
    """Neighbours joined, from the last one on, until each is _RATIO times as large as the next."""
    groups: list[_Group] = []
    for row in rows:
        groups.append(_Group((row,)))
        while len(groups) > 1 and groups[-1].chunks * _RATIO > groups[-2].chunks:
            last = groups.pop()
            groups[-1] = _Group((*groups[-1].rows, *last.rows))
    return groups
