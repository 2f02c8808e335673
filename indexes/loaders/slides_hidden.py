"""Why a shape of a presentation, or a run of its text, is not seen by those who watch the slides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .containers import parse_xml
from .hidden.colours import Colour, drawing_colour, hidden_by_colour, theme_colours
from .hidden.reasons import INVISIBLE, OFF_PAGE, SHAPE, TINY, TINY_POINTS

if TYPE_CHECKING:
    from lxml.etree import _Element

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_MAPPED = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}
_TINY = TINY_POINTS * 100
_TRANSPARENT = 0.02
_PLAIN_BACKGROUND = 1001  # number of the theme's background that is one colour
_DRAWN = ("sp", "pic", "cxnSp", "graphicFrame")
Box = tuple[float, float, float, float]  # left, top, right, bottom, in English metric units


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Something that lies on a slide: where, and its colour, None for a picture or one that is not known."""

    box: Box
    colour: Colour | None


@dataclass(slots=True)
class Slide:
    """What lies on one slide, in the order in which it is drawn."""

    width: int
    height: int
    colours: Mapping[str, Colour]
    background: Colour | None
    drawn: "dict[_Element, _Drawn]" = field(default_factory=dict)
    below: list[_Drawn] = field(default_factory=list)  # of its layout and master

    def shape(self, shape: Any) -> str:
        """Why a shape is not seen."""
        element = shape.element
        for above in (element, *element.iterancestors(_P + "grpSp")):
            named = next(above.iter(_P + "cNvPr"), None)
            if named is not None and named.get("hidden") in ("1", "true"):
                return SHAPE
        box = _box(shape)
        if box is None:
            return ""
        left, top, right, bottom = box
        return OFF_PAGE if right <= 0 or bottom <= 0 or left >= self.width or top >= self.height else ""

    def run(self, run: "_Element", shape: Any, cell: "_Element | None" = None) -> str:
        """Why a run of text is not seen; `cell` is that of the table in which it stands."""
        marks = self._marks(run, shape)
        sizes = [int(size) for mark in marks if (size := mark.get("sz", "")).isdecimal() and len(size) < 9]
        if sizes and sizes[0] <= _TINY:
            return TINY
        for mark in marks:
            if mark.find(A + "noFill") is not None:
                outline = mark.find(A + "ln")
                return "" if outline is not None and outline.find(A + "noFill") is None else INVISIBLE
            fill = mark.find(A + "solidFill")
            if fill is not None:
                colour, alpha = drawing_colour(fill, self.colours)
                if alpha <= _TRANSPARENT:
                    return INVISIBLE
                return self._lost(colour, shape, cell) if mark.find(A + "effectLst") is None else ""
            if any(mark.find(A + name) is not None for name in ("gradFill", "blipFill", "pattFill")):
                return ""
        style = shape.element.find(f"{_P}style/{A}fontRef")
        return "" if style is None else self._lost(drawing_colour(style, self.colours)[0], shape, cell)

    def _marks(self, run: "_Element", shape: Any) -> "list[_Element]":
        """What says how a run looks, from its own marks to those of its shape's levels."""
        found = [run.find(A + "rPr")]
        paragraph = run.getparent()
        own = None if paragraph is None else paragraph.find(A + "pPr")
        level = "0" if own is None else own.get("lvl", "0")
        name = f"lvl{int(level) + 1 if level.isdecimal() and len(level) < 2 else 1}pPr"
        for body in shape.element.iter(_P + "txBody"):
            found += [body.find(f"{A}lstStyle/{A}{at}/{A}defRPr") for at in (name, "defPPr")]
        return [mark for mark in found if mark is not None]

    def _lost(self, colour: Colour | None, shape: Any, cell: "_Element | None") -> str:
        """Why letters of a colour are not seen before what lies behind them."""
        if colour is None:
            return ""
        if cell is not None:  # whose table may colour it by a style
            fill = cell.find(f"{A}tcPr/{A}solidFill")
            return "" if fill is None else hidden_by_colour(colour, drawing_colour(fill, self.colours)[0])
        own = fill_of(shape.element, self.colours)
        base = shape
        while own is True and (base := getattr(base, "_base_placeholder", None)) is not None:
            own = fill_of(base.element, self.colours)  # that of its layout, and of the master
        if own is not True:
            return hidden_by_colour(colour, own)
        box = _box(shape)
        if box is None:
            return ""
        behind = [*self.below]
        for element, drawn in self.drawn.items():
            if element is shape.element:
                break
            behind.append(drawn)
        near = [drawn for drawn in behind if _overlap(drawn.box, box)]
        reasons = [hidden_by_colour(colour, drawn.colour) for drawn in near]
        return hidden_by_colour(colour, self.background) if all(reasons) else ""


def slide_of(slide: Any, deck: Any) -> Slide:
    """What lies on a slide of python-pptx."""
    layout = slide.slide_layout
    master = layout.slide_master
    colours = _colours(slide, layout, master)
    backgrounds = (_background(part, colours) for part in (slide, layout, master))
    background = next((own[0] for own in backgrounds if own is not None), None)
    found = Slide(int(deck.slide_width or 0), int(deck.slide_height or 0), colours, background)
    for part in (master, layout):
        found.below += _drawn(part.shapes, colours, placeholders=False).values()
    found.drawn = _drawn(slide.shapes, colours, placeholders=True)
    return found


def _drawn(shapes: Any, colours: Mapping[str, Colour], placeholders: bool) -> "dict[_Element, _Drawn]":
    found: dict[_Element, _Drawn] = {}
    stack = [iter(shapes)]
    while stack:
        shape = next(stack[-1], None)
        if shape is None:
            stack.pop()
        elif shape.element.tag == _P + "grpSp":
            stack.append(iter(shape.shapes))
        elif (placeholders or not shape.is_placeholder) and (box := _box(shape)):
            tag = shape.element.tag.removeprefix(_P)
            colour = fill_of(shape.element, colours) if tag == "sp" else None
            if colour is not True and tag in _DRAWN:
                found[shape.element] = _Drawn(box, colour)
    return found


def fill_of(element: "_Element", colours: Mapping[str, Colour]) -> Colour | Literal[True] | None:
    """The colour of a shape: True where what lies behind it is seen through it, None where it is not known."""
    properties = element.find(_P + "spPr")
    if properties is None:
        return None
    if properties.find(A + "noFill") is not None:
        return True
    fill = properties.find(A + "solidFill")
    if fill is not None:
        colour, alpha = drawing_colour(fill, colours)
        return True if alpha <= _TRANSPARENT else colour if alpha >= 1 - _TRANSPARENT else None
    if any(properties.find(A + name) is not None for name in ("gradFill", "blipFill", "pattFill", "grpFill")):
        return None
    style = element.find(f"{_P}style/{A}fillRef")
    if style is not None and style.get("idx", "0") != "0":
        return drawing_colour(style, colours)[0] if style.get("idx") == "1" else None
    return True


def _colours(slide: Any, layout: Any, master: Any) -> dict[str, Colour]:
    """The theme's colours by the names that shapes use."""
    theme: dict[str, Colour] = {}
    for relation in master.part.rels.values():
        if relation.reltype.endswith("/theme") and not relation.is_external:
            theme = theme_colours(parse_xml(relation.target_part.blob))
    mapping = next(master.element.iter(_P + "clrMap"), None)
    for part in (layout, slide):
        mapping = next(part.element.iter(A + "overrideClrMapping"), mapping)
    names = {name: _MAPPED[name] if mapping is None else mapping.get(name, _MAPPED[name]) for name in _MAPPED}
    return {**theme, **{name: theme[at] for name, at in names.items() if at in theme}}


def _background(part: Any, colours: Mapping[str, Colour]) -> tuple[Colour | None] | None:
    """The colour of a part's own background, None for a picture; None alone where it has none."""
    background = part.element.find(f"{_P}cSld/{_P}bg")
    if background is None:
        return None
    reference = background.find(_P + "bgRef")
    if reference is not None:
        plain = reference.get("idx") == str(_PLAIN_BACKGROUND)
        return (drawing_colour(reference, colours)[0] if plain else None,)
    return (drawing_colour(background.find(f"{_P}bgPr/{A}solidFill"), colours)[0],)


def _box(shape: Any) -> Box | None:
    """Where a shape lies on its slide, through the groups around it; None where that is not said."""
    if None in (shape.left, shape.top, shape.width, shape.height):
        return None
    left, top = float(shape.left), float(shape.top)
    right, bottom = left + float(shape.width), top + float(shape.height)
    for group in shape.element.iterancestors(_P + "grpSp"):
        frame = group.find(f"{_P}grpSpPr/{A}xfrm")
        if frame is None:
            continue
        offset, size, inner, extent = (frame.find(A + name) for name in ("off", "ext", "chOff", "chExt"))
        if offset is None or size is None or inner is None or extent is None:
            continue
        x, y = _ratio(size, extent, "cx"), _ratio(size, extent, "cy")
        left, right = (_at(offset, "x") + (at - _at(inner, "x")) * x for at in (left, right))
        top, bottom = (_at(offset, "y") + (at - _at(inner, "y")) * y for at in (top, bottom))
    return left, top, right, bottom


def _ratio(size: "_Element", extent: "_Element", name: str) -> float:
    inner = _at(extent, name)
    return _at(size, name) / inner if inner else 1.0


def _at(node: "_Element", name: str) -> float:
    value = node.get(name, "0")
    return float(value) if value.lstrip("-").isdecimal() and len(value) < 15 else 0.0


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
