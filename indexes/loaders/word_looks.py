"""How the text of a Word file looks by its own marks and its styles, as far as that decides whether it is seen."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from .containers import parse_xml
from .hidden.colours import Colour, drawing_colour, hex_colour, named_colour, shaded, theme_colours, tinted

if TYPE_CHECKING:
    from lxml.etree import _Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
Paint = Colour | Literal["auto", "unknown"]  # auto: none for a background, black or white for text

# Names of theme colours in Word's own markup, and those of DrawingML.
_THEME_NAMES = {
    "background1": "lt1", "light1": "lt1", "background2": "lt2", "light2": "lt2", "text1": "dk1", "dark1": "dk1",
    "text2": "dk2", "dark2": "dk2", "hyperlink": "hlink", "followedHyperlink": "folHlink",
}  # fmt: skip
_SCHEME_NAMES = {"bg1": "lt1", "bg2": "lt2", "tx1": "dk1", "tx2": "dk2"}
_FALLBACK: dict[str, Colour] = {"lt1": (255, 255, 255), "dk1": (0, 0, 0)}
_TRANSPARENT = 0.02
_HALF_POINTS, _TWIPS = 2.0, 20.0  # in a point


@dataclass(frozen=True, slots=True)
class Marks:
    """What one place of the file says of text; None where it says nothing."""

    vanish: bool | None = None
    colour: Paint | None = None
    behind: Paint | None = None  # of the letters alone
    points: float | None = None
    width: int | None = None  # of the letters, percent
    is_clear: bool | None = None  # drawn with nothing
    paragraph_behind: Paint | None = None
    line_points: float | None = None  # exact height of a line, which cuts what is higher
    left_points: float | None = None  # indent

    def over(self, below: "Marks") -> "Marks":
        """These marks, and those below where these say nothing."""
        if self is NOTHING or below is NOTHING:
            return below if self is NOTHING else self
        pairs = ((getattr(self, one.name), getattr(below, one.name)) for one in fields(Marks))
        return Marks(*(under if own is None else own for own, under in pairs))


NOTHING = Marks()


def on(node: "_Element | None") -> bool | None:
    """A property that is there or not, or there and off."""
    return None if node is None else node.get(W + "val", "1").lower() not in ("0", "false", "off", "none")


def number(node: "_Element | None", name: str = "val") -> float | None:
    """An attribute that is a number."""
    value = "" if node is None else str(node.get(W + name, ""))
    return float(value) if value.lstrip("-").isdecimal() and len(value) < 10 else None


@dataclass(slots=True)
class Palette:
    """The colours of the file's theme."""

    theme: Mapping[str, Colour]

    def marks(self, holder: "_Element | None") -> Marks:
        """The marks that `w:rPr` and `w:pPr` below an element give."""
        if holder is None:
            return NOTHING
        run, paragraph = holder.find(W + "rPr"), holder.find(W + "pPr")
        if run is None and paragraph is None:
            return NOTHING
        return self.of_run(run).over(self._of_paragraph(paragraph))

    def of_run(self, run: "_Element | None") -> Marks:
        """The marks of `w:rPr`."""
        if run is None or not len(run):
            return NOTHING
        colour, is_clear = self._text(run)
        points, width = number(run.find(W + "sz")), number(run.find(W + "w"))
        return Marks(
            vanish=on(run.find(W + "vanish")),
            colour=colour,
            behind=self._highlight(run.find(W + "highlight")) or self.shading(run.find(W + "shd")),
            points=None if points is None else points / _HALF_POINTS,
            width=None if width is None else int(width),
            is_clear=is_clear,
        )

    def _of_paragraph(self, paragraph: "_Element | None") -> Marks:
        if paragraph is None or not len(paragraph):
            return NOTHING
        spacing, indent = paragraph.find(W + "spacing"), paragraph.find(W + "ind")
        line = number(spacing, "line") if spacing is not None and spacing.get(W + "lineRule") == "exact" else None
        left = number(indent, "left") if number(indent, "left") is not None else number(indent, "start")
        return Marks(
            paragraph_behind=self.shading(paragraph.find(W + "shd")),
            line_points=None if line is None else line / _TWIPS,
            left_points=None if left is None else left / _TWIPS,
        )

    def of_paragraph(self, holder: "_Element") -> Marks:
        """The marks of an element's own `w:pPr`; those in it are of the sign at the paragraph's end, not of text."""
        return self._of_paragraph(holder.find(W + "pPr"))

    def shading(self, node: "_Element | None") -> Paint | None:
        """The colour of `w:shd`; unknown for patterns."""
        if node is None:
            return None
        pattern = node.get(W + "val", "clear")
        if pattern == "nil":
            return "auto"
        if pattern == "solid":
            return self._paint(node, "color", "theme") or "unknown"
        return (self._paint(node, "fill", "themeFill") or "auto") if pattern == "clear" else "unknown"

    def _text(self, run: "_Element") -> tuple[Paint | None, bool | None]:
        """The colour of letters, and whether they are drawn with nothing."""
        own = self._paint(run.find(W + "color"), "val", "theme")
        effect = run.find(_W14 + "textFill")
        if effect is None or run.find(_W14 + "textOutline") is not None:
            return own, None
        kind = next((str(child.tag) for child in effect), "")
        if kind.endswith("}noFill"):
            return own, True
        if not kind.endswith("}solidFill"):
            return "unknown", None
        colour, alpha = drawing_colour(effect[0], self.scheme)
        see_through = next((float(n.get(_W14 + "val", "0")[:9]) / 100_000 for n in effect.iter(_W14 + "alpha")), 0.0)
        return colour or "unknown", (see_through >= 1 - _TRANSPARENT) if alpha != 1.0 or see_through else None

    @property
    def scheme(self) -> Mapping[str, Colour]:
        """The theme's colours by the names of DrawingML, with those of a Word document."""
        return {**self.theme, **{name: self.theme[at] for name, at in _SCHEME_NAMES.items() if at in self.theme}}

    def _highlight(self, node: "_Element | None") -> Paint | None:
        name = "" if node is None else node.get(W + "val", "none").lower()
        return None if name in ("", "none") else named_colour(name) or "unknown"

    def _paint(self, node: "_Element | None", attribute: str, theme: str) -> Paint | None:
        if node is None:
            return None
        name = node.get(W + (theme + "Color" if theme == "theme" else theme))
        if name:
            key = _THEME_NAMES.get(name, name)
            colour = self.theme.get(key) or _FALLBACK.get(key)
            if colour is None:
                return "unknown"
            for change, mix in (("Shade", shaded), ("Tint", tinted)):
                if (share := node.get(W + theme + change)) and len(share) <= 2:
                    colour = mix(colour, int(share, 16) / 255)
            return colour
        value = node.get(W + attribute)
        return None if value is None else "auto" if value == "auto" else hex_colour(value) or "unknown"


def palette_of(source: Any) -> Palette:
    """The palette of a document of python-docx."""
    for relation in source.part.rels.values():
        if relation.reltype.endswith("/theme") and not relation.is_external:
            return Palette(theme_colours(parse_xml(relation.target_part.blob)))
    return Palette({})


@dataclass(slots=True)
class Styles:
    """The styles of a file: the marks of each with those of the styles that it is based on."""

    palette: Palette
    elements: Mapping[str, "_Element"]
    default: Marks  # of the file
    paragraph: str  # the style of paragraphs that name none
    _marks: dict[str, Marks]

    def marks(self, name: str) -> Marks:
        """The marks of a style; styles may be based on each other in a circle."""
        if name not in self._marks:
            found, at, seen = NOTHING, name, set[str]()
            while at in self.elements and at not in seen:
                seen.add(at)
                found = found.over(self.palette.marks(self.elements[at]))
                based_on = self.elements[at].find(W + "basedOn")
                at = "" if based_on is None else based_on.get(W + "val", "")
            self._marks[name] = found
        return self._marks[name]

    def chain(self, name: str) -> "list[_Element]":
        """A style and those that it is based on."""
        found: list[_Element] = []
        while name in self.elements and self.elements[name] not in found:
            found.append(self.elements[name])
            based_on = found[-1].find(W + "basedOn")
            name = "" if based_on is None else based_on.get(W + "val", "")
        return found


def styles_of(source: Any) -> Styles:
    """The styles of a document of python-docx."""
    palette, root = palette_of(source), source.styles.element
    elements = {style.get(W + "styleId", ""): style for style in root.iter(W + "style")}
    paragraph = next(
        (
            name
            for name, style in elements.items()
            if style.get(W + "type") == "paragraph" and style.get(W + "default") in ("1", "true", "on")
        ),
        "",
    )
    default = NOTHING
    for tag in ("rPrDefault", "pPrDefault"):
        default = default.over(palette.marks(root.find(f"{W}docDefaults/{W}{tag}")))
    return Styles(palette, elements, default, paragraph, {})
