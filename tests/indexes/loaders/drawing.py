"""Draws the PDFs that the tests of the PDF loader read: text at given places, pictures, bookmarks, turned pages."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexes.documents import LoadedDocument
from indexes.loaders.limits import LoadLimits
from indexes.loaders.pdf.document import load_pdf


@dataclass(frozen=True)
class Drawn:
    """A string with the place of its first letter, in points from the page's lower left corner."""

    x: float
    y: float
    text: str
    size: float = 10.0
    font: str = "Helvetica"


@dataclass(frozen=True)
class Picture:
    """A picture of noise over a part of the page, in points."""

    left: float = 0.0
    bottom: float = 0.0
    width: float = 595.0
    height: float = 842.0


def drawn(
    pages: Sequence[Sequence[Drawn | Picture]],
    title: str = "",
    bookmarks: Sequence[tuple[int, str, int]] = (),
    turn: int = 0,
) -> bytes:
    """A PDF of A4 pages. Bookmarks are (page from 0, title, level from 0); `turn` is degrees clockwise."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    raw = io.BytesIO()
    canvas = Canvas(raw, invariant=1)
    canvas.setTitle(title)
    for number, things in enumerate(pages):
        canvas.setPageRotation(turn)
        for page, name, level in bookmarks:
            if page == number:
                canvas.bookmarkPage(name)
                canvas.addOutlineEntry(name, name, level)
        for thing in things:
            if isinstance(thing, Picture):
                picture = ImageReader(Image.new("RGB", (16, 16), "grey"))
                canvas.drawImage(picture, thing.left, thing.bottom, thing.width, thing.height)
                continue
            canvas.setFont(thing.font, thing.size)
            canvas.drawString(thing.x, thing.y, thing.text)
        canvas.showPage()
    canvas.save()
    return raw.getvalue()


def right(x: float, y: float, text: str, size: float = 10.0, font: str = "Helvetica") -> Drawn:
    """Text that ends at `x`, as numbers in a column do."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return Drawn(x - stringWidth(text, font, size), y, text, size, font)


def loaded(tmp_path: Path, content: bytes, limits: LoadLimits | None = None) -> LoadedDocument:
    """The document that the loader makes of these bytes."""
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    return load_pdf(path, limits or LoadLimits())


def plain(content: bytes) -> str:
    """The text that PDFium gives, pages one after the other."""
    import pypdfium2

    source = pypdfium2.PdfDocument(content)
    texts = [page.get_textpage().get_text_range() for page in source]
    source.close()
    return "\n".join(texts)
