"""PowerPoint files: a page a slide, with titles, tables, groups, charts and notes."""

import io
from pathlib import Path
from typing import Any

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import LoadLimits, load


def _deck(tmp_path: Path, deck: Any, limits: LoadLimits | None = None) -> LoadedDocument:
    raw = io.BytesIO()
    deck.save(raw)
    path = tmp_path / "a.pptx"
    path.write_bytes(raw.getvalue())
    return load(path, limits)


def _new() -> Any:
    import pptx

    deck = pptx.Presentation()
    deck.core_properties.title = "Results"
    return deck


def _slide(deck: Any, title: str, text: str = "") -> Any:
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = text
    return slide


def test_each_slide_is_a_page_under_its_title(tmp_path: Path) -> None:
    deck = _new()
    _slide(deck, "Revenue", "It rose.\nBy a third.")
    deck.slides.add_slide(deck.slide_layouts[6])  # blank
    _slide(deck, "Costs", "They fell.").notes_slide.notes_text_frame.text = "say\nwhy"
    document = _deck(tmp_path, deck)
    assert document.text == "# Revenue\n\n- It rose.\n- By a third.\n\n# Costs\n\nThey fell.\n\nNotes: say why\n"
    assert [document.text[page.start : page.end].strip()[:9] for page in document.pages] == [
        "# Revenue",
        "",
        "# Costs\n\n".strip() + "\n\n",
    ]
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert [page.end for page in document.pages][:-1] == [page.start for page in document.pages][1:]
    assert document.pages[-1].end == len(document.text)
    assert document.title == "Results"


def test_tables_groups_and_charts_are_text(tmp_path: Path) -> None:
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = _new()
    slide = _slide(deck, "Figures")
    box = (Inches(1), Inches(1), Inches(3), Inches(2))
    table = slide.shapes.add_table(2, 2, *box).table
    for row, texts in enumerate([["Year", "Net"], ["2025", "9"]]):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    inner = slide.shapes.add_group_shape().shapes.add_group_shape()
    inner.shapes.add_textbox(*box).text_frame.text = "in two groups"
    data = CategoryChartData()
    data.categories = ["Q1", "Q2"]
    data.add_series("Sales", (1.5, None))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *box, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Sales by quarter"
    assert _deck(tmp_path, deck).text == (
        "# Figures\n\n| Year | Net |\n| 2025 | 9 |\n\nin two groups\n\nSales by quarter\n\n|  | Q1 | Q2 |\n"
        "| Sales | 1.5 |  |\n"
    )


def test_a_hidden_slide_is_kept_apart_and_keeps_its_number(tmp_path: Path) -> None:
    deck = _new()
    slide = _slide(deck, "Spare", "x")
    slide.notes_slide.notes_text_frame.text = "say"
    slide.element.set("show", "0")
    _slide(deck, "Shown")
    document = _deck(tmp_path, deck)
    assert document.text == "# Shown\n"
    assert [(item.reason, item.text, item.page) for item in document.hidden] == [
        ("hidden slide", "# Spare x Notes: say", 1)
    ]
    assert document.notes == ("holds 20 characters that its reader does not see (hidden slide) on page 1: kept apart",)


def test_more_slides_than_the_limit_are_refused(tmp_path: Path) -> None:
    deck = _new()
    for _ in range(3):
        _slide(deck, "x")
    with pytest.raises(LoadError, match=r"^has over 2 slides, the limit; split it$"):
        _deck(tmp_path, deck, LoadLimits(max_pages=2))
