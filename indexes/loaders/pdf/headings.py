"""Which rows of a PDF are headings: by its outline, by how filings number their parts, by tall and by bold letters."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .rows import Row

MAX_LEVEL = 6
_TALL = 1.08  # of the height of most of the text's letters
_HEADING_CHARACTERS = 120
_BOLD_SHARE = 0.25  # of the text; where more is bold, bold says nothing
_EDGE_ROWS = 3  # at the top and the bottom of a page, where running titles stand
_RUNNING_SHARE = 0.3  # of the pages
_MAX_ROWS = 2_000  # of a page, that bookmarks are looked for in
_NEAR_PAGES = 3  # before and after, among which letters are compared
_OWN_CHARACTERS, _OWN_SHARE = 600, 0.6  # in letters of one height, that tell of a page by itself
_CONTENTS_ROWS = 3  # numbered parts with a page's number: a table of contents
_NUMBERED = re.compile(
    r"(?i:(?P<part>part\s+[ivx]{1,4}\b)|(?P<item>item\s+\d{1,2}[a-c]?\b)|(?P<note>note\s+\d{1,2}\b))"
    r"(?:\s*[-–—.:]\s*|\s+(?=[A-Z])|$)(?P<rest>.*)"
)
_NUMBERED_LEVELS = {"part": 1, "item": 2, "note": 3}


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A bookmark: level 1 is the outermost; pages count from 0."""

    level: int
    title: str
    page: int


@dataclass(frozen=True, slots=True)
class LaidPage:
    """A page's rows in reading order, which of them open a paragraph, and which stand in tables."""

    rows: tuple[Row, ...] = ()
    opens: tuple[bool, ...] = ()
    tabular: frozenset[int] = frozenset()


@dataclass(slots=True)
class RowRoles:
    """Of one page: levels of the rows that are headings, and the rows that repeat on most pages or number them."""

    levels: dict[int, int] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)


def row_roles(pages: Sequence[LaidPage], outline: Sequence[OutlineEntry]) -> list[RowRoles]:
    """What each page's rows are. Levels run from 1 to 6; a row in a table is never a heading."""
    roles = [RowRoles(running=rows) for rows in _running(pages)]
    depth = _by_outline(pages, outline, roles)
    numbered = [_numbered(page) for page in pages]
    if sum(map(len, numbered)) >= 3:
        depth = max(depth, _NUMBERED_LEVELS["note"])
    styles = _around(pages)
    tall = _tall_levels(pages, styles, depth)
    below = min(max(tall.values(), default=depth) + 1, MAX_LEVEL)
    for page, role, numbers, style in zip(pages, roles, numbered, styles, strict=True):
        for index, row in enumerate(page.rows):
            if index in page.tabular or index in role.running or index in role.levels:
                continue
            if level := numbers.get(index, 0) or _style_level(row, style, tall, below):
                role.levels[index] = level
    return roles


def _running(pages: Sequence[LaidPage]) -> list[set[int]]:
    """Rows at the edges of pages that many pages have, their numbers aside."""
    edges = [{i for i in range(len(p.rows)) if min(i, len(p.rows) - 1 - i) < _EDGE_ROWS} for p in pages]
    keys = [{i: re.sub(r"\d+", "#", pages[n].rows[i].text.lower()) for i in rows} for n, rows in enumerate(edges)]
    counts = Counter(key for page in keys for key in set(page.values()))
    least = max(3, _RUNNING_SHARE * len(pages))
    return [{i for i, key in page.items() if counts[key] >= least} for page in keys]


def _by_outline(pages: Sequence[LaidPage], outline: Sequence[OutlineEntry], roles: Sequence[RowRoles]) -> int:
    """Marks the rows that bookmarks name, on their page or the next; returns the deepest level found."""
    texts: dict[int, list[str]] = {}
    deepest = 0
    for entry in outline:
        wanted = _letters(entry.title)
        for number in (entry.page, entry.page + 1):
            if not wanted or not 0 <= number < len(pages):
                continue
            page, levels = pages[number], roles[number].levels
            if number not in texts:
                texts[number] = [_letters(row.text) if len(row.text) < 300 else "" for row in page.rows[:_MAX_ROWS]]
            index = _named(texts[number], wanted, levels)
            if index >= 0 and index not in page.tabular:
                levels[index] = min(entry.level, MAX_LEVEL)
                deepest = max(deepest, levels[index])
                break
    return deepest


def _named(texts: Sequence[str], wanted: str, taken: Mapping[int, int]) -> int:
    """The first free row whose letters are those of a bookmark, or begin it over several lines; or -1."""
    for index, text in enumerate(texts):
        if index not in taken and text and (text == wanted or (len(text) > 15 and wanted.startswith(text))):
            return index
    return -1


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _numbered(page: LaidPage) -> dict[int, int]:
    """Rows such as `PART II`, `Item 7. …`, `Note 12 — …` that stand as headings; none on a page of contents."""
    found: dict[int, int] = {}
    listed = 0
    for index, row in enumerate(page.rows):
        match = _NUMBERED.match(row.text)
        if not match or len(row.text) > _HEADING_CHARACTERS:
            continue
        listed += index in page.tabular or row.text[-1].isdigit()
        apart = row.bold or page.opens[index] or index == 0 or row.text.isupper()
        if index not in page.tabular and apart and row.text[-1] not in ",;" and not match["rest"][:1].islower():
            kind = next(kind for kind in _NUMBERED_LEVELS if match[kind])
            found[index] = _NUMBERED_LEVELS[kind]
    return {} if listed >= _CONTENTS_ROWS else found


@dataclass(frozen=True, slots=True)
class _Styles:
    """What letters say around one page. `body` is the height of most of its text; `bold` whether bold is rare there."""

    body: float
    bold: bool


def _around(pages: Sequence[LaidPage]) -> list[_Styles]:
    """The styles of each page and its neighbours: a file may hold several documents, each with its own letters."""
    heights = [Counter[float]() for _ in pages]
    bold = [0] * len(pages)
    for number, row in ((n, row) for n, page in enumerate(pages) for row in page.rows if row.height):
        heights[number][row.height] += len(row.text)
        bold[number] += len(row.text) if row.bold else 0
    styles = []
    for number in range(len(pages)):
        near = slice(max(0, number - _NEAR_PAGES), number + _NEAR_PAGES + 1)
        weights = sum(heights[near], Counter[float]())
        body = _own_body(heights[number]) or (weights.most_common(1)[0][0] if weights else 0.0)
        styles.append(_Styles(body, sum(bold[near]) <= _BOLD_SHARE * sum(weights.values())))
    return styles


def _own_body(weights: Counter[float]) -> float:
    """The height of most of a page's text if the page has enough of it to tell, else 0.0."""
    height, weight = weights.most_common(1)[0] if weights else (0.0, 0)
    return height if weight >= _OWN_CHARACTERS and weight >= _OWN_SHARE * weights.total() else 0.0


def _tall_levels(pages: Sequence[LaidPage], styles: Sequence[_Styles], depth: int) -> dict[float, int]:
    """Levels below `depth` by height of letters, the tallest first; heights that hardly differ share one."""
    tall = {r.height for p, s in zip(pages, styles, strict=True) for r in p.rows if _is_tall(r, s)}
    levels: dict[float, int] = {}
    level, top = depth, float("inf")
    for height in sorted(tall, reverse=True):
        if height < top / _TALL:
            level, top = min(level + 1, MAX_LEVEL), height
        levels[height] = level
    return levels


def _is_tall(row: Row, styles: _Styles) -> bool:
    if not row.height >= styles.body * _TALL or not styles.body:
        return False
    return len(row.text) <= _HEADING_CHARACTERS and any(c.isalpha() for c in row.text)


def _style_level(row: Row, styles: _Styles, tall: Mapping[float, int], below: int) -> int:
    """The level of a row that stands out by its letters, or 0; `below` is that of bold capitals."""
    text = row.text
    if _is_tall(row, styles):
        return tall[row.height]
    if not row.bold or not styles.bold or len(text) > _HEADING_CHARACTERS or row.height < 0.9 * styles.body:
        return 0
    if text[-1] in ",;" or text[0].islower() or not any(c.isalpha() for c in text):
        return 0
    return below if text.isupper() else min(below + 1, MAX_LEVEL)
