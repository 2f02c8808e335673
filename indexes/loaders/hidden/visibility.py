"""Whether a reader of a page sees an element's text, by its computed style and that of the elements around it."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from .colours import WHITE_PAPER, Colour, css_colour, hidden_by_colour
from .css import Sheets
from .reasons import INVISIBLE, MARKED, OFF_PAGE, TINY, TINY_POINTS
from .selectors import Node

_LENGTH = re.compile(r"([+-]?\d{0,9}\.?\d{1,9}(?:e[+-]?\d{1,2})?)(px|pt|pc|em|rem|ex|ch|%|vw|vh|vmin|vmax|cm|mm|in|q)?")
_PIXELS = {
    "": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "rem": 16.0, "vw": 12.8, "vh": 8.0, "vmin": 8.0, "vmax": 12.8,
    "cm": 37.8, "mm": 3.78, "in": 96.0, "q": 0.945,
}  # fmt: skip
_SIZES = {"xx-small": 9, "x-small": 10, "small": 13, "medium": 16, "large": 18, "x-large": 24, "xx-large": 32}
_TINY_PIXELS = TINY_POINTS  # a pixel is less than a point
_FAR_PIXELS = -900.0  # from where it would stand: no page shows it
_THIN_PIXELS = 1.0
_TRANSPARENT = 0.02
_EDGES = ("left", "right", "top", "bottom")
_MOVED = re.compile(r"(translate(?:x|y|3d)?|scale(?:x|y|3d)?)\(([^()]*)\)")
_CLIP = re.compile(r"rect\(([^()]*)\)")
_INSET = re.compile(r"inset\(\s*([\d.]+)%|circle\(\s*0")
_INLINE = frozenset(
    "a abbr b bdi bdo big cite code em font i ins kbd label mark q s small span strike strong sub sup tt u var".split()
)
_TABLE_PARTS = frozenset("table thead tbody tfoot tr td th caption col colgroup".split())
_LINK: Colour = (0, 0, 238)
_MARKER: Colour = (255, 255, 0)
_BEHIND = frozenset(("background", "background-color", "background-image"))
_FRONT = frozenset(("color", "-webkit-text-fill-color"))
_HINTS = ("hidden", "popover", "href", "color", "text", "bgcolor", "background")  # attributes that stand for a style
_CLOSED = frozenset(("hidden", "popover"))
_VISIBILITY = {"hidden": False, "collapse": False, "visible": True, "initial": True}


@dataclass(frozen=True, slots=True)
class State:
    """The computed style of an element as far as it hides text.

    `lost` is why nothing below the element is seen, whatever it says; colours are None where they are not known.
    """

    lost: str = ""
    is_visible: bool = True
    size: float = 16.0  # pixels
    indent: float = 0.0
    colour: Colour | None = None
    is_transparent: bool = False
    background: Colour | None = None

    @property
    def unseen(self) -> str:
        """Why the element's own text is not seen; empty where it is."""
        if self.lost:
            return self.lost
        if not self.is_visible:
            return MARKED
        if self.size <= _TINY_PIXELS:
            return TINY
        if self.indent <= _FAR_PIXELS:
            return OFF_PAGE
        return INVISIBLE if self.is_transparent else hidden_by_colour(self.colour, self.background)


def first_state(sheets: Sheets) -> State:
    """The state around a page: paper is white, unless a sheet that lies elsewhere may say otherwise."""
    return State(background=WHITE_PAPER if sheets.is_whole else None)


def state_of(node: Node, above: State, sheets: Sheets, has_pictures: bool) -> State:
    """The state of an element inside another one. Raises TooMuchStyle where the page's selectors take too long.

    `has_pictures`: what is placed freely on the page may stand before one of them.
    """
    style, open_to = sheets.of(node)
    hints = tuple((name, node.attributes[name]) for name in _HINTS if name in node.attributes)
    if not (style or open_to or hints or node.tag == "mark"):
        return above
    return _computed(node.tag, tuple(style.items()), open_to, hints, above, has_pictures)


@lru_cache(maxsize=8192)
def _computed(
    tag: str,
    styles: tuple[tuple[str, str], ...],
    open_to: frozenset[str],
    hints: tuple[tuple[str, str], ...],
    above: State,
    has_pictures: bool,
) -> State:
    style, attributes = dict(styles), dict(hints)
    size = _size(style, above.size)
    state = replace(
        above,
        size=size,
        indent=_pixels(style.get("text-indent", ""), size, above.indent),
        is_visible=_VISIBILITY.get(style.get("visibility", ""), above.is_visible),
    )
    state = _coloured(tag, style, attributes, open_to, state, has_pictures)
    if tag in ("html", "body"):  # which scripts show when they are done
        return replace(state, is_visible=True)
    return replace(state, lost=_lost(tag, style, attributes, size))


def _lost(tag: str, style: dict[str, str], attributes: dict[str, str], size: float) -> str:
    """Why an element is not seen with all that is inside it; empty where nothing says so."""
    display = style.get("display", "")
    if (
        display == "none"
        or (not display and attributes.keys() & _CLOSED)
        or style.get("content-visibility") == "hidden"
    ):
        return MARKED
    if _share(style.get("opacity", "")) <= _TRANSPARENT or "opacity(0" in style.get("filter", ""):
        return INVISIBLE
    is_placed = style.get("position") in ("absolute", "fixed")
    is_moved = is_placed or style.get("position") in ("relative", "sticky")
    if is_moved and any(_pixels(style.get(edge, ""), size, 0.0) <= _FAR_PIXELS for edge in _EDGES):
        return OFF_PAGE
    if is_placed and (clip := _CLIP.search(style.get("clip", ""))) and _is_thin(clip[1], size):
        return INVISIBLE
    if (inset := _INSET.search(style.get("clip-path", ""))) and (not inset[1] or _share(inset[1]) >= 50):
        return INVISIBLE
    margins = style.get("margin", "").split()
    sides = [style.get("margin-left", margins[3] if len(margins) == 4 else margins[1] if len(margins) > 1 else "")]
    sides.append(style.get("margin-top", margins[0] if margins else ""))
    if any(_pixels(side, size, 0.0) <= _FAR_PIXELS for side in sides if "%" not in side):  # columns float by percents
        return OFF_PAGE
    is_box = is_placed or display not in ("", "inline") or style.get("float", "none") != "none"
    if (is_box or tag not in _INLINE) and tag not in _TABLE_PARTS:
        clipped = {"hidden", "clip"} & {style.get(f"overflow{axis}", "").split(" ")[0] for axis in ("", "-x", "-y")}
        sizes = (style.get(name, "") for name in ("height", "max-height", "width", "max-width"))
        if clipped and any(_pixels(value, size, 99.0) <= _THIN_PIXELS for value in sizes if "%" not in value):
            return INVISIBLE
    moves = [f"{name}({','.join(style[name].split())})" for name in ("scale", "translate") if name in style]
    return _transformed(" ".join([style.get("transform", ""), *moves]), size)


def _transformed(transform: str, size: float) -> str:
    for name, arguments in _MOVED.findall(transform):
        values = [_pixels(value.strip(), size, 1.0) for value in arguments.split(",")]
        if name.startswith("scale") and 0.0 in values[:2]:
            return INVISIBLE
        if name.startswith("translate") and min(values[:2]) <= _FAR_PIXELS * (4 if "%" in arguments else 1):
            return OFF_PAGE
    return ""


def _is_thin(clip: str, size: float) -> bool:
    """Whether a clip rectangle (top, right, bottom, left) shows nothing."""
    values = [_pixels(value, size, -1.0) for value in clip.replace(",", " ").split()]
    if len(values) != 4 or -1.0 in values:
        return False
    return values[2] - values[0] <= _THIN_PIXELS or values[1] - values[3] <= _THIN_PIXELS


def _coloured(
    tag: str,
    style: dict[str, str],
    attributes: dict[str, str],
    open_to: frozenset[str],
    state: State,
    has_pictures: bool,
) -> State:
    behind = _background(style, attributes)
    if (style.get("position") in ("absolute", "fixed") and behind is True and has_pictures) or open_to & _BEHIND:
        behind = None
    colour, alpha = _text_colour(tag, style, attributes, state)
    if "text" in style.get("background-clip", style.get("-webkit-background-clip", "")) and behind is not True:
        colour, alpha, behind = behind, 1.0, True  # letters cut from their background
    background = state.background if behind is True else behind
    if tag == "mark" and not style.keys() & _BEHIND:
        background = _MARKER
    shadows = [css_colour(part)[0] for part in _colours_in(style.get("text-shadow", ""))]
    if open_to & _FRONT or any(shadow and not hidden_by_colour(shadow, background) for shadow in shadows):
        colour, alpha = None, 1.0
    return replace(
        state,
        colour=colour if alpha > _TRANSPARENT else None,
        is_transparent=alpha <= _TRANSPARENT,
        background=background,
    )


def _text_colour(
    tag: str, style: dict[str, str], attributes: dict[str, str], above: State
) -> tuple[Colour | None, float]:
    inherited = above.colour, 0.0 if above.is_transparent else 1.0
    value = style.get("-webkit-text-fill-color", style.get("color", ""))
    if not value and tag in ("font", "body"):
        value = _hinted(attributes.get("color" if tag == "font" else "text", ""))
    if value and value not in ("inherit", "currentcolor"):
        return css_colour(value)
    if tag == "mark" and not value:
        return (0, 0, 0), 1.0
    return (_LINK, 1.0) if tag == "a" and "href" in attributes and not value else inherited


def _background(style: dict[str, str], attributes: dict[str, str]) -> Colour | Literal[True] | None:
    """The colour behind an element: True for that of what it lies in, None for one that is not known."""
    whole = style.get("background", "")
    picture = style.get("background-image", "none") not in ("none", "initial")
    if picture or "url(" in whole or "gradient" in whole or "image" in whole or "var(" in whole:
        return None
    if "background" in attributes:
        return None
    value = style.get("background-color", "")
    if not value and whole:
        value = next((part for part in _colours_in(whole) if css_colour(part)[0] is not None), "transparent")
    value = value or _hinted(attributes.get("bgcolor", ""))
    if value in ("", "none", "inherit", "initial", "unset"):
        return True
    colour, alpha = css_colour(value)
    if alpha <= _TRANSPARENT:
        return True
    return colour if alpha >= 1 - _TRANSPARENT else None


def _hinted(value: str) -> str:
    """A colour of an attribute, whose digits may stand without their sign."""
    value = value.strip().lower()
    return "#" + value if css_colour("#" + value)[0] is not None else value


def _colours_in(whole: str) -> list[str]:
    return re.findall(r"(?:rgb|hsl)a?\([^()]*\)|#[0-9a-f]+|[a-z]+", whole[:500])


def _size(style: dict[str, str], above: float) -> float:
    value = style.get("font-size", "")
    if not value and "font" in style:
        parts = style["font"].split()
        value = next((p.partition("/")[0] for p in parts if p in _SIZES or _LENGTH.fullmatch(p.partition("/")[0])), "")
        value = value if not value.isdecimal() or value == "0" else ""  # a weight
    if value in _SIZES:
        return float(_SIZES[value])
    if value.endswith("%"):
        return above * _pixels(value.removesuffix("%"), above, 100.0) / 100
    return _pixels(value, above, above)


def _share(value: str) -> float:
    """An opacity; 1 where none is said."""
    try:
        return float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        return 1.0


def _pixels(value: str, size: float, otherwise: float) -> float:
    """A length in pixels; `otherwise` where it is none, or not known before the page is laid out."""
    match = _LENGTH.fullmatch(value)
    if match is None:
        return otherwise
    unit = match[2] or ""
    if unit == "%":
        return float(match[1]) * 12.8
    scale = {"em": size, "ex": size / 2, "ch": size / 2}.get(unit) or _PIXELS.get(unit, 1.0)
    return float(match[1]) * scale
