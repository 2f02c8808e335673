"""Vectors by the content that they were made from: a cache that outlives changed files and killed runs."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

import numpy as np

from ..encoders.embedding import Vectors
from .database import Database, broken, portions
from .sealing import VECTORS, damaged, insert, is_whole

_STORED = "<f2"  # half precision: cosines move by less than 0.001


def content_key(text: str) -> bytes:
    """Sixteen bytes that stand for a text as it is embedded."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class VectorTable:
    """The table `vectors` of one connection."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Row ids of the keys that are there."""
        found: dict[bytes, int] = {}
        for marks, some in portions(keys):
            found.update(self._db.rows(f"SELECT key, id FROM vectors WHERE key IN ({marks})", some))
        return found

    def add(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Stores vectors [d] under keys that are not there yet."""
        first = int(self._db.rows("SELECT coalesce(max(id), 0) FROM vectors")[0][0]) + 1
        stored = ((key, vector.astype(_STORED).tobytes()) for key, vector in vectors.items())
        insert(self._db, VECTORS, ((first + n, *pair) for n, pair in enumerate(stored)))

    def dimension(self) -> int | None:
        """Length of the vectors; None where there are none."""
        rows = self._db.rows("SELECT length(vector) FROM vectors LIMIT 1")
        return int(rows[0][0]) // 2 if rows else None

    def between(self, first: int, last: int, rows_at_once: int = 8192) -> Iterator[Vectors]:
        """Blocks [≤ rows_at_once, d] of the vectors of all chunks with an id in [first, last], by id.

        Raises CollectionBrokenError for a vector that is not as it was written.
        """
        query = (
            "SELECT v.id, v.key, v.vector, v.checksum FROM chunks c JOIN vectors v ON v.id = c.vector_id"
            " WHERE c.id BETWEEN ? AND ? ORDER BY c.id"
        )
        block: list[bytes] = []
        for row in self._db.stream(query, (first, last)):
            if not is_whole(self._db, VECTORS, row):
                raise damaged(self._db, VECTORS, row[:-1])
            block.append(row[2])
            if len(block) == rows_at_once:
                yield self._decoded(block)
                block.clear()
        if block:
            yield self._decoded(block)

    def _decoded(self, rows: Sequence[bytes]) -> Vectors:
        """Vectors [n, d] of n stored ones."""
        sizes = set(map(len, rows))
        if len(sizes) != 1 or (size := sizes.pop()) == 0 or size % 2:
            raise broken(self._db.folder, "its vectors are not of one length")
        return np.frombuffer(b"".join(rows), dtype=_STORED).astype(np.float32).reshape(len(rows), -1)

    def chunks_without(self) -> int:
        """Chunks that have no vector."""
        return int(self._db.rows("SELECT count(*) FROM chunks WHERE vector_id IS NULL")[0][0])

    def drop_unused(self) -> None:
        """Forgets vectors that no chunk refers to."""
        self._db.rows("DELETE FROM vectors WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE chunks.vector_id = vectors.id)")
