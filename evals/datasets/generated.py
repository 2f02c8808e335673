"""Generated documents with a realistic vocabulary, and questions about them: any number, the same in every run.

What is realistic: words follow Zipf and Mandelbrot's law with a steeper tail (two regimes, as in large corpora), so
that the vocabulary grows by Heaps' law; the most frequent are English function words, so stop words and long
posting lists are where they would be; endings that a stemmer takes off; numbers; chunks of about 150 words and 900
characters; two topics a document in changing shares and words of its own, so that neighbours are alike.

What is not: word order means nothing, a topic's words do not stem from each other, no text is repeated, every
document has the same number of chunks, and there are no tables. What may be claimed from it is speed and size, and
how well an approximate index agrees with an exact one, never how good answers are.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.datasets.generated_words import FUNCTION_WORDS, made_up_words, numbers
from indexes.documents import LoadedDocument

Array = npt.NDArray[Any]

DOCUMENT_CHUNKS = 40
BLOCK_DOCUMENTS = 25  # generated together; what a document holds does not depend on how many are asked for
CONTENT_WORDS = 800_000
SHIFT, KNEE, STEEP = 1.2, 5_000, 1.8  # frequency ~ 1/(rank + SHIFT) up to rank KNEE, from there ~ rank^-STEEP
_NUMBERS = 100_000
_TOPICS, _TOPIC_WORDS, _OWN_WORDS = 2_000, 300, 60
_CHUNK_WORDS = (150, 12, 115, 165)  # mean, deviation, least, most
_SENTENCE_WORDS = (8, 26)
# Shares of what a word is: a number, of one of the document's topics, its own; the rest follows the whole language.
_NUMBER, _TOPICAL, _OWN = 0.02, 0.27, 0.09
_QUERY_WORDS = (4, 12)
_QUERY_CONTENT = 0.6  # share of a question's words that are taken from its chunk


@dataclass(frozen=True, slots=True)
class Language:
    """Words by number: function words, content words by rank, numbers. `cumulative` [words] is of the first two."""

    words: list[str]
    cumulative: Array
    function_share: float
    topics: Array  # [topics, topic words] int32, numbers of words
    rarity: Array  # [all words] float32: ln of how many chunks there are to one with the word


@dataclass(frozen=True, slots=True)
class Block:
    """Documents as numbers. c chunks, w words: `ids` [w] int32, `ends` [c], `topics` [documents, 2], `share` [c]."""

    first_document: int
    ids: Array
    ends: Array
    topics: Array
    share: Array

    def chunk(self, number: int) -> Array:
        """Word numbers of a chunk of the block."""
        return self.ids[int(self.ends[number - 1]) if number else 0 : int(self.ends[number])]


@dataclass(frozen=True, slots=True)
class GeneratedDocument:
    """A document; each of its paragraphs is cut as one chunk by the default sizes."""

    number: int
    name: str
    title: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def loaded(self) -> LoadedDocument:
        """The document as a loader would hand it over."""
        return LoadedDocument("text", self.title, self.text)


@dataclass(frozen=True, slots=True)
class GeneratedQuery:
    """A question, the numbers of its words, and the block and chunk that its words are from."""

    text: str
    ids: Array
    block: Block
    chunk: int


def frequencies(content_words: int = CONTENT_WORDS) -> Array:
    """Share of each function and content word in running text, by rank, float64."""
    ranks = np.arange(1, len(FUNCTION_WORDS) + content_words + 1, dtype=np.float64)
    shares = np.where(ranks <= KNEE, 1 / (ranks + SHIFT), (KNEE / ranks) ** STEEP / (KNEE + SHIFT))
    shares /= shares.sum()
    return shares


@lru_cache(maxsize=1)
def language(seed: int) -> Language:
    """The language of a seed; takes some seconds."""
    rng = np.random.default_rng([seed, 0])
    shares = frequencies()
    common = len(FUNCTION_WORDS)
    words = [*FUNCTION_WORDS, *made_up_words(CONTENT_WORDS, rng), *numbers(_NUMBERS)]
    cumulative = np.cumsum(shares)
    cumulative /= cumulative[-1]
    function_share = float(cumulative[common - 1])
    topics = _draw(cumulative, function_share, 1.0, rng.random((_TOPICS, _TOPIC_WORDS)))
    chunks_to_one = -np.log1p(-np.minimum(-np.expm1(-_CHUNK_WORDS[0] * shares), 1 - 1e-9))  # ≈ expected count
    rarity = np.concatenate([-np.log(-np.expm1(-chunks_to_one)), np.full(_NUMBERS, 3.0)]).astype(np.float32)
    return Language(words, cumulative, function_share, topics, rarity)


def blocks(documents: int, seed: int = 0, first: int = 0) -> Iterator[Block]:
    """Blocks of documents from the block that holds document `first` up to `documents`."""
    for number in range(first // BLOCK_DOCUMENTS, -(-documents // BLOCK_DOCUMENTS)):
        yield block(number, seed)


def block(number: int, seed: int = 0) -> Block:
    """The documents from number · BLOCK_DOCUMENTS on."""
    known = language(seed)
    rng = np.random.default_rng([seed, 1, number])
    chunks = BLOCK_DOCUMENTS * DOCUMENT_CHUNKS
    mean, deviation, least, most = _CHUNK_WORDS
    lengths = np.clip(np.rint(rng.normal(mean, deviation, chunks)), least, most).astype(np.int64)
    total = int(lengths.sum())
    chunk_of = np.repeat(np.arange(chunks), lengths)
    document_of = chunk_of // DOCUMENT_CHUNKS
    topics = (rng.random((BLOCK_DOCUMENTS, 2)) ** 2 * len(known.topics)).astype(np.int64)  # some are more popular
    share = rng.beta(0.7, 0.7, chunks)
    own = _draw(known.cumulative, known.function_share, 1.0, rng.random((BLOCK_DOCUMENTS, _OWN_WORDS)))

    ids = np.empty(total, dtype=np.int32)
    kind = rng.random(total)
    content = kind >= known.function_share
    kind = (kind - known.function_share) / (1 - known.function_share)
    number_of, topical, owned = np.cumsum(np.array([_NUMBER, _TOPICAL, _OWN]) / (1 - known.function_share))
    u = rng.random(total)
    which = ~content
    ids[which] = _draw(known.cumulative, 0.0, known.function_share, u[which])
    which = content & (kind < number_of)
    ids[which] = len(known.cumulative) + (_NUMBERS ** u[which]).astype(np.int32) - 1  # as many of each magnitude
    which = content & (kind >= number_of) & (kind < topical)
    topic = np.where(rng.random(total) < share[chunk_of], topics[document_of, 0], topics[document_of, 1])[which]
    ids[which] = known.topics[topic, _zipf(u[which], _TOPIC_WORDS)]
    which = content & (kind >= topical) & (kind < owned)
    ids[which] = own[document_of[which], _zipf(u[which], _OWN_WORDS)]
    which = content & (kind >= owned)
    ids[which] = _draw(known.cumulative, known.function_share, 1.0, u[which])
    return Block(number * BLOCK_DOCUMENTS, ids, np.cumsum(lengths), topics, share)


def documents(some: Block, seed: int = 0) -> Iterator[GeneratedDocument]:
    """The documents of a block as text."""
    known = language(seed)
    rng = np.random.default_rng([seed, 2, some.first_document])
    for offset in range(BLOCK_DOCUMENTS):
        first = offset * DOCUMENT_CHUNKS
        paragraphs = tuple(_prose(known.words, some.chunk(first + i), rng) for i in range(DOCUMENT_CHUNKS))
        number = some.first_document + offset
        titled = [known.words[i] for i in known.topics[some.topics[offset, 0], rng.integers(0, 40, 3)]]
        title = " ".join([*titled, str(number)]).capitalize()
        yield GeneratedDocument(number, f"{titled[0]}/{title.replace(' ', '-')}.txt", title, paragraphs)


def queries(count: int, of_documents: int, seed: int = 0) -> list[GeneratedQuery]:
    """Questions about chunks that are spread evenly over the first documents."""
    known = language(seed)
    rng = np.random.default_rng([seed, 3, of_documents])
    found = []
    for document in np.linspace(0, of_documents - 1, count).astype(int).tolist():
        some = block(document // BLOCK_DOCUMENTS, seed)
        chunk = document % BLOCK_DOCUMENTS * DOCUMENT_CHUNKS + int(rng.integers(DOCUMENT_CHUNKS))
        length = int(rng.integers(_QUERY_WORDS[0], _QUERY_WORDS[1] + 1))
        content = np.unique(some.chunk(chunk))
        content = content[content >= len(FUNCTION_WORDS)]
        wanted = max(2, round(_QUERY_CONTENT * length))
        asked = rng.choice(content, wanted, replace=False)
        common = _draw(known.cumulative, 0.0, known.function_share, rng.random(length - wanted))
        ids = rng.permutation(np.concatenate([asked, common]))
        found.append(GeneratedQuery(" ".join(known.words[i] for i in ids), ids, some, chunk))
    return found


def _draw(cumulative: Array, low: float, high: float, u: Array) -> Array:
    """Words for numbers u in [0, 1), of those whose cumulative share lies in [low, high]."""
    drawn = np.searchsorted(cumulative, low + u * (high - low), side="right")
    return np.minimum(drawn, len(cumulative) - 1).astype(np.int32)


def _zipf(u: Array, count: int) -> Array:
    """Places 0 ≤ k < count with a frequency of about 1/(k + 1), for numbers u in [0, 1)."""
    return np.minimum(((count + 1.0) ** u).astype(np.int64) - 1, count - 1)


def _prose(words: list[str], ids: Array, rng: np.random.Generator) -> str:
    """Sentences of the words."""
    text = [words[i] for i in ids.tolist()]
    start = 0
    for length in rng.integers(*_SENTENCE_WORDS, size=len(text) // _SENTENCE_WORDS[0] + 1).tolist():
        end = min(start + length, len(text))
        text[start] = text[start].capitalize()
        text[end - 1] += "."
        start = end
        if start == len(text):
            break
    return " ".join(text)
