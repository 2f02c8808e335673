"""Sentences of an answer ↔ spans of the reading: what supports each sentence, and whether quotations are verbatim.

A sentence is supported by a window of the reading (a sentence or row, alone or with the next one, under its
passage's heading) that holds all of the sentence's numbers and names and enough of its words; where there is an
encoder, likeness of meaning makes up for some of the words, never for a number or a name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from indexes.embedding import Encoder
from indexes.tokens import terms

from .reading import Passage

# Shares of an answer sentence's terms that a window must hold: alone, and beside a cosine of at least COSINE.
COVERAGE = 0.7
COVERAGE_WITH_MEANING = 0.45
COSINE = 0.6
MAX_CITATIONS = 2  # a sentence names at most so many places
_CANDIDATES = 6  # windows that are embedded for a sentence
_QUOTE_WORDS = 4  # shorter quotations are names and terms

_BOUNDARY = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9€£$*-])|\n+")
_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nr|Art|Inc|Ltd|Co|vs|approx|e\.g|i\.e|etc|p|pp)\.$|\b[A-Z]\.$"
)
_LOWER = re.compile(r"\b[^\W\d_A-Z][^\W\d_]*")
_CAPITALISED = re.compile(r"\b[A-Z][^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUOTE = re.compile(r"[“\"]([^“”\"]{12,})[”\"]")
_ALIKE = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "‑": "-", "−": "-"})
_MARKER = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")


@dataclass(frozen=True, slots=True)
class Support:
    """A place of the reading that supports a sentence.

    `passage` is the passage's position in the reading; `[start, end)` are characters of the document's text.
    `coverage` is the share of the sentence's terms found there, `cosine` likeness of meaning (None: no encoder).
    """

    passage: int
    start: int
    end: int
    text: str
    coverage: float
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Quote:
    """A quotation in an answer. `passage` says where it stands word for word, None: nowhere in the reading."""

    text: str
    passage: int | None


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of an answer with what supports it, best first. `adds` is false where it only repeats the question."""

    text: str
    supports: tuple[Support, ...]
    quotes: tuple[Quote, ...]
    adds: bool

    @property
    def supported(self) -> bool:
        """Supported by the reading, with no quotation that is not verbatim, and not a mere echo of the question."""
        return bool(self.supports) and self.adds and all(quote.passage is not None for quote in self.quotes)


@dataclass(frozen=True, slots=True)
class _Window:
    passage: int
    start: int
    end: int
    text: str
    terms: frozenset[str]
    numbers: frozenset[str]


def check_answer(
    answer: str, question: str, passages: Sequence[Passage], encoder: Encoder | None
) -> list[CheckedSentence]:
    """Every sentence of an answer with the places of the reading that support it."""
    windows = [window for index, passage in enumerate(passages) for window in _windows(index, passage)]
    common = {word for passage in passages for word in _LOWER.findall(passage.text)}
    asked = set(terms(question))
    checked = []
    for sentence in dict.fromkeys(sentences(answer)):  # a loop says the same more than once
        bare = _MARKER.sub("", sentence)
        own = set(terms(bare))
        supports = _supports(bare, own, _names(bare, common), windows, encoder) if own else []
        quotes = tuple(find_quote(match[1], passages) for match in _QUOTE.finditer(bare) if _is_long(match[1]))
        checked.append(CheckedSentence(sentence, tuple(supports), quotes, bool(own - asked)))
    return checked


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without white space around them. Lines end sentences too."""
    return [text[start:end].strip() for start, end in _spans(text) if text[start:end].strip()]


def find_quote(quote: str, passages: Sequence[Passage]) -> Quote:
    """Where a quotation stands word for word; white space, dashes and the shape of quotation marks do not count."""
    wanted = _plain(quote)
    for index, passage in enumerate(passages):
        if wanted and wanted in _plain(passage.text):
            return Quote(quote, index)
    return Quote(quote, None)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BOUNDARY.finditer(text):
        if "\n" not in match[0] and _ABBREVIATION.search(text[start : match.start()]):
            continue
        yield start, match.end()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def _windows(index: int, passage: Passage) -> Iterator[_Window]:
    """Each sentence alone and with its successor; the passage's heading counts for the words of all of them."""
    context = frozenset(terms(passage.context))
    spans = [(a, b) for a, b in _spans(passage.text) if any(c.isalnum() for c in passage.text[a:b])]
    for i, (start, _) in enumerate(spans):
        for end in {spans[i][1], spans[min(i + 1, len(spans) - 1)][1]}:
            text = passage.text[start:end]
            yield _Window(
                index,
                passage.start + start,
                passage.start + end,
                text.strip(),
                frozenset(terms(text)) | context,
                frozenset(_numbers(text)) | frozenset(_numbers(passage.context)),
            )


def _supports(
    sentence: str, own: set[str], names: set[str], windows: Sequence[_Window], encoder: Encoder | None
) -> list[Support]:
    numbers = set(_numbers(sentence))
    scored = [
        (len(own & window.terms) / len(own), window)
        for window in windows
        if numbers <= window.numbers and names <= window.terms and own & window.terms
    ]
    # Best coverage first; of equals the shortest, which says where to look.
    scored.sort(key=lambda pair: (-pair[0], len(pair[1].text), pair[1].passage, pair[1].start))
    scored = scored[:_CANDIDATES]
    cosines = _cosines(sentence, [window.text for _, window in scored], encoder)
    kept: list[Support] = []
    for (coverage, window), cosine in zip(scored, cosines, strict=True):
        enough = coverage >= COVERAGE or (cosine is not None and cosine >= COSINE and coverage >= COVERAGE_WITH_MEANING)
        if enough and not any(_overlap(window, other) for other in kept):
            kept.append(Support(window.passage, window.start, window.end, window.text, coverage, cosine))
    return kept[:MAX_CITATIONS]


def _names(sentence: str, common: set[str]) -> set[str]:
    """Terms of the capitalised words that the reading never writes small: a claim about one name is no claim about
    another."""
    words = [word for word in _CAPITALISED.findall(sentence) if word.lower() not in common]
    return {term for word in words for term in terms(word)}


def _overlap(window: _Window, support: Support) -> bool:
    return window.passage == support.passage and window.start < support.end and support.start < window.end


def _cosines(sentence: str, texts: Sequence[str], encoder: Encoder | None) -> list[float | None]:
    if encoder is None or not texts:
        return [None] * len(texts)
    vectors = encoder.encode([sentence, *texts])
    return [float(np.dot(vectors[0], vector)) for vector in vectors[1:]]


def _numbers(text: str) -> list[str]:
    return [match.replace(",", "").lstrip("0") or "0" for match in _NUMBER.findall(text)]


def _is_long(quote: str) -> bool:
    return len(quote.split()) >= _QUOTE_WORDS


def _plain(text: str) -> str:
    return " ".join(text.translate(_ALIKE).split()).lower().rstrip(".,;:")
