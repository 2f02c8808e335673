"""Text → chunks: spans that follow the document's structure and together rebuild its text exactly."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath

from ..documents import LoadedDocument
from .tokens import query_terms

SEPARATOR = " › "  # between the parts of a context: folders, title, headings, columns
MAX_SECTION_CHARACTERS = 200  # of one heading's title
MAX_COLUMNS_CHARACTERS = 300

_SENTENCE = re.compile(r"(?<=[.!?;:])\s+")
_RULE = "=- \t\n"  # what underlines a heading


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Lengths in characters: a chunk grows to about `target`, never past `maximum`.

    A heading opens a new chunk once the one before holds `minimum`. The defaults keep a chunk and its
    context inside the 256 word pieces that all-MiniLM-L6-v2 reads.
    """

    target: int = 900
    maximum: int = 1200
    minimum: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.minimum <= self.target <= self.maximum:
            raise ValueError(f"chunk sizes must rise: 0 < minimum <= target <= maximum, got {self}")


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk before it has an id: where it lies, and what places it."""

    start: int
    end: int
    section: str
    context: str
    first_page: int | None
    last_page: int | None


def chunk(document: LoadedDocument, sizes: ChunkSizes | None = None) -> list[Span]:
    """Spans in document order that touch and cover all of `document.text`.

    Cuts fall, in this order of preference, before a heading, between paragraphs, between lines, after a
    sentence, at a blank, and only in a longer word anywhere.
    """
    sizes = sizes or ChunkSizes()
    text = document.text
    if not text.strip():
        return []
    headings = {heading.start for heading in document.headings}
    spans = _pack(text, _pieces(text, sorted(headings), sizes.maximum), headings, sizes)
    placer = _Placer(document)
    return [placer.place(start, end) for start, end in spans]


@lru_cache(maxsize=20_000)
def document_name(path: str, title: str) -> str:
    """What a document is called: the folders and the name, without suffix, of its file, and its title.

    The file's name is left out where the title has all of its words.
    """
    at = PurePosixPath(path)
    folders, stem = at.parts[:-1], at.stem
    said = [stem] if not set(query_terms(stem)) <= set(query_terms(title)) else []
    return SEPARATOR.join([*folders, *said, title])


def _pieces(text: str, headings: Sequence[int], maximum: int) -> list[tuple[int, int]]:
    """Paragraph-sized spans that partition the text; a paragraph over `maximum` is split further."""
    cuts = {0, len(text), *headings}
    cuts.update(match.end() for match in re.finditer(r"\n[^\S\n]*\n\s*", text))
    pieces: list[tuple[int, int]] = []
    for start, end in pairwise(sorted(cuts)):
        pieces.extend(_split(text, start, end, maximum))
    return pieces


def _split(text: str, start: int, end: int, maximum: int) -> list[tuple[int, int]]:
    if end - start <= maximum:
        return [(start, end)]
    lines = [match.end() for match in re.finditer(r"\n", text[start:end])]
    if len(lines) > 1 or (lines and lines[0] < end - start):
        cuts = [start, *(start + offset for offset in lines), end]
        return [piece for a, b in pairwise(_unique(cuts)) for piece in _split(text, a, b, maximum)]
    sentences = [start + match.end() for match in _SENTENCE.finditer(text[start:end])]
    if any(start < cut < end for cut in sentences):
        cuts = _unique([start, *sentences, end])
        return [piece for a, b in pairwise(cuts) for piece in _split(text, a, b, maximum)]
    return _split_long(text, start, end, maximum)


def _split_long(text: str, start: int, end: int, maximum: int) -> list[tuple[int, int]]:
    """The tail of a text without lines or sentences, cut at blanks; a loop, because it may be very long."""
    pieces = []
    while end - start > maximum:
        blank = text.rfind(" ", start + 1, start + maximum) + 1
        cut = blank if blank > start + 1 else start + maximum
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]


def _unique(cuts: Sequence[int]) -> list[int]:
    return sorted(set(cuts))


def _pack(text: str, pieces: Sequence[tuple[int, int]], headings: set[int], sizes: ChunkSizes) -> list[tuple[int, int]]:
    """Joins neighbouring pieces; a heading at the end of a chunk moves to the next one."""
    spans: list[tuple[int, int]] = []
    start, end, tail = 0, 0, -1  # tail: where trailing headings of the open chunk begin, or -1

    def close(cut: int) -> None:
        nonlocal start
        if cut > start:
            spans.append((start, cut))
            start = cut

    for piece_start, piece_end in pieces:
        is_heading = piece_start in headings
        opens = is_heading and end - start >= sizes.minimum and tail < 0
        limit = sizes.maximum if tail == start else sizes.target  # headings alone wait for their text
        if end > start and (piece_end - start > limit or opens):
            close(tail if tail > start and not opens else end)
            if piece_end - start > sizes.maximum:  # the moved heading and a long paragraph
                close(end)
        tail = (tail if tail >= 0 else piece_start) if is_heading else -1
        end = piece_end
    close(end)
    return _merge_blank(text, spans, sizes.maximum)


def _merge_blank(text: str, spans: list[tuple[int, int]], maximum: int) -> list[tuple[int, int]]:
    """Joins spans without a letter or digit to their predecessor where that fits."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        hollow = not any(c.isalnum() for c in text[start:end])
        if merged and hollow and end - merged[-1][0] <= maximum:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


class _Placer:
    """Finds section, table header and pages of a span by binary search."""

    def __init__(self, document: LoadedDocument) -> None:
        self._document = document
        self._heading_starts = [heading.start for heading in document.headings]
        self._page_starts = [page.start for page in document.pages]
        self._table_starts = [table.start for table in document.tables]

    def place(self, start: int, end: int) -> Span:
        section = self._section(start, end)
        context = self._document.title
        if section:
            context += SEPARATOR + section
        if header := self._columns(start):
            context += SEPARATOR + header
        return Span(start, end, section, context, self._page(start), self._page(max(start, end - 1)))

    def _section(self, start: int, end: int) -> str:
        """Titles of the headings that a span stands under, outermost first, the document's title left out.

        A span that begins with headings is named by them.
        """
        headings = self._document.headings
        last = bisect_right(self._heading_starts, start) - 1
        body = self._document.text
        while last + 1 < len(headings) and headings[last + 1].start < end:
            between = body[headings[last].end_of_line(body) if last >= 0 else start : headings[last + 1].start]
            if between.strip(_RULE):
                break
            last += 1
        path: list[str] = []
        level = 99
        for heading in reversed(headings[: last + 1]):
            if heading.level < level:
                level = heading.level
                if heading.title != self._document.title:
                    path.insert(0, heading.title[:MAX_SECTION_CHARACTERS])
            if level <= 1:
                break
        return SEPARATOR.join(path)

    def _columns(self, start: int) -> str:
        """The header row of the table that the span begins inside of, but for its first row."""
        index = bisect_right(self._table_starts, start) - 1
        if index < 0:
            return ""
        table = self._document.tables[index]
        return table.header[:MAX_COLUMNS_CHARACTERS] if table.start < start < table.end else ""

    def _page(self, offset: int) -> int | None:
        if not self._page_starts:
            return None
        index = bisect_right(self._page_starts, offset) - 1
        return self._document.pages[max(index, 0)].number
