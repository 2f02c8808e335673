"""Values of CSS as a browser takes them: escapes undone, logical names as physical ones, and no value that is none."""

import re
from collections.abc import Iterator

from .colours import css_colour

_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.I | re.S)
_WIDE = frozenset("inherit initial unset revert revert-layer".split())
_DISPLAYS = _WIDE | frozenset(
    "none block inline inline-block flow flow-root flex inline-flex grid inline-grid contents list-item run-in math "
    "table inline-table table-row table-cell table-row-group table-header-group table-footer-group table-column "
    "table-column-group table-caption ruby ruby-base ruby-text ruby-base-container ruby-text-container -webkit-box "
    "-webkit-inline-box -webkit-flex -webkit-inline-flex -ms-flexbox -ms-grid".split()
)
_WORDS = {
    "display": _DISPLAYS,
    "visibility": _WIDE | {"visible", "hidden", "collapse"},
    "position": _WIDE | {"static", "relative", "absolute", "fixed", "sticky", "-webkit-sticky"},
    "content-visibility": _WIDE | {"visible", "hidden", "auto"},
    "float": _WIDE | {"none", "left", "right", "inline-start", "inline-end"},
}
_SIZES = "xx-small x-small small medium large x-large xx-large xxx-large smaller larger math".split()
_LENGTH_WORDS = _WIDE | frozenset("auto none min-content max-content fit-content stretch".split()) | frozenset(_SIZES)
_LENGTHS = frozenset(
    "opacity font-size left right top bottom text-indent margin-left margin-top height max-height width "
    "max-width".split()
)
_LENGTH = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?:%|[a-z]{1,5})|[+-]?0*\.?0+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?%?")
_LENGTH_CALL = re.compile(r"(?:calc|var|env|min|max|clamp|fit-content|anchor|attr|calc-size|round)\(.*\)")
_COLOUR_CALL = re.compile(r"(?:hwb|lab|lch|oklab|oklch|color|color-mix|light-dark|var|attr|device-cmyk)\(.*\)")
_OPEN_COLOUR = re.compile(r"(?:rgb|hsl)a?\(.*(?:var\(|calc\(|from |none).*\)")
_COLOUR_WORDS = _WIDE | frozenset(
    "currentcolor canvas canvastext linktext visitedtext activetext buttonface buttontext buttonborder field "
    "fieldtext highlight highlighttext mark marktext graytext accentcolor accentcolortext selecteditem "
    "selecteditemtext window windowtext menu menutext infobackground infotext aliceblue antiquewhite aqua "
    "aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood cadetblue chartreuse "
    "chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod darkgray darkgreen "
    "darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen "
    "darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray dimgrey "
    "dodgerblue firebrick floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray green "
    "greenyellow grey honeydew hotpink indianred indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon "
    "lightblue lightcoral lightcyan lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon "
    "lightseagreen lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime limegreen linen "
    "magenta maroon mediumaquamarine mediumblue mediumorchid mediumpurple mediumseagreen mediumslateblue "
    "mediumspringgreen mediumturquoise mediumvioletred midnightblue mintcream mistyrose moccasin navajowhite navy "
    "oldlace olive olivedrab orange orangered orchid palegoldenrod palegreen paleturquoise palevioletred "
    "papayawhip peachpuff peru pink plum powderblue purple rebeccapurple red rosybrown royalblue saddlebrown "
    "salmon sandybrown seagreen seashell sienna silver skyblue slateblue slategray slategrey snow springgreen "
    "steelblue tan teal thistle tomato turquoise violet wheat white whitesmoke yellow yellowgreen".split()
)
_COLOURS = frozenset(("color", "background-color", "-webkit-text-fill-color"))
_JUDGED = _WORDS.keys() | _LENGTHS | _COLOURS
_MAX_VALUE = 300  # characters of a value that is looked at
_PHYSICAL = {  # of text that runs from left to right
    "inset-inline-start": "left", "inset-inline-end": "right", "inset-block-start": "top", "inset-block-end": "bottom",
    "margin-inline-start": "margin-left", "margin-block-start": "margin-top", "block-size": "height",
    "max-block-size": "max-height", "inline-size": "width", "max-inline-size": "max-width",
}  # fmt: skip
_SIDES = {
    "inset": ("top", "right", "bottom", "left"),
    "inset-inline": ("left", "right"),
    "inset-block": ("top", "bottom"),
}
_STARTS = {"margin-inline": "margin-left", "margin-block": "margin-top"}


def unescaped(text: str) -> str:
    r"""A name or value without escapes: `d\69splay` is `display`."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else 0
    return match[2] or (chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd")


def physical(name: str, value: str) -> Iterator[tuple[str, str]]:
    """A declaration by the names of the sides that it means, four for `inset`."""
    if name in _SIDES:
        values = value.split()
        for place, side in enumerate(_SIDES[name] if values else ()):
            opposite = max(place - 2, 0) if len(values) > 1 else 0
            yield side, values[place if place < len(values) else opposite]
    elif name in _STARTS:
        yield _STARTS[name], value.partition(" ")[0]
    else:
        yield _PHYSICAL.get(name, name), value


def is_valid(name: str, value: str) -> bool:
    """Whether a browser takes a value, in lower case, for a property; False where it keeps an earlier one."""
    if len(value) > _MAX_VALUE and name in _JUDGED:
        return False
    if "var(" in value:
        return True
    if name in _WORDS:
        return _WORDS[name].issuperset(value.split())
    if name in _LENGTHS:
        pattern = _NUMBER if name == "opacity" else _LENGTH
        return value in _LENGTH_WORDS or bool(pattern.fullmatch(value) or _LENGTH_CALL.fullmatch(value))
    if name in _COLOURS:
        if value in _COLOUR_WORDS or css_colour(value)[0] is not None:
            return True
        return bool(_COLOUR_CALL.fullmatch(value) or _OPEN_COLOUR.fullmatch(value))
    return True


def is_bare_number(value: str) -> bool:
    """Whether it is a length without its unit, which only pages of old take."""
    return _NUMBER.fullmatch(value) is not None
