"""Files → documents: the registry that finds a loader by content first and suffix second."""

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError
from ..files.sources import check_regular
from . import sniffing
from .hidden.reasons import none_seen, with_hidden_notes
from .limits import LoadLimits
from .parts import check_length

__all__ = ["LoadLimits", "load", "readable_suffixes", "sniff"]


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Format:
    """A kind of file: its suffixes, its loader as `module:function`, and what gives it away.

    A packed kind is known by a member of its zip; a text kind by how its text begins. `binary` kinds are never told by
    the suffix alone: a file with such a suffix that is text is read as text.
    """

    kind: str
    suffixes: tuple[str, ...]
    loader: str
    member: re.Pattern[str] | None = None
    begins: Callable[[str], bool] = _never
    binary: bool = False


# In the order in which marks are tried. The suffixes from before 2007 are here because HTML, RTF and newer files often
# carry them; the true ones are refused with a reason.
_FORMATS = (
    _Format("pdf", (".pdf",), "pdf.document:load_pdf", binary=True),
    _Format("docx", (".docx", ".doc"), "word:load_docx", re.compile(r"word/document\d*\.xml"), binary=True),
    _Format("pptx", (".pptx", ".ppt"), "slides:load_pptx", re.compile(r"ppt/presentation\.xml"), binary=True),
    _Format("xlsx", (".xlsx", ".xlsm", ".xls"), "workbook:load_xlsx", re.compile(r"xl/workbook\.xml"), binary=True),
    _Format("epub", (".epub",), "epub:load_epub", re.compile(r"META-INF/container\.xml"), binary=True),
    _Format("rtf", (".rtf",), "rtf:load_rtf", begins=lambda text: text.startswith("{\\rtf"), binary=True),
    _Format("mbox", (".mbox",), "mail:load_mbox", begins=sniffing.begins_mbox),
    _Format("eml", (".eml", ".msg"), "mail:load_eml", begins=sniffing.begins_mail),
    _Format("html", (".html", ".htm", ".xhtml"), "html:load_html", begins=sniffing.begins_html),
    _Format("json", (".json", ".jsonl", ".ndjson"), "records:load_json"),
    _Format("csv", (".csv", ".tsv"), "tables:load_csv"),
    _Format("markdown", (".md", ".markdown"), "text:load_markdown"),
    _Format("text", (".txt", ".text", ".log", ".rst"), "text:load_text"),
)
_BY_KIND = {entry.kind: entry for entry in _FORMATS}
_BY_SUFFIX = {suffix: entry for entry in _FORMATS for suffix in entry.suffixes}
_NOTE_KINDS = ("markdown", "csv", "json")  # their suffix is believed over tags or headers at their start


def readable_suffixes() -> tuple[str, ...]:
    """Suffixes that a folder is searched for."""
    return tuple(_BY_SUFFIX)


def sniff(path: Path) -> str:
    """Kind of the file by its first bytes, and by its suffix where bytes cannot tell text kinds apart.

    Raises LoadError for an empty, unreadable or encrypted file and UnsupportedError, with its name, for a kind that no
    loader reads.
    """
    head = sniffing.read_head(path)
    named = _BY_SUFFIX.get(path.suffix.lower())
    # PDF readers allow bytes before the mark; a text that only speaks of PDF files holds it too.
    if head.startswith(b"%PDF-") or (named and named.binary and b"%PDF-" in head[:1024]):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _packed_kind(path)
    sniffing.refuse_by_mark(path, head)
    return _text_kind(head, named)


def _packed_kind(path: Path) -> str:
    from .containers import member_names

    names: Set[str] = member_names(path)
    for entry in _FORMATS:
        if entry.member and any(entry.member.fullmatch(name) for name in names):
            return entry.kind
    raise sniffing.unread_zip(names)


def _text_kind(head: bytes, named: _Format | None) -> str:
    text = sniffing.head_text(head).lstrip("\r\n\t ")
    for entry in _FORMATS:
        if entry.begins(text) and not (named and named.kind in _NOTE_KINDS and entry.kind in ("eml", "mbox")):
            return entry.kind
    if named and named.kind == "mbox":
        return "eml"  # it holds mail, yet not in the form of an mbox
    if named and not named.binary and named.kind != "text":
        return named.kind
    if sniffing.begins_json_lines(text):
        return "json"
    if named and not named.binary:
        return named.kind
    if sniffing.begins_fragment(text):
        return "html"
    return "csv" if sniffing.looks_tabular(text) else "text"


def load(path: Path, limits: LoadLimits | None = None) -> LoadedDocument:
    """The document in a file. Raises LoadError with a reason in words; never returns empty text."""
    return with_hidden_notes(read(path, limits or LoadLimits()))


def read(path: Path, limits: LoadLimits) -> LoadedDocument:
    """Like `load`, without the notes on hidden text: for a document inside another one, which has them."""
    try:
        status = path.stat()
        check_regular(status)
    except OSError as error:
        raise LoadError(f"cannot be opened: {error.strerror or error}") from error
    size = status.st_size
    if size > limits.max_file_mib * 2**20:
        raise LoadError(
            f"is {size / 2**20:.0f} MiB, over the limit of {limits.max_file_mib} MiB; split it or raise --max-file-mib"
        )
    kind = sniff(path)
    from .hidden.invisible import without_invisible  # its patterns take milliseconds, and a search has no use for them

    try:
        document = _storable(without_invisible(_loader(kind)(path, limits)))
    except LoadError:
        raise
    except RecursionError as error:
        raise LoadError("is nested too deeply to be read") from error
    except Exception as error:  # a library's bug on a hostile file, of whatever kind
        raise LoadError(f"cannot be read: {type(error).__name__}: {str(error)[:200]}") from error
    if not document.text.strip():
        raise LoadError(none_seen(document.hidden) if document.hidden else "holds no text")
    check_length(len(document.text), limits)
    return document


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(document: LoadedDocument) -> LoadedDocument:
    """The document with NUL and lone surrogates, which no UTF-8 database holds, replaced one for one."""

    if not _UNSTORABLE.search(document.text) and not any(_UNSTORABLE.search(told) for told in _told(document)):
        return document

    def clean(text: str) -> str:
        return _UNSTORABLE.sub("\ufffd", text)

    return replace(
        document,
        title=clean(document.title),
        text=clean(document.text),
        headings=tuple(replace(heading, title=clean(heading.title)) for heading in document.headings),
        tables=tuple(replace(table, header=clean(table.header)) for table in document.tables),
        notes=tuple(clean(note) for note in document.notes),
        hidden=tuple(replace(item, text=clean(item.text)) for item in document.hidden),
    )


def _told(document: LoadedDocument) -> Iterator[str]:
    """Strings of a document that stand beside its text; most are parts of it, but for odd white space."""
    yield document.title
    yield from (heading.title for heading in document.headings)
    yield from (table.header for table in document.tables)
    yield from document.notes
    yield from (item.text for item in document.hidden)


def _loader(kind: str) -> Callable[[Path, LoadLimits], LoadedDocument]:
    """The loader of a kind; each format's library is imported only when a file needs it."""
    module, _, function = _BY_KIND[kind].loader.partition(":")
    loader: Callable[[Path, LoadLimits], LoadedDocument] = getattr(import_module(f".{module}", __name__), function)
    return loader
