"""Scanned pages → lines of text with their places, by RapidOCR, whose wheel holds its models (the extra `ocr`)."""

import math
from ctypes import byref, c_uint
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from ...errors import LoadError
from .page import Line, PageText

DOTS_PER_INCH = 200
MAX_PIXELS = 6_000_000  # of a rendered page; larger pages are read at fewer dots per inch
MAX_IMAGE_PIXELS = 150_000_000  # of an image inside the page, which PDFium unpacks whole
_MAX_SIDE = 10_000
_MAX_OBJECTS = 2000
_TALL = 1.4  # of the usual box's height; smaller differences come from the letters, not from their size


def read_scan(source: Any, number: int, page: PageText) -> PageText:
    """The page, whose number counts from 0, with the lines that OCR finds; unchanged where there are none.

    Raises LoadError where the extra is not installed.
    """
    engine = _engine()
    handle = source[number]
    try:
        width, height = handle.get_size()
        scale = _scale(width, height)
        if not scale:
            return replace(page, error=f"a page of {width:.0f} × {height:.0f} points is not rendered")
        if (pixels := _largest_image(handle)) > MAX_IMAGE_PIXELS:
            return replace(page, error=f"an image of {pixels:,} pixels, over the limit of {MAX_IMAGE_PIXELS:,}")
        bitmap = handle.render(scale=scale)
        try:
            found = engine(bitmap.to_numpy())
        finally:
            bitmap.close()
    finally:
        handle.close()
    lines = _lines(found.boxes, found.txts, scale) if found.txts else ()
    return replace(page, lines=lines or page.lines, recognised=True)


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The models, loaded once a process. They are named by path, so that nothing is ever fetched."""
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None or find_spec("onnxruntime") is None:
        raise LoadError(
            "has scanned pages, and OCR is not installed", hint="install it with: pip install 'fathom-rag[ocr]'"
        )
    from rapidocr import RapidOCR

    folder = Path(spec.origin).parent / "models"
    models = {part: next(folder.glob(f"*_{part}_*.onnx"), None) for part in ("det", "rec", "cls")}
    if missing := [part for part, path in models.items() if path is None]:
        raise LoadError(f"has scanned pages, and OCR's models are missing in {folder}: {', '.join(missing)}")
    paths = {f"{part.title()}.model_path": str(path) for part, path in models.items()}
    return RapidOCR(params={"Global.log_level": "critical", **paths})


def _scale(width: float, height: float) -> float:
    """Pixels a point so that no page takes more than its share of memory; 0.0 for a page without an area."""
    if not (math.isfinite(width * height) and width > 0 and height > 0):
        return 0.0
    scale = min(DOTS_PER_INCH / 72, math.sqrt(MAX_PIXELS / (width * height)), _MAX_SIDE / max(width, height))
    return scale if min(width, height) * scale >= 1 else 0.0


def _largest_image(page: Any) -> int:
    """Pixels of the page's largest image."""
    import pypdfium2.raw as pdfium

    width, height = c_uint(), c_uint()
    largest = 0
    for index in range(min(pdfium.FPDFPage_CountObjects(page.raw), _MAX_OBJECTS)):
        part = pdfium.FPDFPage_GetObject(page.raw, index)
        if pdfium.FPDFPageObj_GetType(part) == pdfium.FPDF_PAGEOBJ_IMAGE:
            pdfium.FPDFImageObj_GetImagePixelSize(part, byref(width), byref(height))
            largest = max(largest, width.value * height.value)
    return largest


def _lines(boxes: Any, texts: tuple[str, ...], scale: float) -> tuple[Line, ...]:
    """Boxes of pixels with y growing downwards ([n, 4, 2]: corners) as lines, from top to bottom."""
    lines = []
    for corners, text in zip(boxes, texts, strict=True):
        xs, ys = [float(x) / scale for x, _ in corners], [-float(y) / scale for _, y in corners]
        height = round(max(ys) - min(ys), 1)
        lines.append(Line(" ".join(text.split()), min(xs), max(xs), min(ys), min(ys), height))
    lines = [line for line in lines if line.text]
    usual = median(line.height for line in lines) if lines else 0.0
    even = [line if line.height > _TALL * usual else replace(line, height=usual) for line in lines]
    return tuple(sorted(even, key=lambda line: (-line.bottom, line.left)))
