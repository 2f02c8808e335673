"""Why a cell of a workbook is not seen: its row, its column, the colour of its letters, or its number format."""

import operator
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from .containers import parse_xml
from .hidden.colours import WHITE_PAPER, Colour, hex_colour, hidden_by_colour, shaded, theme_colours, tinted
from .hidden.reasons import BLANK_FORMAT, TINY, TINY_POINTS

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_THEME = ("lt1", "dk1", "lt2", "dk2", *(f"accent{number}" for number in range(1, 7)), "hlink", "folHlink")
_SECTION = re.compile(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;"\\\[]|["\\\[])*')
_PRINTS_NOTHING = re.compile(r'(?:"\s*"|\[[^\]<>=]*\]|_.|\*\s|\s)*')
_PART = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.|(?P<sign>.)', re.S
)
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?\d{1,15}(?:\.\d{1,15})?)\]")
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
_WHITE_LETTERS = re.compile(r"^\s*\[(?:white|colou?r\s*2)\]", re.I)
_CONDITIONAL = re.compile(
    rb'<(?:\w+:)?conditionalFormatting\b[^>]*?\bsqref="([^"]*)"[^>]*>(.*?)</(?:\w+:)?conditionalFormatting>', re.S
)
_FORMAT_ID = re.compile(rb'\bdxfId="(\d{1,6})"')
_STEP = 2**20
_MAX_AREAS = 500  # of one sheet
_THIN_ROW = 1.0  # points
_THIN_COLUMN = 0.2  # characters
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
Area = tuple[int, int, int, int]  # first column, first row, last column, last row


@dataclass(frozen=True, slots=True)
class _Look:
    """What a style does to the cells that have it. `is_on_sheet`: nothing of the cell's own lies behind its letters."""

    reason: str
    is_on_sheet: bool
    number_format: str


@dataclass(slots=True)
class Looks:
    """The styles of a workbook by their numbers."""

    book: Any
    _theme: Mapping[str, Colour] | None = None
    _looks: dict[int, _Look] = field(default_factory=dict)

    def look(self, style: int) -> _Look:
        """What the style of a cell does."""
        if style not in self._looks:
            self._looks[style] = self._read(style)
        return self._looks[style]

    def _read(self, style: int) -> _Look:
        from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE

        array = self.book._cell_styles[style]
        number = array.numFmtId
        if number < BUILTIN_FORMATS_MAX_SIZE:
            number_format = BUILTIN_FORMATS.get(number, "General")
        else:
            number_format = self.book._number_formats[number - BUILTIN_FORMATS_MAX_SIZE]
        font, fill = self.book._fonts[array.fontId], self.book._fills[array.fillId]
        if font.sz is not None and font.sz <= TINY_POINTS:
            return _Look(TINY, False, number_format)
        colour = WHITE_PAPER if _WHITE_LETTERS.match(number_format) else self._colour(font.color)
        pattern = getattr(fill, "patternType", "gradient")
        is_on_sheet = pattern in (None, "none")
        behind = WHITE_PAPER if is_on_sheet else self._colour(fill.fgColor) if pattern == "solid" else None
        return _Look(hidden_by_colour(colour, behind), is_on_sheet, number_format)

    def _colour(self, colour: Any) -> Colour | None:
        """The colour that a style names; None for one that the reader's program chooses."""
        from openpyxl.styles.colors import COLOR_INDEX

        if colour is None:
            return None
        found: Colour | None = None
        if colour.type == "rgb" and isinstance(colour.rgb, str):
            found = hex_colour(colour.rgb[-6:])
        elif colour.type == "indexed" and 0 <= colour.indexed < len(COLOR_INDEX):
            found = hex_colour(str(COLOR_INDEX[colour.indexed])[-6:])
        elif colour.type == "indexed":
            found = {64: (0, 0, 0), 65: WHITE_PAPER}.get(colour.indexed)
        elif colour.type == "theme" and 0 <= colour.theme < len(_THEME):
            found = self._themed(_THEME[colour.theme])
        if found is None or not colour.tint:
            return found
        return tinted(found, 1 - colour.tint) if colour.tint > 0 else shaded(found, 1 + colour.tint)

    def _themed(self, name: str) -> Colour | None:
        if self._theme is None:
            theme = self.book.loaded_theme
            self._theme = theme_colours(parse_xml(theme)) if theme else {"lt1": WHITE_PAPER, "dk1": (0, 0, 0)}
        return self._theme.get(name)


def is_hidden_row(attributes: Mapping[str, str]) -> bool:
    """Whether a row is hidden, by hand, by a filter or an outline, or of no height."""
    return attributes.get("hidden") in ("1", "true") or _at_most(attributes.get("ht"), _THIN_ROW)


def hidden_columns(dimensions: Mapping[str, Mapping[str, str]]) -> frozenset[int]:
    """Numbers of the columns that are hidden or of no width."""
    hidden: set[int] = set()
    for attributes in dimensions.values():
        if attributes.get("hidden") in ("1", "true") or _at_most(attributes.get("width"), _THIN_COLUMN):
            first, last = int(attributes["min"]), int(attributes.get("max", attributes["min"]))
            hidden.update(range(first, min(last, 2**14) + 1))
    return frozenset(hidden)


def _at_most(value: str | None, size: float) -> bool:
    try:
        return value is not None and float(value) <= size
    except ValueError:
        return False


def hidden_by_format(value: object, number_format: str) -> str:
    """Why a value is not seen in its number format; zeros that it leaves blank are no secret."""
    if ";" not in number_format:
        return ""
    blanks = _blank_sections(number_format)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return BLANK_FORMAT if all(blanks[:3]) else ""
        return BLANK_FORMAT if blanks[1 if value < 0 else 0] else ""
    if isinstance(value, str | bool):
        return BLANK_FORMAT if len(blanks) > 3 and blanks[3] else ""
    return BLANK_FORMAT if blanks[0] else ""


def said_instead(value: object, number_format: str) -> str | None:
    """The text that a number format shows in place of a value; None where the value itself is seen, or nothing is."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    sections = _sections(number_format)
    if isinstance(value, str):
        return _fixed_text(sections[3]) if len(sections) > 3 else None
    conditions = [_CONDITION.search(section[:200]) for section in sections[:2]]
    if not any(conditions):
        place = 1 if value < 0 else 2 if value == 0 else 0
        return _fixed_text(sections[place if place < len(sections[:3]) else 0])
    for section, condition in zip(sections, (*conditions, None), strict=False):
        if condition is None or _COMPARED[condition[1]](value, float(condition[2])):
            return _fixed_text(section)
    return None


@lru_cache(maxsize=1024)
def _fixed_text(section: str) -> str | None:
    """What a section of a format says, where it has no place for a value."""
    words = []
    for match in _PART.finditer(section[:200]):
        if match["sign"] and (match["sign"] in "#?@0" or match["sign"].isalpha()):
            return None
        words.append(match["quoted"] or match["escaped"] or match["currency"] or match["sign"] or "")
    text = " ".join("".join(words).split())
    return text if any(map(str.isalnum, text)) else None


@lru_cache(maxsize=1024)
def _blank_sections(number_format: str) -> tuple[bool, ...]:
    """Whether each section of a format (positive; negative; zero; text) prints nothing."""
    return tuple(_PRINTS_NOTHING.fullmatch(section[:200]) is not None for section in _sections(number_format))


@lru_cache(maxsize=1024)
def _sections(number_format: str) -> tuple[str, ...]:
    sections: list[str] = []
    at = 0
    while at <= len(number_format) and len(sections) < 4:
        match = _SECTION.match(number_format, at)
        assert match is not None  # it matches the empty text
        sections.append(match[0])
        at = match.end() + 1
    return tuple(sections)


@dataclass(slots=True)
class Grounds:
    """Where on a sheet something may lie behind letters that no cell names: coloured tables and conditional colours."""

    sheet: "ReadOnlyWorksheet"
    _areas: list[Area] | None = None

    def hold(self, column: int, row: int) -> bool:
        """Whether a cell may be coloured so."""
        if self._areas is None:
            self._areas = list(islice(chain(self._tables(), self._conditions()), _MAX_AREAS))
        return any(left <= column <= right and top <= row <= bottom for left, top, right, bottom in self._areas)

    def _tables(self) -> Iterator[Area]:
        """The rows of names and totals of tables, and the whole of dark ones."""
        archive = self.sheet.parent._archive
        folder, name = posixpath.split(self.sheet._worksheet_path)
        relations = f"{folder}/_rels/{name}.rels"
        if relations not in archive.namelist():
            return
        for relation in parse_xml(archive.read(relations)).iter(_RELATION):
            if not relation.get("Type", "").endswith("/table"):
                continue
            path = posixpath.normpath(posixpath.join("/" + folder, relation.get("Target", ""))).lstrip("/")
            table = parse_xml(archive.read(path))
            style = next((str(node.get("name", "")) for node in table if str(node.tag).endswith("}tableStyleInfo")), "")
            for left, top, right, bottom in _areas(table.get("ref", "")):
                if not style:
                    continue
                if style.startswith(("TableStyleLight", "TableStyleMedium")):
                    if table.get("headerRowCount", "1") != "0":
                        yield left, top, right, top
                    yield left, bottom, right, bottom
                else:
                    yield left, top, right, bottom

    def _conditions(self) -> Iterator[Area]:
        """Cells that a rule may colour."""
        styles = self.sheet.parent._differential_styles.styles
        for match in _CONDITIONAL.finditer(self._after_cells()):
            fills = (styles[int(n)].fill for n in _FORMAT_ID.findall(match[2]) if int(n) < len(styles))
            if b"colorScale" in match[2] or b"dataBar" in match[2] or any(fill is not None for fill in fills):
                yield from _areas(match[1].decode("ascii", "replace"))

    def _after_cells(self) -> bytes:
        """What a sheet says after its cells."""
        kept, found = b"", False
        with self.sheet._get_source() as stream:
            while step := stream.read(_STEP):
                kept = kept + step if found else kept[-16:] + step
                if not found and (at := kept.find(b"sheetData>")) >= 0:
                    rest = kept.find(b"sheetData>", at + 1)
                    found, kept = True, kept[rest if rest >= 0 else at :]
        return kept


def _areas(references: str) -> Iterator[Area]:
    from openpyxl.utils.cell import range_boundaries

    for reference in references.split()[:1000]:
        try:
            left, top, right, bottom = range_boundaries(reference)
        except (ValueError, TypeError):
            continue
        yield left or 1, top or 1, right or 2**14, bottom or 2**20
