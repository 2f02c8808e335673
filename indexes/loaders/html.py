"""HTML files: the main text with its headings, lists and tables; navigation, scripts and footers left out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..documents import LoadedDocument
from .parts import DocumentBuilder, squeeze

if TYPE_CHECKING:
    from bs4 import Tag

_DROP = ["script", "style", "nav", "footer", "aside", "form", "noscript", "template", "svg", "iframe", "head"]
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_BLOCKS = frozenset(
    "address article blockquote body br dd details div dl dt figcaption figure header hr li main ol p pre section "
    "summary ul".split()
)


def load_html(path: Path) -> LoadedDocument:
    """The text of `<main>`, of the only `<article>`, or of `<body>`, whichever is found first."""
    import warnings

    from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning

    with warnings.catch_warnings():  # XHTML, and text that looks like a path, are read all the same
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        soup = BeautifulSoup(path.read_bytes(), "lxml")
    title = squeeze(soup.title.get_text()) if soup.title else ""
    for tag in soup.find_all(_DROP):
        tag.decompose()
    articles = [tag for tag in soup.find_all("article") if not tag.find_parent("article")]
    root = soup.find("main") or (articles[0] if len(articles) == 1 else soup.body) or soup
    builder = DocumentBuilder()
    _walk(root, builder)
    return builder.build("html", title)


@dataclass(frozen=True, slots=True)
class _EndOfBlock:
    """A mark on the stack: the block's inline text is complete and stands behind this prefix."""

    prefix: str


def _walk(root: "Tag", builder: DocumentBuilder) -> None:
    """Depth-first with a stack of its own, so that no nesting depth can exhaust Python's."""
    from bs4.element import NavigableString, PreformattedString, Tag

    inline: list[str] = []

    def flush(prefix: str = "") -> None:
        text = squeeze("".join(inline))
        inline.clear()
        builder.block(prefix + text if text else "")

    stack: list[object] = list(reversed(root.contents))
    while stack:
        node = stack.pop()
        if isinstance(node, _EndOfBlock):
            flush(node.prefix)
        elif isinstance(node, NavigableString):
            if not isinstance(node, PreformattedString):  # comments, doctypes, processing instructions
                inline.append(node)
        elif isinstance(node, Tag):
            if level := _HEADINGS.get(node.name):
                flush()
                builder.heading(level, node.get_text(" "))
            elif node.name == "table":
                flush()
                builder.block(squeeze(node.caption.get_text(" ")) if node.caption else "")
                builder.table(_rows(node))
            elif node.name in _BLOCKS:
                flush()
                stack.append(_EndOfBlock("- " if node.name == "li" else ""))
                stack.extend(reversed(node.contents))
            else:
                stack.extend(reversed(node.contents))
    flush()


def _rows(table: "Tag") -> list[list[str]]:
    rows = []
    for row in table.find_all("tr"):
        if row.find_parent("table") is table:
            rows.append([squeeze(cell.get_text(" ")) for cell in row.find_all(["td", "th"], recursive=False)])
    return rows
