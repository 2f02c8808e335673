"""Exact inner-product search over unit vectors, by FAISS; the index file is a cache of the collection's vectors."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .embedding import Vectors
from .lexical import Scored


class DenseIndex:
    """FAISS's IndexFlatIP under chunk ids. Cosine similarity, because vectors have length 1."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, chunk_ids: Sequence[int], vectors: Vectors) -> "DenseIndex":
        """An index of vectors [n, d] under n ids. Raises ValueError where the counts differ."""
        import faiss

        if len(chunk_ids) != len(vectors):
            raise ValueError(f"{len(chunk_ids)} chunk ids for {len(vectors)} vectors")
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        index.add_with_ids(np.ascontiguousarray(vectors), np.asarray(chunk_ids, dtype=np.int64))
        return cls(index)

    @classmethod
    def read(cls, path: Path) -> "DenseIndex":
        """The index in a file. Raises RuntimeError where it is none."""
        import faiss

        try:
            # A damaged length must not allocate gigabytes; older releases of FAISS cannot be told.
            if limit_bytes := getattr(faiss, "set_deserialization_vector_byte_limit", None):
                limit_bytes(path.stat().st_size)
            return cls(faiss.read_index(str(path)))
        except (OSError, MemoryError) as error:
            raise RuntimeError(f"{path} cannot be read: {error}") from error

    def write(self, path: Path) -> None:
        """Writes aside and renames, so that readers see the old file or the new one, whole."""
        import faiss

        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        faiss.write_index(self._index, str(aside))
        aside.replace(path)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (n, d) of the vectors that it holds."""
        return int(self._index.ntotal), int(self._index.d)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, vector: Vectors, k: int) -> list[Scored]:
        """At most k chunks for a query vector [d], best first; ties by chunk id."""
        if k < 1 or len(self) == 0:
            return []
        scores, ids = self._index.search(np.ascontiguousarray(vector[None, :]), min(k, len(self)))
        found = [Scored(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda item: (-item.score, item.chunk_id))
