"""One page of a PDF as PDFium reads it: lines of text with the places of their words, and whether it is a scan.

Lengths are points with y growing upwards, turned so that most of the page's text runs to the right.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from ctypes import byref, c_float, c_int, create_string_buffer
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ..parts import clean_line
from .hidden import hidden_characters
from .values import is_value

HYPHEN = "\ufffe"  # a hyphen at the end of a line, over which PDFium joins the word's halves

_HYPHENS = re.compile("[\x02\ufffe]")
_WORD = re.compile(r"\S+")
_BOLD = re.compile(rb"bold|black|heavy|demi", re.IGNORECASE)
_WIDE = 0.52  # of the letter box's height: lines whose characters take more width on average hold gaps
_STEP = 0.75  # of the letter box's height, that words of one line may differ
_GUTTER = 1.2  # of the letter box's height
_SAMPLE = 3  # lines, the longest, that tell how a page is laid out
_BOLD_CHARACTERS = 200  # longer lines are not asked for their font
_SCAN_CHARACTERS = 24  # a scanned page may carry a stamped number
_SCAN_SHARE = 0.25  # of the page, that its images cover
_MAX_OBJECTS = 2000
_DRAWN_OBJECTS = 300  # paths on a page without text: letters drawn as outlines


class Word(NamedTuple):
    """A word, its horizontal extent and the lower edge of its first letter's box."""

    text: str
    left: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `words` are given only where the line may hold gaps between cells.

    `height` is that of the first letter's font box, rounded to a tenth; 0.0 where nothing is known of the place, or
    the line is turned against the rest of the page.
    `bottom` and `last_bottom` are the lower edges of the first and last letter's boxes.
    """

    text: str
    left: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    last_bottom: float = 0.0
    height: float = 0.0
    bold: bool = False
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class PageText:
    """What was read of a page.

    `scanned`: its text, if any, is in pictures; `recognised`: by OCR. `garbled`: fonts without Unicode. `hidden` has
    reason and text of what is not seen, in no line. `layered`: text lies unseen beneath pictures, as OCR puts it.
    """

    lines: tuple[Line, ...] = ()
    scanned: bool = False
    garbled: bool = False
    recognised: bool = False
    error: str = ""
    hidden: tuple[tuple[str, str], ...] = ()
    layered: bool = False


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float


_Turn = Callable[[_Box], _Box]
_TURNS: dict[str, _Turn | None] = {
    "right": None,
    "up": lambda b: _Box(b.bottom, -b.right, b.top, -b.left),
    "left": lambda b: _Box(-b.right, -b.top, -b.left, -b.bottom),
    "down": lambda b: _Box(-b.top, b.left, -b.bottom, b.right),
}


def read_page(source: Any, number: int, max_characters: int) -> PageText:
    """The page with this number, counted from 0. A page that PDFium cannot open is told by its `error`.

    A page with more than `max_characters` is an error too, before its text is copied.
    """
    import pypdfium2

    try:
        page = source[number]
    except pypdfium2.PdfiumError as error:
        return PageText(error=str(error))
    try:
        text_page = page.get_textpage()
        try:
            if text_page.count_chars() > max_characters:
                return PageText(error=f"more than {max_characters:,} characters")
            raw = text_page.get_text_range()
            reader = _Reader(text_page, raw)
            unseen = hidden_characters(page, text_page, raw, reader.index_of)
            lines = reader.without(unseen.reasons).lines()
        finally:
            text_page.close()
        visible = sum(map(len, raw.split()))
        scanned = visible < _SCAN_CHARACTERS and _is_picture(page)
        hidden = tuple(unseen.texts(raw))
        return PageText(
            tuple(lines), scanned, _is_garbled(raw, visible), hidden=hidden, layered=unseen.beneath_pictures
        )
    except pypdfium2.PdfiumError as error:
        return PageText(error=str(error))
    finally:
        page.close()


class _Reader:
    """Asks PDFium for as few places as will do: each question costs microseconds, a filing has a million letters."""

    def __init__(self, text_page: Any, raw: str) -> None:
        import pypdfium2.raw as pdfium

        self._page = text_page.raw
        self._box = pdfium.FS_RECTF()
        self._ref = byref(self._box)
        self._ask = pdfium.FPDFText_GetLooseCharBox
        self._ask_font = pdfium.FPDFText_GetFontInfo
        self._name, self._flags = create_string_buffer(128), c_int()
        self._raw = raw
        # PDFium counts characters that it leaves out of the text.
        self._shifted = pdfium.FPDFText_GetCharIndexFromTextIndex if len(raw) != text_page.count_chars() else None
        self._turn: _Turn | None = None
        self._columns = False  # whether the page's longest lines run over a gutter

    def index_of(self, place: int) -> int:
        """PDFium's number of the character at a place of the text; -1 where it has none."""
        return int(self._shifted(self._page, place)) if self._shifted else place

    def without(self, places: Mapping[int, str]) -> "_Reader":
        """The reader, with blanks for the characters at these places."""
        if places:
            self._raw = "".join(" " if place in places else sign for place, sign in enumerate(self._raw))
        return self

    def lines(self) -> list[Line]:
        """The page's lines in PDFium's order; blank ones are left out."""
        spans = [(m.start(), m.end()) for m in re.finditer(r"[^\r\n]+", self._raw)]
        longest = sorted(spans, key=lambda span: span[0] - span[1])[:_SAMPLE]
        self._turn = _TURNS[self._direction(longest)]
        self._columns = 2 * sum(self._has_gutter(start, end) for start, end in longest) > len(longest)
        return [line for start, end in spans for line in self._lines(start, end)]

    def _direction(self, spans: list[tuple[int, int]]) -> str:
        """Where most of the page's text runs, judged by its longest lines."""
        votes: Counter[str] = Counter()
        for start, end in spans:
            first, last = self._place(start), self._place(end - 1)
            if first and last and end - start > 2:
                across, along = last.left - first.left, last.bottom - first.bottom
                if abs(across) >= abs(along):
                    votes["right" if across >= 0 else "left"] += end - start
                else:
                    votes["up" if along > 0 else "down"] += end - start
        return votes.most_common(1)[0][0] if votes else "right"

    def _has_gutter(self, start: int, end: int) -> bool:
        """Whether two words of a line stand further apart than words do: two columns of prose in one line."""
        place = self._place(start)
        words = self._words(start, self._raw[start:end])
        gaps = [b.left - a.right for a, b in pairwise(words)]
        return place is not None and max(gaps, default=0.0) > _GUTTER * abs(place.top - place.bottom)

    def _place(self, index: int) -> _Box | None:
        """The font's box around a character of the text, or None where PDFium does not know it."""
        if self._shifted and (index := self._shifted(self._page, index)) < 0:
            return None
        if not self._ask(self._page, index, self._ref):
            return None
        box = self._box
        place = _Box(box.left, box.bottom, box.right, box.top)
        return self._turn(place) if self._turn else place

    def _lines(self, start: int, end: int) -> list[Line]:
        """One of PDFium's lines; several, where it put words together that stand at different heights."""
        raw = _HYPHENS.sub(HYPHEN, self._raw[start:end])
        text = _cleaned(raw)
        if not text:
            return []
        first = start + len(raw) - len(raw.lstrip())
        final = start + len(raw.rstrip()) - 1
        begin, finish = self._place(first), self._place(final)
        if not begin or not finish:
            return [Line(text)]
        whole = HYPHEN in text  # over two lines of the page
        step = abs(begin.bottom - finish.bottom)
        if not whole and step > abs(begin.left - finish.left):
            return [Line(text)]  # it runs up or down beside the others
        height = round(abs(begin.top - begin.bottom), 1)
        bold = len(text) <= _BOLD_CHARACTERS and self._is_bold(first) and self._is_bold(final)
        may_hold = self._columns or step > _STEP * height or _may_hold_cells(text, finish.right - begin.left, height)
        words = self._words(start, raw) if may_hold and not whole else ()
        runs = _level_runs(words, height)
        if len(runs) < 2:
            right = max(begin.right, finish.right)
            return [Line(text, begin.left, right, begin.bottom, finish.bottom, height, bold, words)]
        return [_line_of(run, height, bold) for run in runs]

    def _words(self, start: int, raw: str) -> tuple[Word, ...]:
        words = []
        for match in _WORD.finditer(raw):
            first, last = self._place(start + match.start()), self._place(start + match.end() - 1)
            text = _cleaned(match[0])
            if not first or not last:
                return ()
            if text:
                words.append(Word(text, first.left, max(first.right, last.right), first.bottom))
        return tuple(words)

    def _is_bold(self, index: int) -> bool:
        if self._shifted and (index := self._shifted(self._page, index)) < 0:
            return False
        self._name.value = b""
        self._ask_font(self._page, index, self._name, len(self._name), byref(self._flags))
        return bool(_BOLD.search(self._name.value))


def _cleaned(raw: str) -> str:
    """As `clean_line`, which looks at each character, but quick for the usual line."""
    return raw.strip() if raw.isprintable() and "  " not in raw else clean_line(raw)


def _level_runs(words: Sequence[Word], height: float) -> list[list[Word]]:
    """Words one after the other at one height; a raised mark does not end a run."""
    runs: list[list[Word]] = []
    for word in words:
        if runs and abs(word.bottom - runs[-1][0].bottom) <= _STEP * height:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _line_of(words: Sequence[Word], height: float, bold: bool) -> Line:
    text = " ".join(word.text for word in words)
    right = max(word.right for word in words)
    return Line(text, words[0].left, right, words[0].bottom, words[-1].bottom, height, bold, tuple(words))


def _may_hold_cells(text: str, width: float, height: float) -> bool:
    """Whether a line's words are worth their places: it ends in a value, or it is wider than its letters need."""
    last = text[text.rfind(" ") + 1 :]
    return len(last) < len(text) and (is_value(last) or width > _WIDE * height * len(text))


def _is_garbled(raw: str, visible: int) -> bool:
    """Whether a tenth of the visible characters are none: private use, control, or replacement."""
    odd = sum(len(run) for run in re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\ue000-\uf8ff\ufffd]+", raw))
    return visible >= _SCAN_CHARACTERS and odd - raw.count("\x02") > visible / 10


def _is_picture(page: Any) -> bool:
    """Whether images cover a good part of the page, or it is drawn of very many paths."""
    import pypdfium2.raw as pdfium

    handle = page.raw
    width, height = page.get_size()
    covered, paths = 0.0, 0
    edges = [c_float() for _ in range(4)]
    for index in range(min(pdfium.FPDFPage_CountObjects(handle), _MAX_OBJECTS)):
        part = pdfium.FPDFPage_GetObject(handle, index)
        kind = pdfium.FPDFPageObj_GetType(part)
        paths += kind == pdfium.FPDF_PAGEOBJ_PATH
        if kind not in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM):
            continue
        if pdfium.FPDFPageObj_GetBounds(part, *(byref(edge) for edge in edges)):
            left, bottom, right, top = (edge.value for edge in edges)
            covered += max(0.0, min(right, width) - max(left, 0)) * max(0.0, min(top, height) - max(bottom, 0))
    return covered >= _SCAN_SHARE * width * height or paths >= _DRAWN_OBJECTS
