"""Colours of text and of what lies behind it, as documents write them, and which two a reader cannot tell apart."""

import colorsys
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .reasons import SAME_COLOUR, WHITE

if TYPE_CHECKING:
    from lxml.etree import _Element

Colour = tuple[int, int, int]  # red, green and blue, 0–255

WHITE_PAPER: Colour = (255, 255, 255)
_ALIKE = 16  # of 255, in each of the three: #f0f0f0 on white is still read by nobody
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_CSS_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_CSS_CALL = re.compile(r"(rgb|hsl)a?\(\s*([^()]*)\)")
_CSS_NUMBER = re.compile(r"(-?\d*\.?\d+)(%|deg)?")
_NAMED: dict[str, Colour] = {
    "white": (255, 255, 255),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255),
    "floralwhite": (255, 250, 240),
    "mintcream": (245, 255, 250),
    "azure": (240, 255, 255),
    "whitesmoke": (245, 245, 245),
    "silver": (192, 192, 192),
    "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "darkgray": (169, 169, 169),
    "darkgrey": (169, 169, 169),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "darkred": (139, 0, 0),
    "maroon": (128, 0, 0),
    "yellow": (255, 255, 0),
    "darkyellow": (128, 128, 0),
    "olive": (128, 128, 0),
    "lime": (0, 255, 0),
    "green": (0, 128, 0),
    "darkgreen": (0, 100, 0),
    "aqua": (0, 255, 255),
    "cyan": (0, 255, 255),
    "darkcyan": (0, 139, 139),
    "teal": (0, 128, 128),
    "blue": (0, 0, 255),
    "darkblue": (0, 0, 139),
    "navy": (0, 0, 128),
    "fuchsia": (255, 0, 255),
    "magenta": (255, 0, 255),
    "darkmagenta": (139, 0, 139),
    "purple": (128, 0, 128),
    "orange": (255, 165, 0),
}


def hidden_by_colour(text: Colour | None, background: Colour | None) -> str:
    """Why text of this colour is not seen before this background; empty where it is, or where one is unknown."""
    if text is None or background is None or max(abs(a - b) for a, b in zip(text, background, strict=True)) > _ALIKE:
        return ""
    return WHITE if min(background) >= 255 - _ALIKE else SAME_COLOUR


def hex_colour(value: str | None) -> Colour | None:
    """The colour of six hexadecimal digits."""
    match = _HEX.fullmatch(value or "")
    return None if match is None else _of_hex(match[1])


def named_colour(name: str) -> Colour | None:
    """The colour of a name, in lower case."""
    return _NAMED.get(name)


def shaded(colour: Colour, share: float) -> Colour:
    """The colour mixed with black; share 1 leaves it as it is."""
    return _mixed(colour, (0, 0, 0), share)


def tinted(colour: Colour, share: float) -> Colour:
    """The colour mixed with white; share 1 leaves it as it is."""
    return _mixed(colour, WHITE_PAPER, share)


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def theme_colours(theme: "_Element") -> dict[str, Colour]:
    """The colours of an Office theme by their names there: `lt1`, `dk1`, `accent1`."""
    colours: dict[str, Colour] = {}
    for scheme in theme.iter(_DRAWING + "clrScheme"):
        for entry in scheme:
            value = next((node.get("lastClr") or node.get("val") for node in entry), None)
            if isinstance(entry.tag, str) and (colour := hex_colour(value)):
                colours.setdefault(entry.tag.rpartition("}")[2], colour)
    return colours


def drawing_colour(fill: "_Element | None", theme: Mapping[str, Colour]) -> tuple[Colour | None, float]:
    """The colour of a solid fill of DrawingML and its opacity; None for one that is not known.

    `theme` maps the names of scheme colours. Luminance and tints are followed, rarer changes are not.
    """
    node = next((child for child in fill if isinstance(child.tag, str)), None) if fill is not None else None
    if node is None:
        return None, 1.0
    kind, value = node.tag.rpartition("}")[2], _attribute(node, "val")
    if kind == "schemeClr":
        colour = theme.get(value)
    elif kind == "prstClr":
        colour = named_colour(value.lower())
    else:
        colour = hex_colour(node.get("lastClr") or value)
    alpha = 1.0
    for change in node:
        name, amount = str(change.tag).rpartition("}")[2], _attribute(change, "val")
        share = int(amount[:9]) / 100_000 if amount.isdecimal() else 1.0
        if name == "alpha":
            alpha = share
        elif colour is not None and name in _CHANGES:
            colour = _CHANGES[name](colour, share)
    return colour, alpha


def _attribute(node: "_Element", name: str) -> str:
    """An attribute with or without a namespace, which one dialect of DrawingML gives it."""
    return next((str(value) for key, value in node.items() if key.rpartition("}")[2] == name), "")


def _lightened(colour: Colour, factor: float, offset: float) -> Colour:
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    red, green, blue = colorsys.hls_to_rgb(hue, min(max(light * factor + offset, 0.0), 1.0), saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


_CHANGES: Mapping[str, Callable[[Colour, float], Colour]] = {
    "lumMod": lambda colour, share: _lightened(colour, share, 0.0),
    "lumOff": lambda colour, share: _lightened(colour, 1.0, share),
    "shade": shaded,
    "tint": tinted,
}


def css_colour(value: str) -> tuple[Colour | None, float]:
    """A colour of CSS and its opacity, 0–1; None where it is no colour, or one that is not known here."""
    value = value.strip().lower()
    if value == "transparent":
        return (0, 0, 0), 0.0
    if value in _NAMED:
        return _NAMED[value], 1.0
    if match := _CSS_HEX.fullmatch(value):
        digits = match[1] if len(match[1]) > 4 else "".join(c * 2 for c in match[1])
        return _of_hex(digits[:6]), int(digits[6:] or "ff", 16) / 255
    if match := _CSS_CALL.fullmatch(value):
        return _called(match[1], match[2])
    return None, 1.0


def _called(name: str, arguments: str) -> tuple[Colour | None, float]:
    parts = [(float(number), unit) for number, unit in _CSS_NUMBER.findall(arguments[:100])]
    if not 3 <= len(parts) <= 4:
        return None, 1.0
    alpha = 1.0
    if len(parts) == 4:
        alpha = min(max(parts[3][0] / (100 if parts[3][1] else 1), 0.0), 1.0)
    if name == "hsl":
        hue, saturation, light = (number for number, _ in parts[:3])
        red, green, blue = colorsys.hls_to_rgb(hue % 360 / 360, min(light, 100) / 100, min(saturation, 100) / 100)
        return (round(red * 255), round(green * 255), round(blue * 255)), alpha
    r, g, b = (min(max(round(number * 2.55 if unit else number), 0), 255) for number, unit in parts[:3])
    return (r, g, b), alpha


def _of_hex(digits: str) -> Colour:
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
