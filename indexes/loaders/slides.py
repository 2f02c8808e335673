"""PPTX files: a page a slide, with its title as heading, its text, tables, charts and notes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..documents import LoadedDocument
from ..errors import LoadError
from .containers import Container, parse_xml, reading_package
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze

_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_FURNITURE = ("DATE", "FOOTER", "SLIDE_NUMBER", "HEADER")  # placeholders that every slide repeats


def load_pptx(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The slides in their order, numbered from 1; a hidden one is read too and says so."""
    import pptx

    with Container(path, limits) as container:
        container.check()
        kinds = container.read("[Content_Types].xml")
    if b"presentationml.presentation.main+xml" not in kinds:
        raise LoadError("is a PowerPoint show, a template or holds macros; save it as a plain .pptx")
    builder = DocumentBuilder(limits)
    with reading_package():
        deck = pptx.Presentation(str(path))
        for number, slide in enumerate(deck.slides, 1):
            if number > limits.max_pages:
                raise LoadError(f"has over {limits.max_pages:,} slides, the limit; split it")
            builder.open_page(number)
            _slide(slide, builder)
        builder.close_page()
        title = squeeze(deck.core_properties.title or "")
    return builder.build("pptx", "" if title == "PowerPoint Presentation" else title)


def _slide(slide: Any, builder: DocumentBuilder) -> None:
    title = slide.shapes.title
    if title is not None:
        builder.heading(1, title.text_frame.text)
    if slide.element.get("show") == "0":
        builder.block("(hidden slide)")
    for shape in _flat(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _shape(shape, builder)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        notes = squeeze(frame.text)
        builder.block(f"Notes: {notes}" if notes else "")


def _flat(shapes: Iterable[Any]) -> Iterator[Any]:
    """Shapes in their order, those of groups in the place of the group."""
    stack = [iter(shapes)]
    while stack:
        shape = next(stack[-1], None)
        if shape is None:
            stack.pop()
        elif shape.element.tag.endswith("}grpSp"):
            stack.append(iter(shape.shapes))
        else:
            yield shape


def _shape(shape: Any, builder: DocumentBuilder) -> None:
    if shape.is_placeholder and shape.placeholder_format.type.name in _FURNITURE:
        return
    if shape.has_text_frame:
        _paragraphs(shape, builder)
    elif getattr(shape, "has_table", False):
        builder.table([[squeeze(cell.text) for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        _chart(shape.chart, builder)
    else:
        _diagram(shape, builder)


def _paragraphs(shape: Any, builder: DocumentBuilder) -> None:
    listed = shape.is_placeholder and shape.placeholder_format.type.name in ("OBJECT", "BODY")
    lines = [squeeze(paragraph.text) for paragraph in shape.text_frame.paragraphs]
    lines = [line for line in lines if line]
    builder.block("\n".join(f"- {line}" if listed and len(lines) > 1 else line for line in lines))


def _chart(chart: Any, builder: DocumentBuilder) -> None:
    """The chart's title, and its series as a table of their categories."""
    if chart.has_title and chart.chart_title.has_text_frame:
        builder.block(squeeze(chart.chart_title.text_frame.text))
    for plot in chart.plots:
        categories = [str(category) for category in plot.categories]
        rows = [["", *categories]] if categories else []
        for series in plot.series:
            rows.append([series.name, *("" if value is None else f"{value:.15g}" for value in series.values)])
        builder.table(rows)


def _diagram(shape: Any, builder: DocumentBuilder) -> None:
    """The words of a SmartArt diagram, which stand in a part of their own."""
    for relation in shape.element.iter(_DIAGRAM):
        data = parse_xml(shape.part.related_part(relation.get(_DIAGRAM_DATA, "")).blob)
        for paragraph in data.iter(_DRAWING + "p"):
            line = squeeze("".join(text.text or "" for text in paragraph.iter(_DRAWING + "t")))
            builder.block(f"- {line}" if line else "")
