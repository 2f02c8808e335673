"""What the first bytes of a file tell: kinds that are refused by name, members of a zip, and how text kinds begin."""

import csv
import json
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import LoadError, UnsupportedError
from .encodings import wide_encoding

HEAD_BYTES = 4096
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD_OFFICE = "{} from before 2007; save it as {}"
# UTF-16 names in the directory of an OLE file, the deciding one first.
_OLE_STREAMS = (
    ("EncryptedPackage", "is an Office file with a password; save a copy without one"),
    ("__substg1.0_", "is an Outlook message (.msg); save it as .eml"),
    ("WordDocument", "is " + _OLD_OFFICE.format("a Word file", ".docx")),
    ("PowerPoint Document", "is " + _OLD_OFFICE.format("a PowerPoint file", ".pptx")),
    ("Workbook", "is " + _OLD_OFFICE.format("an Excel file", ".xlsx")),
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """Bytes at an offset that give a kind away."""

    offset: int
    magic: bytes
    name: str


_ARCHIVE = "an archive ({}); unpack it and index the folder"
_MARKS = (
    *(
        _Mark(offset, magic, _ARCHIVE.format(name))
        for offset, magic, name in (
            (0, b"PK\x05\x06", "zip, and empty"),
            (0, b"PK\x07\x08", "zip, in several parts"),
            (0, b"\x1f\x8b", "gzip"),
            (0, b"BZh", "bzip2"),
            (0, b"\xfd7zXZ\x00", "xz"),
            (0, b"\x28\xb5\x2f\xfd", "zstd"),
            (0, b"7z\xbc\xaf\x27\x1c", "7z"),
            (0, b"Rar!\x1a\x07", "rar"),
            (0, b"\x04\x22\x4d\x18", "lz4"),
            (0, b"MSCF", "cab"),
            (0, b"!<arch>\n", "ar"),
            (257, b"ustar", "tar"),
        )
    ),
    *(
        _Mark(offset, magic, f"an image ({name}); it holds no text to index")
        for offset, magic, name in (
            (0, b"\x89PNG\r\n\x1a\n", "PNG"),
            (0, b"\xff\xd8\xff", "JPEG"),
            (0, b"GIF8", "GIF"),
            (0, b"II*\x00", "TIFF"),
            (0, b"MM\x00*", "TIFF"),
            (8, b"WEBP", "WebP"),
            (0, b"BM\x36", "BMP"),
            (4, b"ftypheic", "HEIC"),
            (4, b"ftypavif", "AVIF"),
            (0, b"8BPS", "Photoshop"),
            (0, b"\x00\x00\x01\x00", "icon"),
        )
    ),
    *(
        _Mark(offset, magic, f"{name}; it holds no text to index")
        for offset, magic, name in (
            (0, b"ID3", "a sound file (MP3)"),
            (0, b"\xff\xfb", "a sound file (MP3)"),
            (0, b"OggS", "a sound file (Ogg)"),
            (0, b"fLaC", "a sound file (FLAC)"),
            (8, b"WAVE", "a sound file (WAV)"),
            (8, b"AVI ", "a film (AVI)"),
            (4, b"ftyp", "a film or sound file (MP4)"),
            (0, b"\x1a\x45\xdf\xa3", "a film (Matroska)"),
            (0, b"\x7fELF", "a program (ELF binary)"),
            (0, b"MZ\x90\x00", "a program (Windows binary)"),
            (0, b"\xcf\xfa\xed\xfe", "a program (macOS binary)"),
            (0, b"\xca\xfe\xba\xbe", "a program (Java or macOS binary)"),
            (0, b"SQLite format 3\x00", "a database (SQLite)"),
            (0, b"PAR1", "a data file (Parquet)"),
            (60, b"BOOKMOBI", "an e-book (Mobipocket), which fathom does not read"),
        )
    ),
)
_ZIP_KINDS = (
    ("xl/workbook.bin", "is a binary Excel file (.xlsb); save it as .xlsx"),
    ("Index/Document.iwa", "is an Apple iWork file; export it as PDF or to Office"),
    ("content.xml", "is an OpenDocument file; save it as .docx, .xlsx or .pptx"),
    ("META-INF/MANIFEST.MF", "is " + _ARCHIVE.format("jar")),
)

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # a text may begin with the letters of a mark
_PREAMBLE = re.compile(r"\s*(?:<\?xml[^>]*>\s*|<!--.{0,2000}?-->\s*)*", re.S)
_HTML = re.compile(r"<(?:!doctype html|html[\s>])", re.I)
_ENVELOPE = re.compile(r"<(?:document|sec-document|head|body)\b", re.I)
_FRAGMENT = re.compile(r"<(?:head|body|meta|title|table|div|p|h1|center|font|span|document|sec-document)\b", re.I)
_MAIL_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):[ \t]")
_MBOX_LINE = re.compile(r"From \S+ .*\b\d{4}\b.*\n(?:>?From .*\n)?[A-Za-z][A-Za-z0-9-]*:")
_MAIL_PEOPLE = frozenset(("from", "sender", "subject", "date", "to"))
# A note that only copies a mail's visible header has none of these.
_MAIL_MACHINES = frozenset(
    "message-id received return-path delivered-to mime-version dkim-signature content-type x-mailer x-gm-labels".split()
)


def read_head(path: Path) -> bytes:
    """The first bytes of a file. Raises LoadError for one that is empty or cannot be opened."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise LoadError(f"cannot be opened: {error.strerror or error}") from error
    if not head.strip(b"\x00 \t\r\n\f"):
        if size <= len(head):
            raise LoadError("is empty")
        raise UnsupportedError("begins with blank or NUL bytes: not a document")
    return head


def refuse_by_mark(path: Path, head: bytes) -> None:
    """Raises UnsupportedError for archives, media, programs and old Office files, LoadError for a locked one."""
    if head.startswith(_OLE):
        _refuse_ole(path, head)
    for mark in _MARKS if _CONTROL.search(head) else ():
        if head.startswith(mark.magic, mark.offset):
            raise UnsupportedError(f"is {mark.name}")


def _refuse_ole(path: Path, head: bytes) -> NoReturn:
    shift = int.from_bytes(head[30:32], "little")
    sector = 2 ** min(max(shift, 9), 12)
    first = int.from_bytes(head[48:52], "little")
    with path.open("rb") as stream:
        stream.seek((first + 1) * sector)
        directory = stream.read(HEAD_BYTES)
    for name, reason in _OLE_STREAMS:
        if name.encode("utf-16-le") in directory:
            raise LoadError(reason) if name == "EncryptedPackage" else UnsupportedError(reason)
    raise LoadError("is password-protected or in a pre-2007 Office format; save it as an open .docx")


def unread_zip(names: Set[str]) -> UnsupportedError:
    """The error that says what a zip with these members is, where no loader reads it."""
    for member, reason in _ZIP_KINDS:
        if member in names:
            return UnsupportedError(reason)
    return UnsupportedError("is " + _ARCHIVE.format("zip"))


def head_text(head: bytes) -> str:
    """The head as text by which kinds of text are told apart. Raises UnsupportedError for binary data."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace")  # of UTF-32 with NULs between; no kind begins so
    if b"\x00" in head and not head.startswith(b"\x00\x00\xfe\xff"):
        encoding = wide_encoding(head)
        if not encoding:
            raise UnsupportedError("holds binary data, not a document that fathom reads")
        return head.decode(encoding, errors="replace")
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def begins_html(text: str) -> bool:
    """Whether a document element or its doctype comes first, or stands in the envelope of a filing."""
    start = _start(text)
    return bool(_HTML.match(start) or (_ENVELOPE.match(start) and _HTML.search(start)))


def begins_fragment(text: str) -> bool:
    """Whether a tag of HTML comes first: enough where the suffix tells nothing, and not for Markdown."""
    return bool(_FRAGMENT.match(_start(text)))


def begins_mbox(text: str) -> bool:
    """Whether the first line opens a mail of an mbox and a header line follows."""
    return bool(_MBOX_LINE.match(text.replace("\r\n", "\n")))


def begins_mail(text: str) -> bool:
    """Whether header lines of a mail come first, with one among them that only mail programs write."""
    names = set(_header_names(text))
    return bool(names & _MAIL_PEOPLE and names & _MAIL_MACHINES and len(names) >= 3)


def _header_names(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            continue
        match = _MAIL_LINE.match(line)
        if not match:
            return
        yield match[1].lower()


def begins_json_lines(text: str) -> bool:
    """Whether the first line is a JSON object of its own."""
    line, _, rest = text.lstrip().partition("\n")
    if not (line.startswith("{") and rest.strip()):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def looks_tabular(text: str) -> bool:
    """Whether all whole lines of the head hold the same number of short cells, three or more."""
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    if len(text) > HEAD_BYTES // 2 and len(lines) > 1:
        lines.pop()  # it may be cut
    if len(lines) < 3:
        return False
    for delimiter in "\t;|,":
        rows = list(csv.reader(lines, delimiter=delimiter))
        widths = {len(row) for row in rows}
        if len(rows) == len(lines) and len(widths) == 1 and widths.pop() >= 3 and all(rows[0]):
            return max(len(cell) for row in rows for cell in row) <= 200
    return False


def _start(text: str) -> str:
    match = _PREAMBLE.match(text)
    return text[match.end() :] if match else text
