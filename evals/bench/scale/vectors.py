"""Vectors of generated chunks and questions without a model, alike where an embedding model's would be.

A vector is the unit sum of parts of unit length: its words, each a fixed random direction weighted by its rarity;
its topic, mixed as in its chunk; its document; noise; and one direction that all texts share. Directions are drawn
with variances that fall off, because the components of real embeddings do. The weights of the parts were set by
hand so that cosines of nearest neighbours come near to MiniLM's: `evals.bench.scale.likeness` prints both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evals.datasets.generated import BLOCK_DOCUMENTS, DOCUMENT_CHUNKS, Array, Block, GeneratedQuery, language
from indexes.encoders.embedding import Vectors

DIMENSION = 384
_DIRECTIONS = 2_048  # words share them, as words of one meaning do
_FALL = 0.25  # a component's deviation is its place to the power of minus this
_MOST_RARITY = 8.0  # in ln; a model makes less of the rarest words than their frequency would


@dataclass(frozen=True, slots=True)
class Parts:
    """Lengths of the parts that a chunk's vector is summed of."""

    words: float
    topic: float
    document: float
    noise: float
    common: float


CHUNK = Parts(words=0.75, topic=0.6, document=0.35, noise=0.55, common=0.35)
# Of a question: its own words, the vector of the chunk that it is about, noise.
_QUERY_WORDS, _QUERY_CHUNK, _QUERY_NOISE = 0.5, 0.7, 0.6


@dataclass(frozen=True, slots=True)
class _Directions:
    """Fixed directions: [_DIRECTIONS, d] of words, [topics, d], [d] common; `of_word` and `weight` [all words]."""

    words: Vectors
    topics: Vectors
    common: Vectors
    of_word: Array
    weight: Vectors


@lru_cache(maxsize=1)
def _directions(seed: int) -> _Directions:
    known = language(seed)
    rng = np.random.default_rng([seed, 4])
    weight = np.minimum(known.rarity, _MOST_RARITY) * rng.choice([-1.0, 1.0], len(known.words))
    of_word = rng.integers(0, _DIRECTIONS, len(known.words))
    return _Directions(
        _draw(rng, _DIRECTIONS), _draw(rng, len(known.topics)), _draw(rng, 1)[0], of_word, weight.astype(np.float32)
    )


def chunk_vectors(some: Block, seed: int = 0) -> Vectors:
    """Vectors [c, d] of a block's chunks."""
    chunks = len(some.ends)
    rng = np.random.default_rng([seed, 5, some.first_document])
    chunk_of = np.repeat(np.arange(chunks), np.diff(some.ends, prepend=0))
    parts = CHUNK.words * _unit(_of_words(some.ids, chunk_of, chunks, seed))
    parts += CHUNK.topic * _mixed_topics(some, np.arange(chunks), seed)
    parts += CHUNK.document * np.repeat(_of_documents(some, seed), DOCUMENT_CHUNKS, axis=0)
    parts += CHUNK.noise * _draw(rng, chunks)
    parts += CHUNK.common * _directions(seed).common
    return _unit(parts)


def query_vectors(queries: Sequence[GeneratedQuery], seed: int = 0) -> Vectors:
    """Vectors [q, d] of questions: near the chunk that a question's words are from."""
    rng = np.random.default_rng([seed, 6, len(queries)])
    ids = np.concatenate([query.ids for query in queries])
    query_of = np.repeat(np.arange(len(queries)), [len(query.ids) for query in queries])
    parts = _QUERY_WORDS * _unit(_of_words(ids, query_of, len(queries), seed))
    for row, query in enumerate(queries):
        parts[row] += _QUERY_CHUNK * chunk_vectors(query.block, seed)[query.chunk]
    parts += _QUERY_NOISE * _draw(rng, len(queries))
    return _unit(parts)


def _of_words(ids: Array, text_of: Array, texts: int, seed: int) -> Vectors:
    """Sums [texts, d] of the weighted directions of words; `text_of` says which text each word is of."""
    known = _directions(seed)
    place = text_of * _DIRECTIONS + known.of_word[ids]
    weights = np.bincount(place, known.weight[ids], texts * _DIRECTIONS).astype(np.float32)
    summed: Vectors = weights.reshape(texts, _DIRECTIONS) @ known.words
    return summed


def _mixed_topics(some: Block, chunks: Array, seed: int) -> Vectors:
    """Unit vectors of the topics of chunks of a block, mixed."""
    of_topics = _directions(seed).topics
    first, second = some.topics[chunks // DOCUMENT_CHUNKS].T
    share = some.share[chunks, None].astype(np.float32)
    return _unit(share * of_topics[first] + (1 - share) * of_topics[second])


def _of_documents(some: Block, seed: int) -> Vectors:
    return _draw(np.random.default_rng([seed, 7, some.first_document]), BLOCK_DOCUMENTS)


def _draw(rng: np.random.Generator, count: int) -> Vectors:
    """Random unit vectors with falling variances [count, d]."""
    falling = np.arange(1, DIMENSION + 1, dtype=np.float32) ** np.float32(-_FALL)
    return _unit(rng.standard_normal((count, DIMENSION), dtype=np.float32) * falling)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return unit
