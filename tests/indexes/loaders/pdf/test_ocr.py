"""OCR of scanned pages: what is drawn as a picture comes back as rows; limits of pixels; the extra that is missing."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import LoadError
from indexes.loaders.limits import LoadLimits
from indexes.loaders.pdf import ocr
from tests.indexes.loaders.drawing import Drawn, Picture, drawn, loaded, right


def scan(content: bytes) -> bytes:
    """The first page of a PDF as a picture on a page."""
    import pypdfium2
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    source = pypdfium2.PdfDocument(content)
    picture = source[0].render(scale=100 / 72).to_pil()
    width, height = source[0].get_size()
    source.close()
    raw = io.BytesIO()
    canvas = Canvas(raw, pagesize=(width, height), invariant=1)
    canvas.drawImage(ImageReader(picture), 0, 0, width, height)
    canvas.showPage()
    canvas.setFont("Helvetica", 12)
    canvas.drawString(72, 700, "A page of letters.")
    canvas.showPage()
    canvas.save()
    return raw.getvalue()


def test_a_scanned_table_is_read_as_rows_and_noted(tmp_path: Path) -> None:
    things = [Drawn(72, 740, "Balance sheet of the company", 14)]
    for y, label, value in ((700, "Cash", "3,655"), (680, "Inventories", "5,372"), (660, "Total assets", "46,455")):
        things += [Drawn(72, y, label, 12), right(400, y, value, 12)]
    document = loaded(tmp_path, scan(drawn([things])), LoadLimits(ocr=True))
    assert document.text.split("\n\n")[0] == "Balance sheet of the company"
    assert "| Cash | 3,655 |\n| Inventories | 5,372 |\n| Total assets | 46,455 |" in document.text
    assert document.text.endswith("A page of letters.\n")
    assert document.notes == ("page 1 scanned, read by OCR",)


def test_a_picture_without_text_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^has only scanned pages \(1\), and OCR found no text on them$"):
        loaded(tmp_path, drawn([[Picture()]]), LoadLimits(ocr=True))


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    ocr._engine.cache_clear()
    with pytest.raises(LoadError, match="OCR is not installed") as caught:
        loaded(tmp_path, drawn([[Picture()]]), LoadLimits(ocr=True))
    assert "fathom-rag[ocr]" in caught.value.hint


@pytest.mark.parametrize(
    ("width", "height"), [(595.0, 842.0), (14_400.0, 14_400.0), (1e9, 1e9), (1e7, 1.0), (0.01, 0.01), (1.0, 1e8)]
)
def test_a_page_of_any_size_is_rendered_within_the_limit_or_not_at_all(width: float, height: float) -> None:
    scale = ocr._scale(width, height)
    assert width * height * scale**2 <= ocr.MAX_PIXELS * 1.001
    assert scale * max(width, height) <= 10_000 * 1.001


@pytest.mark.parametrize(("width", "height"), [(0.0, 100.0), (float("nan"), 1.0), (float("inf"), 1.0), (-5.0, 5.0)])
def test_a_page_without_an_area_is_not_rendered(width: float, height: float) -> None:
    assert ocr._scale(width, height) == 0.0


def test_letters_of_one_size_have_one_height_whatever_their_boxes() -> None:
    def box(top: float, height: float) -> list[list[float]]:
        return [[0, top], [50, top], [50, top + height], [0, top + height]]

    boxes: Any = [box(100, 20), box(0, 40), box(130, 23), box(160, 19)]
    lines = ocr._lines(boxes, ("ace", "Tall", "gap", "no"), 2.0)
    # Heights in points are 10, 20, 11.5 and 9.5, their median 10.75; only 20 is over 1.4 times that.
    assert [(line.text, line.height) for line in lines] == [
        ("Tall", 20.0),
        ("ace", 10.75),
        ("gap", 10.75),
        ("no", 10.75),
    ]


def test_an_image_of_too_many_pixels_is_told_before_it_is_unpacked() -> None:
    import pypdfium2

    source = pypdfium2.PdfDocument(drawn([[Picture()]]))
    assert ocr._largest_image(source[0]) == 16 * 16
    source.close()
