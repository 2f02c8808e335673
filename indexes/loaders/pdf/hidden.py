"""Text of a PDF page that its reader does not see: not painted, white, tiny, outside, covered, on a hidden layer.

A page of few objects is looked at object by object: what is drawn below and above each text decides. What a clipping
path or a layer hides is looked for in a drawing of the page. A page of a filing has thousands of objects, each of which
costs microseconds, so a page of more than _FEW_OBJECTS is probed at some of its words, and looked at object by object
where a probe looks hidden: what is covered or clipped on such a page is not found.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from ctypes import byref, c_uint
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..hidden.reasons import COVERED, INVISIBLE, LAYER, OFF_PAGE, SAME_COLOUR, TINY, WHITE
from ..parts import clean_line
from .objects import (
    FAINT,
    LOW_POINTS,
    Area,
    Box,
    Colour,
    Drawing,
    PageObjects,
    TextObject,
    address_of,
    is_on_layer,
    page_box,
)

_WHITE = 240  # of each of red, green and blue, from which a colour is white on white
_ALIKE = 16  # between two colours, up to which nobody tells them apart
_FEW_OBJECTS = 150  # of a page that is looked at object by object wherever it has areas
_EACH = 48  # characters of a line from one probe to the next
_PROBE = re.compile(rf"\S[^\r\n]{{0,{_EACH - 1}}}")
_BAND, _MAX_BANDS = 16.0, 2_000  # points, and of one area
_INVISIBLE_MODES = (3, 7)


@dataclass(frozen=True, slots=True)
class HiddenCharacters:
    """Reasons by the place of a character in a page's text, and whether text stands beneath pictures."""

    reasons: dict[int, str]
    beneath_pictures: bool

    def texts(self, raw: str) -> Iterator[tuple[str, str]]:
        """Reason and text of the hidden characters, those with one reason that follow one another together."""
        for reason, run in groupby(sorted(self.reasons), key=lambda place: self.reasons[place]):
            places = list(run)
            before = [places[0] - 1, *places[:-1]]
            signs = [raw[at] if at == last + 1 else f" {raw[at]}" for last, at in zip(before, places, strict=True)]
            yield reason, clean_line("".join(signs))


@dataclass(frozen=True, slots=True)
class HiddenObjects:
    """Reasons by the address of a text object, and whether text stands beneath pictures, as the OCR of a scan does."""

    reasons: dict[int, str]
    beneath_pictures: bool = False


def hidden_characters(page: Any, text_page: Any, raw: str, index_of: Callable[[int], int]) -> "HiddenCharacters":
    """Which of a page's characters its reader does not see; `index_of` gives PDFium's number of a place in `raw`."""
    import pypdfium2.raw as pdfium

    if pdfium.FPDFPage_CountObjects(page.raw) > _FEW_OBJECTS and not _suspicious(
        page, text_page, [index_of(place) for place in _probes(raw)]
    ):
        return HiddenCharacters({}, False)
    hidden = hidden_objects(page)
    found: dict[int, str] = {}
    if hidden.reasons:
        texts: defaultdict[int, list[int]] = defaultdict(list)
        for place, sign in enumerate(raw):
            if sign not in "\r\n" and (index := index_of(place)) >= 0:
                address = address_of(pdfium.FPDFText_GetTextObject(text_page.raw, index))
                if address in hidden.reasons:
                    texts[address].append(place)
        for address, some in texts.items():
            if any(raw[place].isalnum() for place in some):  # a mark without a word may be drawn beside its letter
                found |= dict.fromkeys(some, hidden.reasons[address])
    return HiddenCharacters(found, hidden.beneath_pictures)


def _probes(raw: str) -> list[int]:
    """Places of the first character of each line, and of one in every _EACH after it."""
    return [match.start() for match in _PROBE.finditer(raw)]


def _suspicious(page: Any, text_page: Any, indices: list[int]) -> bool:
    """Whether any of these characters looks as if it were not seen."""
    import pypdfium2.raw as pdfium

    crop = page_box(page)
    box, colour = pdfium.FS_RECTF(), [c_uint() for _ in range(4)]
    box_ref, colour_refs = byref(box), [byref(part) for part in colour]
    place, paint, item_of = pdfium.FPDFText_GetLooseCharBox, pdfium.FPDFText_GetFillColor, pdfium.FPDFText_GetTextObject
    mode_of, handle = pdfium.FPDFTextObj_GetTextRenderMode, text_page.raw
    for index in indices:
        if index < 0 or not place(handle, index, box_ref):
            continue
        if box.right <= crop.left or box.left >= crop.right or box.top <= crop.bottom or box.bottom >= crop.top:
            return True
        if box.top - box.bottom < LOW_POINTS:
            return True
        if paint(handle, index, *colour_refs):
            red, green, blue, alpha = (part.value for part in colour)
            if alpha < FAINT or min(red, green, blue) >= _WHITE:
                return True
        item = item_of(handle, index)
        if item and (mode_of(item) in _INVISIBLE_MODES or is_on_layer(item)):
            return True
    return False


def hidden_objects(page: Any) -> HiddenObjects:
    """The text objects of a page that its reader does not see."""
    walk = PageObjects(page)
    texts, areas = walk.texts, walk.areas
    pictures = [area for area in areas if area.colour is None]
    bands = _Bands(areas)
    reasons: dict[int, str] = {}
    beneath = False
    drawing: Drawing | None = None
    for text in texts:
        if text.mode in _INVISIBLE_MODES:
            if any(area.box.holds(text.box) for area in pictures):
                beneath = True
            else:
                reasons[text.address] = INVISIBLE
        elif reason := _why(text, bands, walk.crop):
            reasons[text.address] = reason
        elif text.doubtful:
            drawing = drawing or Drawing(page)
            if not drawing.shows(text.box):
                reasons[text.address] = LAYER if walk.layered(text.address) else OFF_PAGE
    return HiddenObjects(reasons, beneath)


def _why(text: TextObject, areas: "_Bands", crop: Box) -> str:
    """Why a text that is drawn is not seen; empty where it is."""
    box = text.box
    if box.right <= crop.left or box.left >= crop.right or box.top <= crop.bottom or box.bottom >= crop.top:
        return OFF_PAGE
    if text.tiny:
        return TINY
    if text.alpha < FAINT and text.mode == 0:
        return INVISIBLE
    near = areas.at(box)
    if any(area.place > text.place and area.opaque and area.colour and area.box.holds(box) for area in near):
        return COVERED
    if text.colour is None or text.mode != 0:  # a pattern, or letters with an outline
        return ""
    if min(text.colour) < _WHITE and not areas.has(text.colour):
        return ""
    below = next((area for area in reversed(near) if area.place < text.place and _touches(area.box, box)), None)
    if below is None:
        return WHITE if min(text.colour) >= _WHITE else ""
    if below.colour is None or not below.opaque or not below.box.holds(box):
        return ""
    alike = all(abs(a - b) <= _ALIKE for a, b in zip(text.colour, below.colour, strict=True))
    return (WHITE if min(text.colour) >= _WHITE else SAME_COLOUR) if alike else ""


class _Bands:
    """Areas by the bands of the page that they reach into, each in the order of drawing."""

    def __init__(self, areas: list[Area]) -> None:
        self._bands: defaultdict[int, list[Area]] = defaultdict(list)
        self._colours = {area.colour for area in areas if area.colour}
        for area in areas:
            for band in range(
                _band(area.box.bottom), min(_band(area.box.top), _band(area.box.bottom) + _MAX_BANDS) + 1
            ):
                self._bands[band].append(area)

    def at(self, box: Box) -> list[Area]:
        """Areas near the middle of a box."""
        return self._bands.get(_band((box.bottom + box.top) / 2), [])

    def has(self, colour: Colour) -> bool:
        """Whether an area has a colour, or one that nobody can tell from it."""
        red, green, blue = colour
        return any(
            abs(red - other[0]) <= _ALIKE and abs(green - other[1]) <= _ALIKE and abs(blue - other[2]) <= _ALIKE
            for other in self._colours
        )


def _band(height: float) -> int:
    return int(max(min(height, 1e6), -1e6) // _BAND)


def _touches(area: Box, text: Box) -> bool:
    return area.left < text.right and text.left < area.right and area.bottom < text.top and text.bottom < area.top
