"""Sentences of an answer ↔ spans of the reading: what supports each sentence, and whether quotations are verbatim.

A sentence is supported by a window of the reading (a sentence or row, alone or with the next one, under its
passage's heading) that holds all of the sentence's numbers and names and enough of its words; where there is an
encoder, likeness of meaning makes up for some of the words, never for a number or a name. Two sentences together
support nothing by one lending its number to the other's words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np

from indexes.encoders.embedding import Encoder
from indexes.text.tokens import terms

from .packing import Passage

# Shares of an answer sentence's terms that a window must hold: alone, and beside a cosine of at least COSINE.
COVERAGE = 0.7
COVERAGE_WITH_MEANING = 0.45
COSINE = 0.6
MAX_CITATIONS = 2  # a sentence names at most so many places
_CANDIDATES = 6  # windows that are embedded for a sentence
_QUOTE_WORDS = 4  # shorter quotations are names and terms

# A line of prose that goes on in the next one: that begins small, or with a number after a word, and is no `label: …`.
_WRAP = r"(?<=[^\s.!?:;|])\n[a-z(](?![^\n:;]{0,40}: )|(?<=[a-z,(])\n\d(?!\d*[.)]\s)(?![^\n:;]{0,40}: )"
_BOUNDARY = re.compile(rf"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9€£$*-])|(?!{_WRAP})\n+")
_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nr|Art|Inc|Ltd|Co|vs|approx|e\.g|i\.e|etc|p|pp)\.$|\b[A-Z]\.$"
)
_LOWER = re.compile(r"\b[^\W\d_A-Z][^\W\d_]*")
_CAPITALISED = re.compile(r"\b[A-Z][^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUOTE = re.compile(r"[“\"]([^“”\"\n]+)[”\"]")
_ALIKE = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-"})
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
class _Words:
    terms: frozenset[str]
    numbers: frozenset[str]

    def __or__(self, other: "_Words") -> "_Words":
        return _Words(self.terms | other.terms, self.numbers | other.numbers)


@dataclass(frozen=True, slots=True)
class _Window:
    """One sentence or two of a passage; `heading` is what counts beside them."""

    passage: int
    start: int
    end: int
    text: str
    parts: tuple[_Words, ...]
    heading: _Words

    @property
    def all(self) -> _Words:
        """The words of sentences and heading together."""
        return reduce(or_, self.parts, self.heading)

    def lends(self, sentence: _Words) -> bool:
        """Whether it is two sentences of which one lends its number to the other's words.

        They do not where one holds all the numbers, and most of the words or the other no number at all; nor
        where every number of both is in the sentence.
        """
        stated = sentence.numbers - self.heading.numbers
        if len(self.parts) < 2 or not stated:
            return False
        for part, other in (self.parts, self.parts[::-1]):
            words = {term for term in sentence.terms - self.heading.terms if not term[0].isdigit()}
            if stated <= part.numbers and (not other.numbers or 2 * len(words & part.terms) > len(words)):
                return False
        return not all(part.numbers <= sentence.numbers for part in self.parts)


def check_answer(
    answer: str, question: str, passages: Sequence[Passage], encoder: Encoder | None
) -> list[CheckedSentence]:
    """Every sentence of an answer, once, with the places of the reading that support it.

    Markers such as [1] are taken out: the model counts passages, citations are numbered anew. A quotation belongs
    to every sentence that it touches.
    """
    answer = _MARKER.sub("", answer)
    windows = [window for index, passage in enumerate(passages) for window in _windows(index, passage)]
    common = {word for passage in passages for word in _LOWER.findall(passage.text)}
    asked = set(terms(question))
    quotes = [(m.start(), m.end(), find_quote(m[1], passages)) for m in _QUOTE.finditer(answer) if _is_long(m[1])]
    checked: dict[str, CheckedSentence] = {}  # a loop says the same more than once
    for start, end in _spans(answer):
        sentence = answer[start:end].strip()
        if sentence in checked or not any(c.isalnum() for c in sentence):
            continue
        own = set(terms(sentence))
        supports = _supports(sentence, _names(sentence, common), windows, encoder) if own else []
        within = tuple(quote for first, last, quote in quotes if first < end and start < last)
        checked[sentence] = CheckedSentence(sentence, tuple(supports), within, bool(own - asked))
    return list(checked.values())


def find_quote(quote: str, passages: Sequence[Passage]) -> Quote:
    """Where a quotation stands word for word; case, white space, the shape of dashes and quotation marks, and a stop
    at its end do not count. It neither begins nor ends inside a word or number."""
    wanted = _plain(quote)
    whole = re.compile(rf"(?<!\w)(?<!\d[.,]){re.escape(wanted)}(?!\w|[.,]\d)")
    for index, passage in enumerate(passages):
        if wanted and whole.search(_plain(passage.text)):
            return Quote(quote, index)
    return Quote(quote, None)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Sentences; ends of lines end them too, but where prose is wrapped."""
    start = 0
    for match in _BOUNDARY.finditer(text):
        if "\n" not in match[0] and _ABBREVIATION.search(text[start : match.start()]):
            continue
        yield start, match.end()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def _windows(index: int, passage: Passage) -> Iterator[_Window]:
    """Each sentence alone and with its successor; the passage's heading, and the first row of a table, count for the
    words of all of them."""
    spans = [(a, b) for a, b in _spans(passage.text) if any(c.isalnum() for c in passage.text[a:b])]
    words = [_words(passage.text[a:b]) for a, b in spans]
    context, columns = _words(passage.context), _words("")
    for i, (start, end) in enumerate(spans):
        is_row = passage.text[start:end].lstrip().startswith("|")
        if not is_row or not columns.terms:
            columns = words[i] if is_row else _words("")
        heading = context | columns
        yield _window(index, passage, start, end, (words[i],), heading)
        if i + 1 < len(spans):
            yield _window(index, passage, start, spans[i + 1][1], (words[i], words[i + 1]), heading)


def _window(index: int, passage: Passage, start: int, end: int, parts: tuple[_Words, ...], heading: _Words) -> _Window:
    text = passage.text[start:end].strip()
    return _Window(index, passage.start + start, passage.start + end, text, parts, heading)


def _words(text: str) -> _Words:
    return _Words(frozenset(terms(text)), frozenset(_numbers(text)))


def _supports(sentence: str, names: set[str], windows: Sequence[_Window], encoder: Encoder | None) -> list[Support]:
    own = _words(sentence)
    scored = []
    for window in windows:
        there = window.all
        found = own.terms & there.terms
        if found and own.numbers <= there.numbers and names <= there.terms and not window.lends(own):
            scored.append((len(found) / len(own.terms), window))
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
