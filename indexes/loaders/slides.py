"""PPTX files: a page a slide, with its title as heading, its text, tables, charts and notes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..documents import LoadedDocument
from ..errors import LoadError
from .containers import Container, parse_xml, reading_package
from .hidden.reasons import SLIDE
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze
from .slides_hidden import A as _DRAWING
from .slides_hidden import Slide, slide_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_RUN, _FIELD, _BREAK = (_DRAWING + tag for tag in ("r", "fld", "br"))
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_FURNITURE = ("DATE", "FOOTER", "SLIDE_NUMBER", "HEADER")  # placeholders that every slide repeats


def load_pptx(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The slides in their order, numbered from 1; hidden ones, and what of others is not seen, are kept apart."""
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
            if slide.element.get("show") in ("0", "false"):
                _hide(SLIDE, builder, partial(_slide, slide, slide_of(slide, deck)))
            else:
                _slide(slide, slide_of(slide, deck), builder)
        builder.close_page()
        title = squeeze(deck.core_properties.title or "")
    return builder.build("pptx", "" if title == "PowerPoint Presentation" else title)


def _hide(reason: str, builder: DocumentBuilder, read: Callable[[DocumentBuilder], None]) -> None:
    """Hides all that would be read, and what of it is hidden for a reason of its own."""
    own = DocumentBuilder()
    read(own)
    document = own.build("pptx", "")
    builder.hide(reason, document.text)
    for item in document.hidden:
        builder.hide(reason, item.text)


def _slide(slide: Any, seen: Slide, builder: DocumentBuilder) -> None:
    title = slide.shapes.title
    if title is not None:
        if reason := seen.shape(title):
            builder.hide(reason, title.text_frame.text)
        else:
            builder.heading(1, "\n".join(_lines(title.text_frame, title, seen, builder)))
    for shape in _flat(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if reason := seen.shape(shape):
            _hide(reason, builder, partial(_shape, shape, seen))
        else:
            _shape(shape, seen, builder)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        notes = squeeze(frame.text)
        builder.block(f"Notes: {notes}" if notes else "")


def _lines(
    frame: Any, shape: Any, seen: Slide, builder: DocumentBuilder, cell: "_Element | None" = None
) -> Iterator[str]:
    """The paragraphs of a text as they are seen; what is not is hidden."""
    for paragraph in frame.paragraphs:
        hidden = [(run, reason) for run in paragraph._p.iter(_RUN, _FIELD) if (reason := seen.run(run, shape, cell))]
        if not hidden:
            yield paragraph.text
            continue
        unseen = {run for run, _ in hidden}
        for reason, some in groupby(hidden, lambda pair: pair[1]):
            builder.hide(reason, "".join(_text(run) for run, _ in some))
        nodes = paragraph._p.iter(_RUN, _FIELD, _BREAK)
        yield "".join("\v" if node.tag == _BREAK else _text(node) for node in nodes if node not in unseen)


def _text(run: "_Element") -> str:
    return "".join(node.text or "" for node in run.iter(_DRAWING + "t"))


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


def _shape(shape: Any, seen: Slide, builder: DocumentBuilder) -> None:
    if shape.is_placeholder and shape.placeholder_format.type.name in _FURNITURE:
        return
    if shape.has_text_frame:
        _paragraphs(shape, seen, builder)
    elif getattr(shape, "has_table", False):
        builder.table([[_cell(cell, shape, seen, builder) for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        _chart(shape.chart, builder)
    else:
        _diagram(shape, builder)


def _cell(cell: Any, shape: Any, seen: Slide, builder: DocumentBuilder) -> str:
    return squeeze("\n".join(_lines(cell.text_frame, shape, seen, builder, cell._tc)))


def _paragraphs(shape: Any, seen: Slide, builder: DocumentBuilder) -> None:
    listed = shape.is_placeholder and shape.placeholder_format.type.name in ("OBJECT", "BODY")
    lines = [squeeze(line) for line in _lines(shape.text_frame, shape, seen, builder)]
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
