"""Why a run, a row or a text box of a Word file is not seen by its reader."""

import re
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Any

from .hidden.colours import WHITE_PAPER, Colour, drawing_colour, hex_colour, hidden_by_colour, named_colour
from .hidden.reasons import INVISIBLE, MARKED, OFF_PAGE, SHAPE, TINY, TINY_POINTS
from .word_looks import NOTHING, Marks, Paint, Styles, W, number, on, styles_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_WP = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_WPS = "{http://schemas.microsoft.com/office/word/2010/wordprocessingShape}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_VML = "{urn:schemas-microsoft-com:vml}"
_PARAGRAPH_STYLE, _TABLE_STYLE = f"{W}pPr/{W}pStyle", f"{W}tblPr/{W}tblStyle"
_EMU = 635  # in a twip
_LETTER_PAGE = (12240.0, 15840.0)  # twips
_FAR_POINTS = -500.0
_TINY_WIDTH = 5  # percent of the letters' own
_AROUND = 10  # paragraphs before and after one in which a picture may be anchored behind it
_WIDE = 1_800_000  # English metric units, 5 cm: what is smaller lies behind no line
_VML_STYLE = re.compile(r"(margin-left|margin-top|left|top)\s*:\s*(-?[\d.]{1,9})(pt|in|cm|mm|px)?", re.I)
_VML_POINTS = {"": 1.0, "pt": 1.0, "in": 72.0, "cm": 28.3, "mm": 2.83, "px": 0.75}


@dataclass(slots=True)
class Looks:
    """Says of parts of one file why they are not seen; empty where they are."""

    styles: Styles
    page: Paint
    page_size: tuple[float, float]  # twips
    margins: tuple[float, float]  # left and top, twips
    _behind: "dict[_Element, tuple[Paint, _Element | None]]" = field(default_factory=dict)
    _on_picture: "dict[_Element, bool]" = field(default_factory=dict)
    _by_names: dict[tuple[str, str, str], tuple[bool, Marks]] = field(default_factory=dict)
    _last_paragraph: "_Element | None" = None
    _last_marks: Marks = NOTHING
    _last_names: tuple[str, str] = ("", "")

    def run(self, run: "_Element", paragraph: "_Element") -> str:
        """Why the text of a run is not seen."""
        own = run.find(W + "rPr")
        marks = self.styles.palette.of_run(own)
        self._enter(paragraph)
        vanish, below = self._styled(own)
        if vanish if marks.vanish is None else marks.vanish:
            return MARKED
        marks = self._last_marks.over(marks.over(below))
        if marks is NOTHING:
            return ""
        if min(marks.points or 99.0, marks.line_points or 99.0) <= TINY_POINTS or (marks.width or 100) <= _TINY_WIDTH:
            return TINY
        if (marks.left_points or 0.0) <= _FAR_POINTS:
            return OFF_PAGE
        if marks.is_clear:
            return INVISIBLE
        if marks.colour is None or isinstance(marks.colour, str):
            return ""
        behind = self._first((marks.behind, marks.paragraph_behind))
        return self._lost_in(marks.colour, behind, paragraph)

    def _lost_in(self, colour: Colour, behind: Paint | None, paragraph: "_Element") -> str:
        block = None
        if behind is None:
            if paragraph not in self._behind:
                self._behind[paragraph] = self._of_ancestors(paragraph)
            behind, block = self._behind[paragraph]
        reason = hidden_by_colour(colour, None if isinstance(behind, str) else behind)
        if reason and block is not None:
            if block not in self._on_picture:
                self._on_picture[block] = _lies_on_picture(block)
            return "" if self._on_picture[block] else reason
        return reason

    def _enter(self, paragraph: "_Element") -> None:
        """Reads a paragraph's own marks and the names of its style and its table's, once for all its runs."""
        if paragraph is self._last_paragraph:
            return
        self._last_paragraph, self._last_marks = paragraph, self.styles.palette.of_paragraph(paragraph)
        style = paragraph.find(_PARAGRAPH_STYLE)
        table = next(paragraph.iterancestors(W + "tbl"), None)
        around = None if table is None else table.find(_TABLE_STYLE)
        self._last_names = (self.styles.paragraph if style is None else _name(style), _name(around))

    def _styled(self, own: "_Element | None") -> tuple[bool, Marks]:
        """What the styles of a run say: its own, its paragraph's, its table's, the file's."""
        names = (_name(None if own is None else own.find(W + "rStyle")), *self._last_names)
        if names not in self._by_names:
            levels = [self.styles.marks(name) for name in names]
            # ISO/IEC 29500-1, 17.7.3: the styles' own values are combined by exclusive or.
            vanish = bool(self.styles.default.vanish) or reduce(xor, (bool(level.vanish) for level in levels))
            self._by_names[names] = vanish, reduce(Marks.over, (*levels, self.styles.default))
        return self._by_names[names]

    @staticmethod
    def _first(paints: "tuple[Paint | None, ...]") -> Paint | None:
        return next((paint for paint in paints if paint is not None and paint != "auto"), None)

    def _of_ancestors(self, paragraph: "_Element") -> "tuple[Paint, _Element | None]":
        """The colour behind a paragraph that has none of its own: that of its cell, its table, its box or the page.

        With that of the page comes the block that stands there, since something may lie behind it.
        """
        shading, cell, row = self.styles.palette.shading, None, None
        outermost = paragraph
        for above in paragraph.iterancestors(W + "tc", W + "tr", W + "tbl", W + "txbxContent"):
            paint: Paint | None = None
            if above.tag == W + "tc":
                cell, paint = above, self._first((shading(above.find(f"{W}tcPr/{W}shd")),))
            elif above.tag == W + "tr":
                row = above
            elif above.tag == W + "tbl":
                paint = self._of_table(above, row, cell)
            else:
                paint = self._of_box(above)
            if paint is not None:
                return paint, None
            outermost = above
        return self.page, outermost

    def _of_table(self, table: "_Element", row: "_Element | None", cell: "_Element | None") -> Paint | None:
        """The colour of a table, by its own mark or by those of its style that may hold for the cell."""
        style = table.find(f"{W}tblPr/{W}tblStyle")
        shading = self.styles.palette.shading
        paints: list[Paint | None] = []
        for element in [] if style is None else self.styles.chain(style.get(W + "val", "")):
            for part in element.iter(W + "tblStylePr"):
                if _may_hold(part.get(W + "type", ""), table, row, cell):
                    paints.append(self._first((shading(part.find(f"{W}tcPr/{W}shd")),)))
            paints.append(self._first((shading(element.find(f"{W}tcPr/{W}shd")),)))
            paints.append(self._first((shading(element.find(f"{W}tblPr/{W}shd")),)))
        paints.append(self._first((shading(table.find(f"{W}tblPr/{W}shd")),)))
        found = list(dict.fromkeys(paint for paint in paints if paint is not None))
        return None if not found else found[0] if len(found) == 1 else "unknown"

    def _of_box(self, box: "_Element") -> Paint:
        """The colour of a text box; unknown where it has none, since it may stand on anything."""
        for above in box.iterancestors():
            if above.tag == _WPS + "wsp":
                fill = above.find(f"{_WPS}spPr/{_A}solidFill")
                return drawing_colour(fill, self.styles.palette.scheme)[0] or "unknown"
            if isinstance(above.tag, str) and above.tag.startswith(_VML) and above.get("fillcolor"):
                value = above.get("fillcolor", "").split(" ")[0].lower()
                off = above.get("filled", "t") in ("f", "false")
                return "unknown" if off else hex_colour(value) or named_colour(value) or "unknown"
        return "unknown"

    def row(self, row: "_Element") -> str:
        """Why the text of a table's row is not seen."""
        height = row.find(f"{W}trPr/{W}trHeight")
        if height is None or height.get(W + "hRule") != "exact":
            return ""
        twips = number(height)
        return TINY if twips is not None and twips <= TINY_POINTS * 20 else ""

    def box(self, box: "_Element") -> str:
        """Why the text of a text box is not seen."""
        for above in box.iterancestors():
            if above.tag == W + "p":
                break
            if above.tag in (_WP + "anchor", _WP + "inline"):
                named = above.find(_WP + "docPr")
                if named is not None and named.get("hidden") in ("1", "true"):
                    return SHAPE
                if above.tag == _WP + "anchor" and self._is_off_page(above):
                    return OFF_PAGE
            elif above.tag == _WPS + "wsp":
                named = above.find(_WPS + "cNvPr")
                if named is not None and named.get("hidden") in ("1", "true"):
                    return SHAPE
            elif isinstance(above.tag, str) and above.tag.startswith(_VML):
                style = above.get("style", "").replace(" ", "").lower()
                if "visibility:hidden" in style:
                    return SHAPE
                if "position:absolute" in style and _is_far(style):
                    return OFF_PAGE
        return ""

    def _is_off_page(self, anchor: "_Element") -> bool:
        """Whether an anchored box lies beside its page; a box that follows a paragraph must be a whole page away."""
        extent = anchor.find(_WP + "extent")
        for axis, (tag, size) in enumerate((("positionH", "cx"), ("positionV", "cy"))):
            position = anchor.find(_WP + tag)
            offset = None if position is None else position.find(_WP + "posOffset")
            text = "" if offset is None else (offset.text or "").strip()
            if position is None or not text.lstrip("-").isdecimal() or len(text) > 12:
                continue
            at = int(text) / _EMU
            length = int(extent.get(size, "0")[:12] or 0) / _EMU if extent is not None else 0.0
            base, page = position.get("relativeFrom", ""), self.page_size[axis]
            if base in ("paragraph", "line"):
                if at + length <= -page or at >= page:
                    return True
                continue
            at += 0.0 if base in ("page", "leftMargin", "topMargin") else self.margins[axis]
            if at + length <= 0 or at >= page:
                return True
        return False


def _is_far(style: str) -> bool:
    return any(
        float(value.strip(".") or 0) * _VML_POINTS[unit.lower()] <= _FAR_POINTS
        for _, value, unit in _VML_STYLE.findall(style)
        if value.count(".") < 2 and value != "-"
    )


def _lies_on_picture(block: "_Element") -> bool:
    """Whether a wide picture or shape is anchored behind the text near a block."""
    near = [block, *list(_some(block.itersiblings())), *list(_some(block.itersiblings(preceding=True)))]
    for paragraph in near:
        for anchor in paragraph.iter(_WP + "anchor"):
            extent = anchor.find(_WP + "extent")
            wide = 0 if extent is None else int(extent.get("cx", "0")[:12] or 0)
            if anchor.get("behindDoc") in ("1", "true") and wide >= _WIDE:
                return True
    return False


def _some(blocks: Any) -> Any:
    return (block for _, block in zip(range(_AROUND), blocks, strict=False))


def _name(style: "_Element | None") -> str:
    return "" if style is None else str(style.get(W + "val", ""))


def _is_first(node: "_Element | None") -> bool:
    return node is not None and next(node.itersiblings(node.tag, preceding=True), None) is None


def _is_last(node: "_Element | None") -> bool:
    return node is not None and next(node.itersiblings(node.tag), None) is None


def _may_hold(part: str, table: "_Element", row: "_Element | None", cell: "_Element | None") -> bool:
    """Whether a part of a table style may be about a cell: the first row is only about the first, a band about any."""
    first_row, last_row = _is_first(row), _is_last(row)
    first, last = _is_first(cell), _is_last(cell)
    look = table.find(f"{W}tblPr/{W}tblLook")
    bits = int(look.get(W + "val", "0000")[:4] or "0", 16) if look is not None else 0x04A0

    def shown(name: str, bit: int) -> bool:
        value = None if look is None else look.get(W + name)
        return bool(bits & bit) if value is None else value in ("1", "true", "on")

    return {
        "wholeTable": True,
        "firstRow": first_row and shown("firstRow", 0x20),
        "lastRow": last_row and shown("lastRow", 0x40),
        "firstCol": first and shown("firstColumn", 0x80),
        "lastCol": last and shown("lastColumn", 0x100),
        "nwCell": first_row and first,
        "neCell": first_row and last,
        "swCell": last_row and first,
        "seCell": last_row and last,
    }.get(part, part.startswith("band"))


def looks_of(source: Any) -> Looks:
    """How the text of a document of python-docx is seen."""
    styles = styles_of(source)
    background = source.element.find(W + "background")
    page: Colour | Paint = WHITE_PAPER
    if background is not None and on(source.settings.element.find(W + "displayBackgroundShape")):
        page = hex_colour(background.get(W + "color")) or "unknown"
    section = next(source.element.iter(W + "sectPr"), None)
    size = None if section is None else section.find(W + "pgSz")
    margin = None if section is None else section.find(W + "pgMar")
    width, height = number(size, "w") or _LETTER_PAGE[0], number(size, "h") or _LETTER_PAGE[1]
    return Looks(styles, page, (width, height), (number(margin, "left") or 0.0, number(margin, "top") or 0.0))
