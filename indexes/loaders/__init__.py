"""Files → documents: the registry that finds a loader by content first and suffix second."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError, UnsupportedError
from .parts import MAX_FILE_MIB

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SUFFIX_KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".log": "text",
    ".rst": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".csv": "csv",
    ".tsv": "csv",
    ".docx": "docx",
    ".pdf": "pdf",
}
_BINARY_KINDS = ("docx", "pdf")


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """What a file may cost. A file over a limit fails with a reason and is never cut."""

    max_file_mib: int = MAX_FILE_MIB
    max_characters: int = 20_000_000


def readable_suffixes() -> tuple[str, ...]:
    """Suffixes that a folder is searched for."""
    return tuple(_SUFFIX_KINDS)


def sniff(path: Path) -> str:
    """Kind of the file by its first bytes, and by its suffix where bytes cannot tell text kinds apart.

    Raises LoadError for an empty, unreadable or encrypted file and UnsupportedError for other binaries.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise LoadError(f"cannot be opened: {error.strerror or error}") from error
    if not head.strip(b"\x00 \t\r\n\f"):
        if path.stat().st_size <= len(head):
            raise LoadError("is empty")
        raise UnsupportedError("begins with blank or NUL bytes: not a document")
    kind = _SUFFIX_KINDS.get(path.suffix.lower(), "text")
    # PDF readers allow bytes before the mark; a text that only speaks of PDF files holds it too.
    if head.startswith(b"%PDF-") or (kind in _BINARY_KINDS and b"%PDF-" in head[:1024]):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _sniff_zip(path)
    if head.startswith(_OLE):
        raise LoadError("is password-protected or in a pre-2007 Office format; save it as an open .docx")
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnsupportedError("holds binary data, not a document that fathom reads")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return "text" if kind in _BINARY_KINDS else kind


def _sniff_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise LoadError(f"is truncated or damaged ({error})") from error
    if "word/document.xml" in names:
        return "docx"
    raise UnsupportedError("is an archive or an Office file of a kind that fathom does not read")


def load(path: Path, limits: LoadLimits | None = None) -> LoadedDocument:
    """The document in a file. Raises LoadError with a reason in words; never returns empty text."""
    limits = limits or LoadLimits()
    try:
        size = path.stat().st_size
    except OSError as error:
        raise LoadError(f"cannot be opened: {error.strerror or error}") from error
    if size > limits.max_file_mib * 2**20:
        raise LoadError(
            f"is {size / 2**20:.0f} MiB, over the limit of {limits.max_file_mib} MiB; split it or raise --max-file-mib"
        )
    kind = sniff(path)
    try:
        document = _storable(_loader(kind)(path))
    except LoadError:
        raise
    except Exception as error:  # a library's bug on a hostile file, of whatever kind
        raise LoadError(f"cannot be read: {type(error).__name__}: {str(error)[:200]}") from error
    if not document.text.strip():
        raise LoadError("holds no text" + (" (scanned pages need OCR first)" if kind == "pdf" else ""))
    if len(document.text) > limits.max_characters:
        raise LoadError(
            f"holds {len(document.text):,} characters, over the limit of {limits.max_characters:,}; split it"
        )
    return document


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(document: LoadedDocument) -> LoadedDocument:
    """The document with NUL and lone surrogates, which no UTF-8 database holds, replaced one for one."""
    if not _UNSTORABLE.search(document.text + document.title):
        return document
    title = _UNSTORABLE.sub("\ufffd", document.title)
    headings = tuple(replace(h, title=_UNSTORABLE.sub("\ufffd", h.title)) for h in document.headings)
    tables = tuple(replace(t, header=_UNSTORABLE.sub("\ufffd", t.header)) for t in document.tables)
    text = _UNSTORABLE.sub("\ufffd", document.text)
    return replace(document, title=title, text=text, headings=headings, tables=tables)


def _loader(kind: str) -> Callable[[Path], LoadedDocument]:
    """The loader of a kind; each format's library is imported only when a file needs it."""
    if kind == "pdf":
        from .pdf import load_pdf

        return load_pdf
    if kind == "docx":
        from .office import load_docx

        return load_docx
    if kind == "html":
        from .html import load_html

        return load_html
    from . import text

    return {"csv": text.load_csv, "markdown": text.load_markdown, "text": text.load_text}[kind]
