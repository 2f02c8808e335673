"""EPUB files: the chapters in the order of the book's spine, each through the HTML loader."""

import posixpath
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ..documents import LoadedDocument
from ..errors import LoadError
from .containers import Container
from .encodings import decode
from .html import add_html
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_ENCRYPTION = "{http://www.w3.org/2001/04/xmlenc#}"
_CHAPTERS = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def load_epub(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The book's text under its author's name; its navigation is left out. Raises LoadError for a protected book."""
    builder = DocumentBuilder(limits)
    with Container(path, limits) as container:
        _refuse_protected(container)
        root = next(container.xml("META-INF/container.xml").iter(_CONTAINER + "rootfile"), None)
        package_name = "" if root is None else root.get("full-path", "")
        package = container.xml(package_name)
        title, author = (
            squeeze(next((node.text or "" for node in package.iter(_DC + name)), "")) for name in ("title", "creator")
        )
        builder.block(f"{title or path.stem}, by {author}" if author else "")
        missing = 0

        @cache
        def sheet(folder: str, address: str) -> str | None:
            name = posixpath.normpath(posixpath.join(folder, unquote(address).split("#")[0]))
            return decode(container.read(name)) if name in container.names else None

        for chapter in _spine(package, posixpath.dirname(package_name)):
            if chapter in container.names:
                folder = posixpath.dirname(chapter)
                add_html(container.read(chapter), builder, find_sheet=partial(sheet, folder))
            else:
                missing += 1
    if missing:
        builder.notes.append(f"{missing} chapters are missing in the file")
    return builder.build("epub", title)


def _spine(package: "_Element", folder: str) -> list[str]:
    """Names of the chapters in reading order, each once."""
    items = {item.get("id", ""): item for item in package.iter(_OPF + "item")}
    names: dict[str, None] = {}
    for reference in package.iter(_OPF + "itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or item.get("media-type") not in _CHAPTERS or "nav" in item.get("properties", "").split():
            continue
        names[posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "")).split("#")[0]))] = None
    return list(names)


def _refuse_protected(container: Container) -> None:
    """Fonts may be obscured; a chapter may not."""
    if "META-INF/encryption.xml" not in container.names:
        return
    for data in container.xml("META-INF/encryption.xml").iter(_ENCRYPTION + "CipherReference"):
        if data.get("URI", "").lower().endswith((".xhtml", ".html", ".htm", ".xml")):
            raise LoadError("is protected by digital rights management; fathom cannot read it")
