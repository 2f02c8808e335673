"""Which index files are valid: the list of segments, and the chunks in them that are no longer in the collection."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .database import Database


@dataclass(frozen=True, slots=True)
class FileSum:
    """A file's size and checksum."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment: index files for all chunks with an id in [first_chunk, last_chunk] at the time it was written."""

    name: str
    first_chunk: int
    last_chunk: int
    chunks: int
    files: tuple[FileSum, ...]


class SegmentTable:
    """The tables `segments` and `dead` of one connection."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> list[SegmentRow]:
        """Valid segments by chunk id; their ranges do not overlap."""
        rows = self._db.rows("SELECT name, first_chunk, last_chunk, chunks, files FROM segments ORDER BY first_chunk")
        return [SegmentRow(name, first, last, chunks, _file_sums(files)) for name, first, last, chunks, files in rows]

    def replace(self, old: Sequence[SegmentRow], new: SegmentRow | None) -> None:
        """Puts a segment in the place of others; chunks of theirs that were dead are gone from it."""
        for row in old:
            self.drop(row.name)
            self._db.rows("DELETE FROM dead WHERE chunk_id BETWEEN ? AND ?", (row.first_chunk, row.last_chunk))
        if new is not None:
            files = json.dumps([[item.name, item.size_bytes, item.sha256] for item in new.files])
            self._db.rows(
                "INSERT INTO segments (name, first_chunk, last_chunk, chunks, files) VALUES (?, ?, ?, ?, ?)",
                (new.name, new.first_chunk, new.last_chunk, new.chunks, files),
            )

    def drop(self, name: str) -> None:
        self._db.rows("DELETE FROM segments WHERE name = ?", (name,))

    def dead(self) -> list[int]:
        """Ids of chunks that left the collection after their segment was written."""
        return [int(row[0]) for row in self._db.rows("SELECT chunk_id FROM dead ORDER BY chunk_id")]

    def dead_in(self, row: SegmentRow) -> int:
        """How many of a segment's chunks are dead."""
        query = "SELECT count(*) FROM dead WHERE chunk_id BETWEEN ? AND ?"
        return int(self._db.rows(query, (row.first_chunk, row.last_chunk))[0][0])

    def forget_dead_outside(self) -> None:
        """Drops dead chunks that no segment holds."""
        self._db.rows(
            "DELETE FROM dead WHERE NOT EXISTS (SELECT 1 FROM segments"
            " WHERE dead.chunk_id BETWEEN first_chunk AND last_chunk)"
        )

    def gaps(self, last_chunk: int) -> list[tuple[int, int]]:
        """Ranges [first, last] of chunk ids up to `last_chunk` that no segment covers."""
        found, start = [], 1
        for row in self.all():
            if row.first_chunk > start:
                found.append((start, row.first_chunk - 1))
            start = row.last_chunk + 1
        if last_chunk >= start:
            found.append((start, last_chunk))
        return found


def _file_sums(text: str) -> tuple[FileSum, ...]:
    return tuple(FileSum(*item) for item in json.loads(text))
