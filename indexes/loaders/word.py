"""DOCX files: paragraphs, headings, lists, tables, notes and text boxes in the order of the document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..documents import LoadedDocument
from ..errors import LoadError
from .containers import Container, parse_xml, reading_package
from .hidden.reasons import MARKED
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze
from .word_gone import field_codes, is_gone
from .word_hidden import Looks, looks_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_HEADING_STYLE = re.compile(r"^heading ([1-9])$", re.I)
_BODY_LEVEL = 9  # outline level of text that is no heading
_WRAPPERS = frozenset(_W + tag for tag in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"))
_SIGNS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}
_MAX_SPAN = 64  # columns that one cell may claim
_MAX_REPEATED = 100  # characters of a merged cell that is told again in the rows that it spans


def load_docx(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The text of a DOCX file. DOCX stores no page breaks that a reader may rely on, so pages stay empty.

    Headers and footers are left out; tracked insertions are text and deletions are not. Hidden text is kept apart.
    """
    import docx

    with Container(path, limits) as container:
        container.check()
        kinds = container.read("[Content_Types].xml")
    if b"wordprocessingml.document.main+xml" not in kinds:
        raise LoadError("is a Word template or holds macros; save it as a plain .docx")
    builder = DocumentBuilder(limits)
    with reading_package():
        source = docx.Document(str(path))
        reader = _Reader(builder, _levels(source), _lists(source), _notes(source), looks_of(source))
        reader.blocks(source.element.body)
        title = squeeze(source.core_properties.title or "")
    return builder.build("docx", title)


def _levels(source: Any) -> dict[str, int]:
    """Style id → heading level, by its name or its outline level, its own or that of a style it is based on."""
    levels: dict[str, int] = {}
    styles = {style.get(_W + "styleId", ""): style for style in source.styles.element.iter(_W + "style")}
    for name, style in styles.items():
        seen: set[str] = set()
        at: str = name
        while at in styles and at not in seen:  # styles may be based on each other in a circle
            seen.add(at)
            style = styles[at]
            title = _value(style, "name")
            if match := _HEADING_STYLE.match(title):
                levels[name] = int(match[1])
            elif title.lower() == "title":
                levels[name] = 1
            elif outline := _value(style, "pPr", "outlineLvl"):
                levels[name] = _outline(outline)
            if name in levels:
                break
            at = _value(style, "basedOn")
    return levels


def _lists(source: Any) -> frozenset[str]:
    """Ids of the styles of list items."""
    return frozenset(
        style.get(_W + "styleId", "")
        for style in source.styles.element.iter(_W + "style")
        if _value(style, "name").lower().startswith("list")
    )


def _notes(source: Any) -> dict[tuple[str, str], "_Element"]:
    """(kind, id) → footnote or endnote."""
    notes: dict[tuple[str, str], _Element] = {}
    for relation in source.part.rels.values():
        kind = relation.reltype.rsplit("/", 1)[-1]
        if kind in ("footnotes", "endnotes") and not relation.is_external:
            for note in parse_xml(relation.target_part.blob).iter(_W + "footnote", _W + "endnote"):
                if note.get(_W + "type", "normal") == "normal":
                    notes[kind.removesuffix("s"), note.get(_W + "id", "")] = note
    return notes


@cache
def _path(*steps: str) -> str:
    return "/".join(_W + step for step in steps)


def _value(node: "_Element", *path: str) -> str:
    found = node.find(_path(*path))
    return "" if found is None else str(found.get(_W + "val", ""))


def _outline(value: str) -> int:
    """Heading level of an outline level, which counts from 0; 0 for none."""
    return int(value) + 1 if value.isdecimal() and int(value) < _BODY_LEVEL else 0


@dataclass(slots=True)
class _Text:
    """A paragraph's own text, and what hangs on it: notes, and text boxes that are read after it.

    `hidden` and `boxes` name why their text is not seen; a box that is seen has "" there.
    """

    parts: list[str] = field(default_factory=list)
    hidden: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[tuple["_Element", str]] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    """Walks a story of blocks. Depth is bounded by the parser, which refuses XML of over 256 levels."""

    builder: DocumentBuilder
    levels: dict[str, int]
    lists: frozenset[str]
    notes: dict[tuple[str, str], "_Element"]
    looks: Looks

    def blocks(self, story: "_Element") -> None:
        """Appends the paragraphs and tables of a story."""
        for block in _blocks(story):
            if block.tag == _W + "p":
                self._paragraph(block)
            elif len(cells := list(block.iter(_W + "tc"))) == 1:  # a frame around text
                reason = self.looks.row(next(cells[0].iterancestors(_W + "tr")))
                self._box(cells[0], reason)
            else:
                self.builder.table(self._rows(block))

    def _paragraph(self, paragraph: "_Element") -> None:
        text = self._text(paragraph)
        line = squeeze("".join(text.parts))
        style = _value(paragraph, "pPr", "pStyle")
        own = _value(paragraph, "pPr", "outlineLvl")
        level = _outline(own) if own else self.levels.get(style, 0)
        listed = style in self.lists or paragraph.find(f"{_W}pPr/{_W}numPr") is not None
        if level:
            self.builder.heading(level, line)
        elif line:
            self.builder.block(f"- {line}" if listed else line)
        for box, reason in text.boxes:
            self._box(box, reason)
        for note in self._noted(text):
            self.builder.block(note)

    def _box(self, story: "_Element", reason: str) -> None:
        if reason:
            self.builder.hide(reason, _words(story))
        else:
            self.blocks(story)

    def _text(self, paragraph: "_Element") -> _Text:
        """The text of a paragraph that is seen; what is not is hidden."""
        text = _text(paragraph, self.looks)
        for reason, parts in groupby(text.hidden, lambda part: part[0]):
            self.builder.hide(reason, "".join(words for _, words in parts))
        return text

    def _noted(self, text: _Text) -> Iterator[str]:
        """The notes that hang on a paragraph; each is told once, where it is first referred to."""
        for kind, number in text.notes:
            note = self.notes.pop((kind, number), None)
            if note is not None and (told := self._told(note)):
                yield f"[{kind.capitalize()}: {told}]"

    def _told(self, story: "_Element") -> str:
        """A story on one line, tables and boxes inside it as their cells."""
        told: list[str] = []
        gone: set[_Element] = set()
        for paragraph in story.iter(_W + "p"):
            if not any(is_gone(above) or above in gone for above in paragraph.iterancestors()):
                row = next(paragraph.iterancestors(_W + "tr"), None)  # of a table inside this story
                if row is not None and (reason := self.looks.row(row)):
                    self.builder.hide(reason, _words(paragraph))
                    continue
                text = self._text(paragraph)
                for box, reason in text.boxes:
                    if reason:
                        self.builder.hide(reason, _words(box))
                        gone.add(box)
                told += [squeeze("".join(text.parts)), *self._noted(text)]
        return " ".join(filter(None, told))

    def _rows(self, table: "_Element") -> list[list[str]]:
        rows: list[list[str]] = []
        above: dict[int, str] = {}
        for row in _children(table, _W + "tr"):
            if row.find(f"{_W}trPr/{_W}del") is not None:
                continue
            if reason := self.looks.row(row):
                self.builder.hide(reason, _words(row))
                continue
            cells: list[str] = []
            for cell in _children(row, _W + "tc"):
                merge = cell.find(f"{_W}tcPr/{_W}vMerge")
                continues = merge is not None and merge.get(_W + "val", "continue") == "continue"
                text = above.get(len(cells), "") if continues else self._told(cell)
                above[len(cells)] = text if len(text) <= _MAX_REPEATED else ""
                span = _value(cell, "tcPr", "gridSpan")
                cells += [text, *[""] * (min(int(span), _MAX_SPAN) - 1 if span.isdecimal() else 0)]
            rows.append(cells)
        return rows


def _blocks(story: "_Element") -> Iterator["_Element"]:
    """Paragraphs and tables of a story, those inside content controls and tracked insertions too."""
    stack = [iter(story)]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
        elif node.tag in (_W + "p", _W + "tbl"):
            yield node
        elif node.tag in _WRAPPERS:
            stack.append(iter(node))


def _children(node: "_Element", tag: str) -> Iterator["_Element"]:
    """Children of a tag, those inside content controls and tracked insertions too."""
    for child in node:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)


def _words(story: "_Element") -> str:
    """All text of a story, paragraphs parted by blanks."""
    words = []
    for node in story.iter(_W + "p", _W + "t", *_SIGNS):
        if not any(is_gone(above) for above in node.iterancestors()):
            words.append((node.text or "") if node.tag == _W + "t" else " ")
    return "".join(words)


def _text(paragraph: "_Element", looks: Looks) -> _Text:
    """The text of a paragraph's runs, in order."""
    text = _Text()
    codes = field_codes(paragraph)
    stack = [iter(paragraph)]
    reasons = [""]  # why the run around what is read is not seen
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            reasons.pop()
        elif is_gone(node):
            continue
        elif node.tag in (_W + "t", _MATH_TEXT) or node.tag in _SIGNS:
            words = _SIGNS.get(node.tag) or node.text or ""
            if reason := MARKED if node in codes else reasons[-1]:
                text.hidden.append((reason, words))
            else:
                text.parts.append(words)
        elif node.tag in (_W + "footnoteReference", _W + "endnoteReference"):
            text.notes.append((node.tag.removeprefix(_W).removesuffix("Reference"), node.get(_W + "id", "")))
        elif node.tag == _W + "txbxContent":
            text.boxes.append((node, reasons[-1] if reasons[-1] == MARKED else looks.box(node)))
        elif isinstance(node.tag, str) and node.tag != _W + "pPr":  # no tabs of its settings; entities have no tag
            stack.append(iter(node))
            reasons.append(looks.run(node, paragraph) if node.tag == _W + "r" else reasons[-1])
    return text
