"""PDF files: the text of each page in reading order and headings by the size of their letters, by pypdfium2."""

import re
from collections import Counter
from ctypes import byref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..documents import Heading, LoadedDocument
from ..errors import LoadError
from .parts import DocumentBuilder, clean_line, squeeze

_SOFT_HYPHEN = re.compile("[\x02\ufffe]")  # how PDFium marks a hyphen at the end of a line, which it joins
_HEADING_RATIO = 1.08  # letters this much taller than the body's
_HEADING_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page with the height of its first letter in points, rounded to a tenth."""

    text: str
    height: float


def load_pdf(path: Path) -> LoadedDocument:
    """The text page by page. Raises LoadError for an encrypted, truncated or damaged file."""
    import pypdfium2

    try:
        source = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        reason = str(error)
        if "assword" in reason:
            raise LoadError("is encrypted; save a copy without a password") from error
        raise LoadError(f"is truncated or damaged ({squeeze(reason)})") from error
    try:
        if len(source) == 0:
            raise LoadError("has no pages")
        pages = [_lines(source, number) for number in range(len(source))]
        title = squeeze(source.get_metadata_dict().get("Title", ""))
    except pypdfium2.PdfiumError as error:
        raise LoadError(f"is truncated or damaged ({squeeze(str(error))})") from error
    finally:
        source.close()
    if not any(line.text for lines in pages for line in lines):
        raise LoadError(f"has no text on its {len(pages)} pages (scanned pages need OCR first)")
    return _assemble(pages, title)


def _lines(source: Any, number: int) -> list[_Line]:
    """The lines of a page in reading order, words that were hyphenated at a line's end joined."""
    page = source[number]
    try:
        text_page = page.get_textpage()
        try:
            raw = text_page.get_text_range()
            lines, offset = [], 0
            for part in raw.split("\n"):
                lines.append(_Line(clean_line(_SOFT_HYPHEN.sub("", part)), _letter_height(text_page, part, offset)))
                offset += len(part) + 1
        finally:
            text_page.close()
    finally:
        page.close()
    return lines


def _letter_height(text_page: Any, line: str, offset: int) -> float:
    """Height in points of the font's box at the line's first visible character; 0.0 where there is none."""
    import pypdfium2.raw as pdfium

    indent = len(line) - len(line.lstrip())
    if indent == len(line):
        return 0.0
    box = pdfium.FS_RECTF()
    if not pdfium.FPDFText_GetLooseCharBox(text_page, offset + indent, byref(box)):
        return 0.0
    return round(abs(float(box.top) - float(box.bottom)), 1)


def _is_heading(line: _Line, levels: dict[float, int]) -> bool:
    return line.height in levels and len(line.text) <= _HEADING_CHARACTERS and any(c.isalpha() for c in line.text)


def _assemble(pages: list[list[_Line]], title: str) -> LoadedDocument:
    """Pages as text; lines in letters clearly taller than most of the text become headings."""
    weights: Counter[float] = Counter()
    for line in (line for lines in pages for line in lines if line.height):
        weights[line.height] += len(line.text)
    body = weights.most_common(1)[0][0] if weights else 0.0
    tall = sorted({h for h in weights if h >= body * _HEADING_RATIO}, reverse=True) if body else []
    levels = {height: min(rank, 6) for rank, height in enumerate(tall, 1)}
    builder = DocumentBuilder()
    headings = builder.headings
    offset = 0
    for number, lines in enumerate(pages, 1):
        parts: list[str] = []
        above = 0.0  # height of the heading line just before, if it was one
        for line in lines:
            height = line.height if _is_heading(line, levels) else 0.0
            if height and height == above:
                last = headings.pop()
                headings.append(Heading(last.level, f"{last.title} {line.text}", last.start))
            elif height:
                if parts and parts[-1] != "\n":
                    parts.append("\n")  # a blank line, so that a heading opens a paragraph
                headings.append(Heading(levels[height], line.text, offset + sum(map(len, parts))))
            if parts or line.text:  # a page begins with its first line
                parts.append(line.text + "\n")
            above = height
        text = "".join(parts).strip("\n")
        builder.page(number, text)
        offset = builder.pages[-1].end
    return builder.build("pdf", title)
