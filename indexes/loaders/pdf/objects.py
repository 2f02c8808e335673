"""The objects of a PDF page in the order of drawing: texts, and areas that may stand behind or cover them."""

from collections.abc import Iterator
from ctypes import byref, c_float, c_int, c_uint, c_ulong, c_ushort, c_void_p, cast
from dataclasses import dataclass
from typing import Any, NamedTuple

FAINT = 13  # of 255: a colour with less alpha is not seen
LOW_POINTS = 2.0  # a lower text object is asked for its size
TEXT = 1  # PDFium's number for the kind of object
_PATH, _IMAGE, _SHADING, _FORM = 2, 3, 4, 5
_TINY_POINTS = 1.0  # letters of this size or less cannot be read
_MAX_DEPTH = 6  # of forms inside forms
_MAX_OBJECTS = 50_000  # of one page
_MAX_MARKS = 16  # of one object
_MAX_AREAS = 2_000  # of one page
_THIN_POINTS = 3.0  # a rule covers no text
_COVER = 0.9  # of a text's box that an area must cover
_CONTRAST = 24  # of 255, between the lightest and darkest point around a text that can be read
_LEAST_POINTS, _ANYWHERE = 36.0, 1e9  # of a page's longer side, and of one whose boxes say nothing
_LONGEST = 2_000  # pixels of a drawing's side

Colour = tuple[int, int, int]


class Box(NamedTuple):
    """A rectangle of a page, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def holds(self, other: "Box") -> bool:
        """Whether most of the other lies inside."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        area = (other.right - other.left) * (other.top - other.bottom)
        return width > 0 and height > 0 and width * height >= _COVER * area


@dataclass(frozen=True, slots=True)
class Area:
    """What fills a part of the page; `colour` None: a picture, a shading or a pattern. `place`: in drawing order."""

    place: int
    box: Box
    colour: Colour | None
    opaque: bool


@dataclass(frozen=True, slots=True)
class TextObject:
    """A text object: its address, place in drawing order, box, render mode, colour, and how much of it is seen."""

    address: int
    place: int
    box: Box
    mode: int
    colour: Colour | None
    alpha: int
    tiny: bool
    doubtful: bool  # on a layer, or inside a clipping path that does not hold it


def page_box(page: Any) -> Box:
    """What may be seen of a page, as a square: a turned page's text lies in it by either of its sides."""
    left, bottom, right, top = page.get_bbox()
    low, high = min(left, bottom), max(right, top)
    if high - low < _LEAST_POINTS:  # no page; what draws it takes another size
        return Box(-_ANYWHERE, -_ANYWHERE, _ANYWHERE, _ANYWHERE)
    return Box(low, low, high, high)


class PageObjects:
    """All objects of a page in the order of drawing, those of forms in the place of the form."""

    def __init__(self, page: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium = pdfium
        self.texts: list[TextObject] = []
        self.areas: list[Area] = []
        self.crop = page_box(page)
        self._layers: set[int] = set()
        self._place = 0
        self._edges = [c_float() for _ in range(4)]
        self._edge_refs = [byref(edge) for edge in self._edges]
        self._colour = [c_uint() for _ in range(4)]
        self._colour_refs = [byref(part) for part in self._colour]
        handle = page.raw
        count = min(pdfium.FPDFPage_CountObjects(handle), _MAX_OBJECTS)
        get = pdfium.FPDFPage_GetObject
        self._take((get(handle, index) for index in range(count)), (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), 0)

    def layered(self, address: int) -> bool:
        """Whether a text object stands on an optional layer."""
        return address in self._layers

    def _take(self, objects: Iterator[Any], matrix: tuple[float, ...], depth: int) -> None:
        pdfium = self._pdfium
        for item in objects:
            self._place += 1
            if self._place > _MAX_OBJECTS:
                return
            kind = pdfium.FPDFPageObj_GetType(item)
            if kind == _FORM and depth < _MAX_DEPTH:
                count = min(max(pdfium.FPDFFormObj_CountObjects(item), 0), _MAX_OBJECTS)
                inner = (pdfium.FPDFFormObj_GetObject(item, index) for index in range(count))
                self._take(inner, _product(self._matrix(item), matrix), depth + 1)
            elif (box := self._box(item, matrix)) is None:
                continue
            elif kind == TEXT:
                self.texts.append(self._text(item, box, matrix))
            elif len(self.areas) < _MAX_AREAS and min(box.right - box.left, box.top - box.bottom) >= _THIN_POINTS:
                self._fill(item, kind, box)

    def _text(self, item: Any, box: Box, matrix: tuple[float, ...]) -> TextObject:
        pdfium = self._pdfium
        mode = pdfium.FPDFTextObj_GetTextRenderMode(item)
        colour, alpha = self._fill_colour(item)
        address = address_of(item)
        layered = is_on_layer(item)
        if layered:
            self._layers.add(address)
        low = box.top - box.bottom < LOW_POINTS or box.right - box.left < LOW_POINTS
        return TextObject(
            address,
            self._place,
            box,
            mode,
            colour,
            alpha,
            low and self._is_tiny(item, matrix),
            layered or self._cut(item, box, matrix),
        )

    def _is_tiny(self, item: Any, matrix: tuple[float, ...]) -> bool:
        size = c_float()
        if not self._pdfium.FPDFTextObj_GetFontSize(item, byref(size)):
            return False
        a, b, c, d, _, _ = _product(self._matrix(item), matrix)
        across, up = (a * a + b * b) ** 0.5, (c * c + d * d) ** 0.5
        return bool(abs(size.value) * min(across, up) <= _TINY_POINTS)

    def _cut(self, item: Any, box: Box, matrix: tuple[float, ...]) -> bool:
        """Whether a clipping path, by its bounds, leaves out most of a box."""
        pdfium = self._pdfium
        clip = pdfium.FPDFPageObj_GetClipPath(item)
        if not clip:
            return False
        for path in range(min(pdfium.FPDFClipPath_CountPaths(clip), 4)):
            count = pdfium.FPDFClipPath_CountPathSegments(clip, path)
            if not 0 < count <= 8:
                continue
            points = [self._point(pdfium.FPDFClipPath_GetPathSegment(clip, path, n), matrix) for n in range(count)]
            across, up = [x for x, _ in points], [y for _, y in points]
            if not Box(min(across) - 1, min(up) - 1, max(across) + 1, max(up) + 1).holds(box):
                return True
        return False

    def _point(self, segment: Any, matrix: tuple[float, ...]) -> tuple[float, float]:
        x, y = self._edges[0], self._edges[1]
        self._pdfium.FPDFPathSegment_GetPoint(segment, self._edge_refs[0], self._edge_refs[1])
        a, b, c, d, e, f = matrix
        return a * x.value + c * y.value + e, b * x.value + d * y.value + f

    def _fill(self, item: Any, kind: int, box: Box) -> None:
        pdfium = self._pdfium
        if kind in (_IMAGE, _SHADING):
            self.areas.append(Area(self._place, box, None, True))
            return
        mode, stroked = c_int(), c_int()
        if not pdfium.FPDFPath_GetDrawMode(item, byref(mode), byref(stroked)) or not mode.value:
            if stroked.value:  # a thick line may be what stands behind a heading
                width = c_float()
                pdfium.FPDFPageObj_GetStrokeWidth(item, byref(width))
                if width.value * 2 >= min(box.right - box.left, box.top - box.bottom):
                    self.areas.append(Area(self._place, box, None, False))
            return
        colour, alpha = self._fill_colour(item)
        solid = (
            alpha == 255 and not pdfium.FPDFPageObj_HasTransparency(item) and pdfium.FPDFPath_CountSegments(item) <= 6
        )
        if alpha >= FAINT:
            self.areas.append(Area(self._place, box, colour, solid and colour is not None))

    def _fill_colour(self, item: Any) -> tuple[Colour | None, int]:
        if not self._pdfium.FPDFPageObj_GetFillColor(item, *self._colour_refs):
            return None, 255
        red, green, blue, alpha = (part.value for part in self._colour)
        return (red, green, blue), alpha

    def _box(self, item: Any, matrix: tuple[float, ...]) -> Box | None:
        if not self._pdfium.FPDFPageObj_GetBounds(item, *self._edge_refs):
            return None
        left, bottom, right, top = (edge.value for edge in self._edges)
        a, b, c, d, e, f = matrix
        if (a, b, c, d, e, f) == (1.0, 0.0, 0.0, 1.0, 0.0, 0.0):
            return Box(left, bottom, right, top)
        corners = [(a * x + c * y + e, b * x + d * y + f) for x in (left, right) for y in (bottom, top)]
        across, up = [x for x, _ in corners], [y for _, y in corners]
        return Box(min(across), min(up), max(across), max(up))

    def _matrix(self, item: Any) -> tuple[float, ...]:
        found = self._pdfium.FS_MATRIX()
        if not self._pdfium.FPDFPageObj_GetMatrix(item, byref(found)):
            return 1.0, 0.0, 0.0, 1.0, 0.0, 0.0
        return found.a, found.b, found.c, found.d, found.e, found.f


class Drawing:
    """The page as it is seen, in grey, a pixel a point where it is not too large."""

    def __init__(self, page: Any) -> None:
        width, height = page.get_size()
        self._scale = min(2.0, _LONGEST / max(width, height, 1.0))
        self._bitmap = page.render(scale=self._scale, grayscale=True)
        self._pixels = self._bitmap.to_numpy()
        self._page = page

    def shows(self, box: Box) -> bool:
        """Whether there is anything but one shade inside a box."""
        import pypdfium2.raw as pdfium

        height, width = self._pixels.shape[:2]
        corners = []
        for x, y in ((box.left, box.bottom), (box.right, box.top)):
            across, down = c_int(), c_int()
            pdfium.FPDF_PageToDevice(self._page.raw, 0, 0, width, height, 0, x, y, byref(across), byref(down))
            corners.append((across.value, down.value))
        (x1, y1), (x2, y2) = corners
        left, right = sorted((max(min(x1, width), 0), max(min(x2, width), 0)))
        upper, lower = sorted((max(min(y1, height), 0), max(min(y2, height), 0)))
        inside = self._pixels[upper : lower + 1, left : right + 1]
        return bool(inside.size) and int(inside.max()) - int(inside.min()) >= _CONTRAST


def is_on_layer(item: Any) -> bool:
    """Whether an object stands on an optional layer, shown or not."""
    import pypdfium2.raw as pdfium

    length = pdfium.FPDFPageObj_CountMarks(item)
    if length <= 0:
        return False
    name, written = (c_ushort * 16)(), c_ulong()
    for index in range(min(length, _MAX_MARKS)):
        mark = pdfium.FPDFPageObj_GetMark(item, index)
        if pdfium.FPDFPageObjMark_GetName(mark, name, 32, byref(written)) and bytes(name)[:6] == b"O\0C\0\0\0":
            return True
    return False


def address_of(item: Any) -> int:
    return cast(item, c_void_p).value or 0


def _product(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    """The matrix that does the first and then the second."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)
