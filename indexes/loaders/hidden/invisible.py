"""Characters that no reader sees, in the text of any format: what they smuggle is decoded and kept apart."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise

from ...documents import Heading, HiddenText, LoadedDocument, Page, Table
from .reasons import CHARACTERS, REORDERED

# Of no width in every font; soft hyphens are not among them, since a reader may see one at a line's end.
_WIDTHLESS = "\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
_MARKS = "\u200e\u200f\u061c"  # of direction; one stands by itself, a row of them is a channel
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_LETTERS = "A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u052f"  # of scripts that need no joiners
_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TAGS = "\U000e0000-\U000e007f"  # each stands for a character of ASCII
_SUSPECT = re.compile(f"[{_WIDTHLESS}{_MARKS}{_SELECTORS}{_TAGS}\u202d\u202e]")
# The flags of England, Scotland, Texas: a black flag, the letters of a region as tags, and the closing tag.
_FLAG = "\U0001f3f4[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,3}\U000e007f"
_SUSPECTS = re.compile(_SUSPECT.pattern + "+")
_BEYOND = re.compile("[^\x00-\u02ff]+")  # all of them are, and few other characters of most texts
_ASCII = bytes(range(128))
_CUT = re.compile(
    f"(?P<flag>{_FLAG})"
    f"|(?P<row>[{_WIDTHLESS}{_MARKS}{_SELECTORS}{_TAGS}]{{4,}}|[{_WIDTHLESS}]{{2,}}|[{_SELECTORS}]{{2,}}|[{_TAGS}]+"
    f"|(?<=[A-Za-z])[{_SELECTORS}]|(?<![{_IDEOGRAPHS}])[\U000e0100-\U000e01ef])"
    f"|(?<=[{_LETTERS}])(?P<single>[\u034f\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f\ufeff])(?=[{_LETTERS}])"
)
_OVERRIDES = re.compile("[\u202d\u202e]")
_BREAKS = "\n\r\u0085\u2029\x1c\x1d\x1e"  # the ends of paragraphs, where every override ends
_BREAK = re.compile(f"[{_BREAKS}]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_POP, _ISOLATES, _POP_ISOLATE = "\u202c", "\u2066\u2067\u2068", "\u2069"
_TO_LEFT = "\u202e"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_LEFT_TO_RIGHT = re.compile("[^\\W_\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_CELL_ENDS = re.compile(r" \| | \|$|; ", re.M)
_MIN_SMUGGLED = 8  # characters: fewer of no width hold no byte, and are slips of the keyboard and of web pages
_LETTER_SHARE = 0.6  # of a text that bits spell; patterns of other use spell signs
_MAX_PASSES = 4
_MAX_NAMED = 8  # kinds of characters that a description lists


@dataclass(frozen=True, slots=True)
class _Cut:
    """A span that leaves the text, and what of it is kept: nothing where it only spaced letters."""

    start: int
    end: int
    reason: str
    text: str


def without_invisible(document: LoadedDocument) -> LoadedDocument:
    """The document as it is seen: what invisible characters say, and what is stored reversed, goes to `hidden`.

    Pages, headings and tables cut the same words as before. What a cut brings together is looked at again.
    """
    for _ in range(_MAX_PASSES):
        cleaned = _cleaned(document)
        if cleaned is document:
            break
        document = cleaned
    return document


def _cleaned(document: LoadedDocument) -> LoadedDocument:
    said = (document.title, *(h.title for h in document.headings), *(t.header for t in document.tables))
    if not any(map(_is_suspect, (document.text, *said))):
        return document
    cuts = list(_cuts(document.text, document.tables))
    if not cuts and all(visible(words) == words for words in said):
        return document
    moved = _moves(cuts)
    pages = tuple(replace(page, start=moved(page.start), end=moved(page.end)) for page in document.pages)
    headings = (Heading(h.level, visible(h.title).strip(), moved(h.start)) for h in document.headings)
    return replace(
        document,
        title=visible(document.title).strip(),
        text=_without(document.text, cuts),
        pages=pages,
        headings=tuple(heading for heading in headings if heading.title),
        tables=tuple(Table(moved(t.start), moved(t.end), visible(t.header, in_table=True)) for t in document.tables),
        hidden=(*document.hidden, *_hidden(cuts, document.pages)),
    )


def visible(text: str, in_table: bool = False) -> str:
    """A line as it is seen."""
    if not _is_suspect(text):
        return text
    return _without(text, list(_cuts(text, (Table(0, len(text), ""),) if in_table else ())))


def _is_suspect(text: str) -> bool:
    """Whether any such character is there; ASCII is cut first, which bytes do ten times as fast as the expression."""
    if text.isascii():
        return False
    rest = text.encode("utf-8", "surrogatepass").translate(None, _ASCII)
    return _SUSPECT.search(rest.decode("utf-8", "surrogatepass")) is not None


def _cuts(text: str, tables: tuple[Table, ...]) -> Iterator[_Cut]:
    """The spans to cut, in order and apart from each other."""
    end = 0
    overridden = _overridden(text, tables)
    over = next(overridden, None)
    for match in _matches(text):
        while over and over.start <= match.start():
            yield over
            end, over = over.end, next(overridden, None)
        if match.start() >= end and (kind := match.lastgroup) and kind != "flag":
            yield _Cut(match.start(), match.end(), CHARACTERS, match[0] if kind == "row" else "")
            end = match.end()
    while over:
        yield over
        over = next(overridden, None)


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Matches of `_CUT`, which is tried only around the characters that it is about."""
    for beyond in _BEYOND.finditer(text):
        for some in _SUSPECTS.finditer(text, *beyond.span()):
            yield from _CUT.finditer(text, max(some.start() - 1, 0), some.end() + 1)


def _overridden(text: str, tables: tuple[Table, ...]) -> Iterator[_Cut]:
    """Spans inside overrides of direction that a reader sees in another order; of other overrides only the signs."""
    starts = [table.start for table in tables]
    at = 0
    while opening := _OVERRIDES.search(text, at):
        start = max(at, *(text.rfind(sign, at, opening.start()) + 1 for sign in _BREAKS))
        found = _BREAK.search(text, opening.end())
        at = found.start() if found else len(text)
        place = bisect_right(starts, start) - 1
        if place >= 0 and start < tables[place].end:  # the cells of a row are paragraphs of their own
            ends = [start, *(cell.start() for cell in _CELL_ENDS.finditer(text, start, at)), at]
        else:
            ends = [start, at]
        for first, last in pairwise(ends):
            yield from _overridden_in(text, first, last)


def _overridden_in(text: str, start: int, end: int) -> list[_Cut]:
    """The cuts of one paragraph, in order."""
    left = [match.start() for match in _RIGHT_TO_LEFT.finditer(text, start, end)]
    right = [match.start() for match in _LEFT_TO_RIGHT.finditer(text, start, end)]
    cuts: list[_Cut] = []
    hidden_to = start
    for first, last, is_closed in _overrides(text, start, end):
        if first < hidden_to:
            continue
        against = right if text[first] == _TO_LEFT else left
        if bisect_right(against, last) - bisect_right(against, first) > 1:  # one letter alone is in its place
            hidden_to = last + is_closed
            cuts.append(_Cut(first, hidden_to, REORDERED, text[first + 1 : last]))
        else:
            cuts.append(_Cut(first, first + 1, REORDERED, ""))
            if is_closed:
                cuts.append(_Cut(last, last + 1, REORDERED, ""))
    return sorted(cuts, key=lambda cut: cut.start)


def _overrides(text: str, start: int, end: int) -> list[tuple[int, int, bool]]:
    """Where overrides begin and end in a paragraph, and whether a sign closes them; outer ones first.

    By the Unicode Bidirectional Algorithm (UAX #9, X1–X8), without its limit of 125 levels.
    """
    found: list[tuple[int, int, bool]] = []
    stack: list[int] = []  # where embeddings, overrides and isolates are open
    isolates = 0

    def close(last: int, is_closed: bool) -> None:
        first = stack.pop()
        if _OVERRIDES.match(text[first]):
            found.append((first, last, is_closed))

    for match in _BIDI.finditer(text, start, end):
        at, sign = match.start(), match[0]
        if sign == _POP:
            if stack and text[stack[-1]] not in _ISOLATES:
                close(at, True)
        elif sign == _POP_ISOLATE:
            while isolates and text[stack[-1]] not in _ISOLATES:
                close(at, False)
            if isolates:
                stack.pop()
                isolates -= 1
        else:
            isolates += sign in _ISOLATES
            stack.append(at)
    while stack:
        close(end, False)
    return sorted(found)


def _moves(cuts: list[_Cut]) -> Callable[[int], int]:
    """Maps an offset before the cuts to one after them; one inside a cut goes to where it was."""
    starts = [cut.start for cut in cuts]
    gone = [0, *accumulate(cut.end - cut.start for cut in cuts)]

    def moved(offset: int) -> int:
        place = bisect_right(starts, offset) - 1
        if place < 0:
            return offset
        cut = cuts[place]
        return (cut.start if offset < cut.end else offset - (cut.end - cut.start)) - gone[place]

    return moved


def _without(text: str, cuts: list[_Cut]) -> str:
    bounds = [0, *(at for cut in cuts for at in (cut.start, cut.end)), len(text)]
    return "".join(text[start:end] for start, end in zip(bounds[::2], bounds[1::2], strict=True))


def _hidden(cuts: list[_Cut], pages: tuple[Page, ...]) -> Iterator[HiddenText]:
    """What the cuts hold, by page: rows of characters of one kind are decoded together."""
    starts = [page.start for page in pages]

    def page_of(cut: _Cut) -> int | None:
        return pages[max(bisect_right(starts, cut.start) - 1, 0)].number if pages else None

    for page, some in groupby(cuts, page_of):
        raw: list[str] = []
        for cut in some:
            if cut.reason == CHARACTERS:
                raw.append(cut.text)
            elif cut.text:
                yield HiddenText(cut.reason, cut.text, page)
        joined = "".join(raw)
        said = " ".join(filter(None, (_tagged(joined), _selected(joined), _spaced(joined)))).strip()
        if said:
            yield HiddenText(CHARACTERS, said, page)


def _tagged(characters: str) -> str:
    """What tag characters say."""
    return "".join(chr(ord(c) - 0xE0000) for c in characters if "\U000e0020" <= c <= "\U000e007e")


def _selected(characters: str) -> str:
    """What variation selectors say: each stands for a byte, 0–15 by the first sixteen, 16–255 by the others."""
    values = bytes(
        ord(c) - 0xFE00 if c <= "\ufe0f" else ord(c) - 0xE0100 + 16
        for c in characters
        if "\ufe00" <= c <= "\ufe0f" or c >= "\U000e0100"
    )
    if len(values) < _MIN_SMUGGLED // 2:
        return ""
    text = values.decode("utf-8", "replace")
    return (
        text if text.isprintable() and "\ufffd" not in text else f"[{len(values)} variation selectors: {values.hex()}]"
    )


def _spaced(characters: str) -> str:
    """What characters of no width say, where they are the zeros and ones of ASCII; else how many of which there are."""
    bare = [c for c in characters if not ("\ufe00" <= c <= "\ufe0f" or c >= "\U000e0000")]
    if len(bare) < _MIN_SMUGGLED:
        return ""
    kinds = sorted(set(bare))
    if len(kinds) == 1:  # left by editors and translators; it says nothing
        return ""
    for zero, one in ((a, b) for a in kinds for b in kinds if a != b):
        bits = "".join("0" if c == zero else "1" for c in bare if c in (zero, one))
        for size in (8, 7):
            values = [int(bits[at : at + size], 2) for at in range(0, len(bits) - size + 1, size)]
            text = "".join(map(chr, values))
            letters = sum(c.isalpha() or c == " " for c in text)
            if len(set(text)) >= 2 and text.isascii() and text.isprintable() and letters >= len(text) * _LETTER_SHARE:
                return text
    named = ", ".join(f"U+{ord(kind):04X}" for kind in kinds[:_MAX_NAMED])
    return f"[{len(bare)} characters without width: {named}]"
