"""HTML files: the main text with its headings, lists and tables; navigation, scripts and footers left out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..documents import LoadedDocument
from ..errors import LoadError
from .boilerplate import INVISIBLE_TAGS, Strictness, Weight, is_furniture, is_invisible, main_part, weigh
from .encodings import decode
from .hidden.css import Sheets
from .html_hidden import FindSheet, Style, attributes_of, cut_hidden
from .html_tables import table_rows, visible_text
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_BLOCKS = frozenset(
    "address article blockquote body br center dd details div dl dt fieldset figcaption figure footer form header hr "
    "html li main ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})|<\?xml[^>]{0,200}?encoding=["']([\w.:-]{1,40})""", re.I
)
_DECLARED_WITHIN = 4096  # bytes from the start
_MAX_HTML_MIB = 64  # the tree of a page takes many times its size in memory
_XHTML = "http://www.w3.org/1999/xhtml"
_EMPTY_TAG = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)([a-z][\w:]*)(\s[^<>]*)?/>", re.I
)
_KEPT_SHARE = 0.3  # of what a gentler reading keeps: less, and the stricter one has taken content for furniture


def load_html(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The main text of a page, its title from `<title>` or the first heading."""
    builder = DocumentBuilder(limits)
    title = add_html(path.read_bytes(), builder)
    return builder.build("html", title)


def add_html(data: bytes, builder: DocumentBuilder, declared: str = "", find_sheet: FindSheet | None = None) -> str:
    """Appends the main text of a page and returns its title; what no reader of it sees is hidden.

    `declared` is the encoding told from outside, `find_sheet` gives the style sheets that lie beside the page.
    """
    if len(data) > _MAX_HTML_MIB * 2**20:
        raise LoadError(f"holds {len(data) / 2**20:.0f} MiB of HTML, over the limit of {_MAX_HTML_MIB} MiB; split it")
    match = _CHARSET.search(data[:_DECLARED_WITHIN])
    name = declared or ((match[1] or match[2]).decode("ascii") if match else "")
    text = decode(data, name)
    if _XHTML in text[:_DECLARED_WITHIN]:  # where <title/> is closed; in HTML it would swallow the page
        text = _EMPTY_TAG.sub(r"<\1\2></\1>", text)
    root = _parse(text)
    if root is None:
        return _add_flat(text, builder)
    title = next((squeeze("".join(element.itertext())) for element in root.iter("title")), "")
    cut_hidden(root, builder, find_sheet)
    body = next(root.iter("body"), root)
    weights = weigh(body)
    if body in weights:
        _Walk(builder, weights, body).run()
    return title


def _bytes(text: str) -> bytes:
    """As bytes, since lxml refuses a str that names an encoding; NULs would end the text."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace")


def _parse(text: str) -> "_Element | None":
    """The tree of a page; None where there is none, or where it is nested deeper than libxml2 follows (2,048)."""
    from lxml import etree

    parser = etree.HTMLParser(
        recover=True, huge_tree=True, remove_comments=True, remove_pis=True, no_network=True, encoding="utf-8"
    )
    try:
        root = etree.fromstring(_bytes(text), parser)
    except etree.XMLSyntaxError:
        return None
    return None if any("depth" in entry.message for entry in parser.error_log) else root


class _Flat:
    """Takes a parser's events: text by blocks and the title, with nothing of the page's shape."""

    def __init__(self, builder: DocumentBuilder) -> None:
        self.blocks: list[str] = [""]
        self.title = ""
        self._builder = builder
        self._style = Style(Sheets())
        self._sheet: list[str] = []
        self._inline: list[str] = []
        self._unseen: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._cut(tag)
        self._style.start(tag, attributes_of(attributes.items()))
        if self._unseen or tag in INVISIBLE_TAGS:
            self._unseen.append(tag)

    def end(self, tag: str) -> None:
        self._cut(tag)
        self._style.end()
        if self._unseen and self._unseen.pop() == "style":
            self._style.sheets.add("".join(self._sheet))
            self._sheet.clear()

    def data(self, text: str) -> None:
        if not self._unseen:
            if reason := self._style.unseen:
                self._builder.hide(reason, text)
            else:
                self._inline.append(text)
        elif self._unseen[-1] == "title":
            self.title += text
        elif self._unseen[-1] == "style":
            self._sheet.append(text)

    def close(self) -> None:
        self._cut("body")
        self._builder.notes.extend(dict.fromkeys(self._style.notes))

    def _cut(self, tag: str) -> None:
        if (tag in _BLOCKS or tag in _HEADINGS) and self._inline:
            self.blocks.append(squeeze("".join(self._inline)))
            self._inline.clear()


def _add_flat(text: str, builder: DocumentBuilder) -> str:
    """Appends all visible text of a page that has no tree; returns its title."""
    from lxml import etree

    flat = _Flat(builder)
    parser = etree.HTMLParser(target=flat, recover=True, huge_tree=True, encoding="utf-8")
    try:
        etree.fromstring(_bytes(text), parser)
    except etree.XMLSyntaxError:  # nothing but comments
        return ""
    for block in flat.blocks:
        builder.block(block)
    return squeeze(flat.title)


class _Walk:
    """One pass over a page in document order, with no recursion, so that no nesting depth can exhaust Python's."""

    def __init__(self, builder: DocumentBuilder, weights: dict["_Element", Weight], body: "_Element") -> None:
        self._builder = builder
        self._weights = weights
        self._body = body
        self._page = weights[body].characters
        self._root = main_part(body, weights)
        self._strictness = self._chosen()
        self._inline: list[str] = []
        self._bullet = ""

    def _chosen(self) -> Strictness:
        """The strictest reading that keeps a fair share of what the next gentler one keeps."""
        marked = self._kept(Strictness.MARKED)
        if marked == 0:
            return Strictness.INVISIBLE
        fair = self._kept(Strictness.NAMED) >= marked * _KEPT_SHARE
        return Strictness.NAMED if fair else Strictness.MARKED

    def _kept(self, strictness: Strictness) -> int:
        """Characters of the main part less those of its outermost furniture."""
        from lxml.etree import iterwalk

        kept = self._weights[self._root].characters
        walk = iterwalk(self._root, events=("start",))
        for _, element in walk:
            if element is not self._root and is_furniture(element, self._weights, self._page, strictness):
                weight = self._weights.get(element)
                kept -= weight.characters if weight else 0
                walk.skip_subtree()
        return kept

    def run(self) -> None:
        """Appends the page's blocks."""
        from lxml.etree import iterwalk

        walk = iterwalk(self._root, events=("start", "end"))
        skipped: set[_Element] = set()
        for event, element in walk:
            if event == "start":
                if self._take(element):
                    walk.skip_subtree()
                    skipped.add(element)
                continue
            if element in skipped:
                skipped.discard(element)
            elif element.tag in _BLOCKS:
                self._flush()
                self._bullet = "" if element.tag == "li" else self._bullet
            if element is not self._root and element.tail:
                self._inline.append(element.tail)
        self._flush()

    def _take(self, element: "_Element") -> bool:
        """Reads the element's own text; whether all below it is read or left out already."""
        tag = element.tag
        is_root = element is self._root
        if not is_root and is_furniture(element, self._weights, self._page, self._strictness):
            if tag in _BLOCKS or is_invisible(element):
                self._inline.append(" ")
            return True
        if level := _HEADINGS.get(tag):
            self._flush()
            self._builder.heading(level, self._visible(element))
            return True
        if tag == "table" and (rows := table_rows(element, self._weights)) is not None:
            self._flush()
            for caption in element.iterchildren("caption"):
                self._builder.block(squeeze(self._visible(caption)))
            self._builder.table(rows)
            return True
        if tag == "pre":
            self._flush()
            lines = [line.rstrip() for line in "".join(element.itertext()).split("\n")]
            self._builder.block("\n".join(lines).strip("\n"))
            return True
        if tag in _BLOCKS:
            self._flush()
        if tag == "li":
            self._bullet = "- "
        if element.text:
            self._inline.append(element.text)
        return False

    def _visible(self, element: "_Element") -> str:
        return visible_text(element, self._weights)

    def _flush(self) -> None:
        text = squeeze("".join(self._inline))
        self._inline.clear()
        if text:
            self._builder.block(self._bullet + text)
            self._bullet = ""
