"""Which index files are valid: the list of segments, and the chunks in them that are no longer in the collection."""

import json
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

from .database import Database, broken
from .sealing import SEGMENTS, Row, described, insert, read

# What a segment's folder and the files in it are called; nothing else is opened or deleted.
NAME = re.compile(r"[1-9][0-9]{0,18}-[1-9][0-9]{0,18}-[0-9a-f]{8}")
FILE = re.compile(
    r"(chunk_ids|lengths|letters|ends|starts|rows|counts|peaks)\.npy|(vectors|codes-[0-9]{1,6})\.faiss|codes\.json"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileSum:
    """A file's size, checksum, and modification time when it was written."""

    name: str
    size_bytes: int
    sha256: str
    mtime_ns: int


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
        found = [self._segment(row) for row in read(self._db, SEGMENTS, "ORDER BY first_chunk")]
        for before, after in pairwise(found):
            if before.last_chunk >= after.first_chunk:
                raise broken(self._db.folder, f"segments {before.name} and {after.name} overlap")
        return found

    def _segment(self, row: Row) -> SegmentRow:
        name, first, last, chunks, files, _ = row
        sums = _file_sums(files)
        if sums is None or not NAME.fullmatch(name) or not 1 <= first <= last or not 0 < chunks <= last - first + 1:
            raise broken(self._db.folder, f"{described(self._db, SEGMENTS, row)} is not one that fathom makes")
        return SegmentRow(name, first, last, chunks, sums)

    def replace(self, old: Sequence[SegmentRow], new: SegmentRow | None) -> None:
        """Puts a segment in the place of others; chunks of theirs that were dead are gone from it."""
        for row in old:
            self.drop(row.name)
            self._db.rows("DELETE FROM dead WHERE chunk_id BETWEEN ? AND ?", (row.first_chunk, row.last_chunk))
        if new is not None:
            files = json.dumps([astuple(item) for item in new.files])
            insert(self._db, SEGMENTS, [(new.name, new.first_chunk, new.last_chunk, new.chunks, files)])

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


def _file_sums(text: str) -> tuple[FileSum, ...] | None:
    """Files as they were written; None where that is not what the text says."""
    try:
        found = [FileSum(*item) for item in json.loads(text)]
        good = all(
            (type(item.size_bytes), type(item.mtime_ns)) == (int, int)
            and FILE.fullmatch(item.name)
            and _SHA256.fullmatch(item.sha256)
            for item in found
        )
    except (ValueError, TypeError, RecursionError):
        return None
    return tuple(found) if good and len({item.name for item in found}) == len(found) else None
