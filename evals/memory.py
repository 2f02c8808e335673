"""A collection in memory for measurements: passages with their vectors, ranked exactly by NumPy."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes.encoders.embedding import Encoder, Vectors
from indexes.search.retrieval import Origin
from indexes.segments import bm25
from indexes.segments.lexical import Scored
from indexes.text.tokens import embedding_text, index_terms


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with its context, and what the document that it is of is called."""

    document_id: int
    context: str
    text: str
    name: str = ""


class MemoryIndex:
    """Searchable passages; a passage's id is its position.

    `vectors` is [n, d], `encode` gives a query's vector [d], `tokenise` the index terms of a context and a text.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        vectors: Vectors,
        encode: Callable[[str], Vectors],
        tokenise: Callable[[str, str], list[str]] = index_terms,
    ) -> None:
        self._passages, self._vectors, self._encode = passages, vectors, encode
        counts = [Counter(tokenise(passage.context, passage.text)) for passage in passages]
        lengths = np.array([counter.total() for counter in counts], dtype=np.float64)
        scale = bm25.K1 * (1 - bm25.B + bm25.B * lengths / max(lengths.mean(), 1))
        rows: dict[str, list[tuple[int, int]]] = {}
        for i, counter in enumerate(counts):
            for term, times in counter.items():
                rows.setdefault(term, []).append((i, times))
        self._postings: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = {}
        for term, pairs in rows.items():
            ids, count = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs], dtype=np.float64)
            idf = bm25.idf(len(passages), len(ids))
            self._postings[term] = (ids, idf * count * (bm25.K1 + 1) / (count + scale[ids]))

    def __len__(self) -> int:
        return len(self._passages)

    def lexical(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        scores = np.zeros(len(self._passages))
        for term, weight in weights.items():
            if term in self._postings:
                ids, values = self._postings[term]
                scores[ids] += weight * values
        return [item for item in _best(scores, k) if item.score > 0]

    def dense(self, vector: Vectors, k: int) -> list[Scored]:
        return _best(self._vectors @ vector, k)

    def encode_query(self, text: str) -> Vectors:
        return self._encode(text)

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        return self._vectors[list(chunk_ids)]

    def origins(self, chunk_ids: Sequence[int]) -> Mapping[int, Origin]:
        some = {i: self._passages[i] for i in chunk_ids}
        return {i: Origin(passage.document_id, passage.name) for i, passage in some.items()}

    def text(self, chunk_id: int) -> str:
        return self._passages[chunk_id].text


def cached_vectors(folder: Path | None, name: str, passages: Sequence[Passage], encoder: Encoder) -> Vectors:
    """Vectors [n, d] of passages, kept in a folder under a name that tells their texts and the model."""
    texts = [embedding_text(passage.context, passage.text) for passage in passages]
    if folder is None:
        return encoder.encode(texts)
    told = hashlib.sha256("\0".join([encoder.fingerprint, *texts]).encode()).hexdigest()[:16]
    path = folder / f"{name}.{told}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, encoder.encode(texts))
    vectors: Vectors = np.load(path, allow_pickle=False)
    return vectors


def _best(scores: npt.NDArray[np.floating], k: int) -> list[Scored]:
    order = np.argsort(-scores, kind="stable")[:k]
    return [Scored(int(i), float(scores[i])) for i in order]
