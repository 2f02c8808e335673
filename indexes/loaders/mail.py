"""EML and MBOX files: a heading a message, header lines, text, and attachments read by their own loaders."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError
from .encodings import decode
from .hidden.reasons import OTHER_VERSION
from .html import add_html
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER_CHARACTERS = 2000  # shown of one header line: a mail to thousands names the first of them
_MAX_HEADER_MIB = 8
_BLANK_LINE = re.compile(rb"\n\r?\n")
_MAX_PARTS = 5000  # of one message
_MAX_NESTING = 50  # of multiparts inside multiparts
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}$")
_WORD, _ADDRESS = re.compile(r"[^\W_]+"), re.compile(r"\b(?:https?|mailto|cid):[^\s<>\"]{1,2000}")
_ENVELOPE = re.compile(rb"^From \S+ .*\b\d{4}\b.*$", re.M)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)
_TYPE_SUFFIXES = {"text/html": ".html", "text/csv": ".csv", "text/markdown": ".md", "application/json": ".json"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A leaf of a message: a text to show, or an attachment. `plain` is the version in plain text of one in HTML."""

    message: "Message[str, str]"
    is_attachment: bool
    plain: "Message[str, str] | None" = None


def load_eml(path: Path, limits: LoadLimits) -> LoadedDocument:
    """One message with what is attached to it, messages inside messages to `limits.max_depth`."""
    builder = DocumentBuilder(limits)
    subject = _Reader(builder, limits).message(_parsed(path.read_bytes()), 1)
    return builder.build("eml", subject)


def load_mbox(path: Path, limits: LoadLimits) -> LoadedDocument:
    """All messages of a mailbox, in its order. One that cannot be read is named and the others are read."""
    builder = DocumentBuilder(limits)
    reader = _Reader(builder, limits)
    for number, raw in enumerate(_split(path.read_bytes()), 1):
        try:
            message = _parsed(raw)
        except LoadError as error:
            builder.notes.append(f"message {number} {error}")
            continue
        reader.message(message, 1)
    return builder.build("mbox", squeeze(path.stem.replace("_", " ")))


def _split(data: bytes) -> Iterator[bytes]:
    """The messages of a mailbox: each begins with a line `From …` with a year, after a blank line."""
    data = data.replace(b"\r\n", b"\n")
    starts = [
        match.start()
        for match in _ENVELOPE.finditer(data)
        if match.start() == 0 or data[max(0, match.start() - 2) : match.start()] == b"\n\n"
    ]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        after = data.find(b"\n", start, end) + 1
        if after:
            yield _QUOTED_FROM.sub(rb"\1", data[after:end])


def _parsed(data: bytes) -> "Message[str, str]":
    # Headers are decoded here and not by policy.default, whose parser takes quadratic time on hostile ones.
    header_bytes = len(data) if (match := _BLANK_LINE.search(data)) is None else match.start()
    if header_bytes > _MAX_HEADER_MIB * 2**20:
        raise LoadError(
            f"has header lines of {header_bytes / 2**20:.0f} MiB, over {_MAX_HEADER_MIB} MiB: not a message"
        )
    try:
        message = BytesParser(policy=compat32).parsebytes(data.lstrip(b"\r\n\t "))
        list(_parts(message))  # so that one too large to be read is refused before anything of it is
        return message
    except RecursionError as error:
        raise LoadError("nests its parts too deeply to be read") from error


@dataclass(slots=True)
class _Reader:
    """Appends messages to a document."""

    builder: DocumentBuilder
    limits: LoadLimits

    def message(self, message: "Message[str, str]", level: int) -> str:
        """Appends a message under a heading of its subject, sender and date; returns the subject."""
        subject = _header(message, "Subject") or "E-mail"
        sender = _sender(_header(message, "From"))
        about = ", ".join(filter(None, [f"from {sender}" if sender else "", _day(message)]))
        self.builder.heading(level, f"{subject} ({about})" if about else subject)
        shown = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
        self.builder.block("\n".join(shown))
        for part in _parts(message):
            if part.is_attachment:
                self._attachment(part.message, level + 1)
            else:
                self._body(part.message, part.plain)
        return subject

    def _body(self, part: "Message[str, str]", plain: "Message[str, str] | None" = None) -> None:
        try:
            if part.get_content_type() == "text/html":
                self._html(part, plain)
            else:
                self.builder.block(_plain_text(part))
        except LoadError as error:
            self.builder.block(f"The message's text: not read ({error})")

    def _html(self, part: "Message[str, str]", plain: "Message[str, str] | None") -> None:
        """The text in HTML, which is what mail programs show; as plain text only where that is the same, word by word.

        Of plain text that says something else, the lines that do are hidden. HTML that shows no text is passed over.
        """
        own = DocumentBuilder(self.limits)
        add_html(_payload(part), own, part.get_content_charset() or "")
        document = own.build("html", "")
        text = _plain_text(plain) if plain is not None else ""
        shown = _words(document.text)
        if text and shown in ([], _words(text)):
            self.builder.embed(replace(document, text=text, headings=(), tables=()), 6)
            return
        self.builder.embed(document, 6)
        known = set(shown)
        for line in text.split("\n"):
            if not known.issuperset(_words(line)):
                self.builder.hide(OTHER_VERSION, line)

    def _attachment(self, part: "Message[str, str]", level: int) -> None:
        inner = _inner_message(part)
        name = _name(part) or (_header(inner, "Subject") if inner else "") or "without a name"
        if self.limits.max_depth < 1:
            self.builder.block(f"Attachment {name}: not read (attachments lie inside each other too deeply)")
            return
        if inner is not None:
            try:
                list(_parts(inner))
            except LoadError as error:
                self.builder.block(f"Attachment {name}: not read ({error})")
                return
            self.builder.heading(level, f"Attachment: {name}")
            _Reader(self.builder, replace(self.limits, max_depth=self.limits.max_depth - 1)).message(inner, level + 1)
            return
        try:
            document = _load_attached(_payload(part), _suffix(part, name), self.limits)
        except LoadError as error:
            self.builder.block(f"Attachment {name}: not read ({error})")
            return
        self.builder.heading(level, f"Attachment: {name}")
        self.builder.embed(document, level)


def _load_attached(data: bytes, suffix: str, limits: LoadLimits) -> LoadedDocument:
    """The document in an attachment; it lies in a folder of its own for as long as its loader reads it."""
    from . import read

    with tempfile.TemporaryDirectory(prefix="fathom-") as folder:
        path = Path(folder, f"attachment{suffix}")
        path.write_bytes(data)
        return read(path, replace(limits, max_depth=limits.max_depth - 1))


def _parts(message: "Message[str, str]") -> Iterator[_Part]:
    """The leaves of a message to read, in order; of alternatives the last in HTML with the plain text as its other
    version, else the plain text, else the last that can be read.

    Raises LoadError for more parts or deeper ones than any mail program writes.
    """
    stack: list[tuple[Message[str, str], int, Message[str, str] | None]] = [(message, 0, None)]
    count = 0
    while stack:
        part, depth, plain = stack.pop()
        count += 1
        if count > _MAX_PARTS or depth > _MAX_NESTING:
            raise LoadError(f"has over {_MAX_PARTS} parts, or parts nested over {_MAX_NESTING} deep")
        _shorten(part)
        kind = part.get_content_type()
        children = [child for child in part.get_payload() if isinstance(child, Message)] if part.is_multipart() else []
        if kind == "multipart/alternative" and children:
            plain, best = _best(children)
            stack.append((best, depth + 1, plain))
        elif part.is_multipart() and kind != "message/rfc822" and not kind.startswith("message/"):
            stack.extend((child, depth + 1, plain if _holds_html(child) else None) for child in reversed(children))
        elif _is_shown(part, kind):
            yield _Part(part, False, plain if kind == "text/html" else None)
        elif kind not in _SIGNATURES and not (kind.startswith("image/") and part.get("Content-ID")):
            yield _Part(part, True)  # pictures inside the text of a mail are not named


def _shorten(part: "Message[str, str]") -> None:
    """Cuts the headers whose parameters the standard library reads in quadratic time."""
    for name in ("Content-Type", "Content-Disposition"):
        if len(value := str(part.get(name, ""))) > _MAX_HEADER_CHARACTERS:
            part.replace_header(name, value[:_MAX_HEADER_CHARACTERS])


def _best(alternatives: "list[Message[str, str]]") -> "tuple[Message[str, str] | None, Message[str, str]]":
    """The plain text beside a version in HTML, if there are both, and the version to read."""
    plain = next((p for p in alternatives if p.get_content_type() == "text/plain" and _payload(p).strip()), None)
    rich = [part for part in alternatives if _holds_html(part)]
    if rich:
        return plain, rich[-1]
    return None, plain or next((p for p in reversed(alternatives) if p.is_multipart()), alternatives[0])


def _holds_html(part: "Message[str, str]", levels: int = 3) -> bool:
    """Whether a part is HTML to show, or holds some not far below, as beside its pictures."""
    if part.is_multipart():
        return levels > 0 and any(_holds_html(c, levels - 1) for c in part.get_payload() if isinstance(c, Message))
    return part.get_content_type() == "text/html" and _is_shown(part, "text/html")


def _plain_text(part: "Message[str, str]") -> str:
    """A part in plain text. Raises LoadError."""
    lines = [line.rstrip() for line in decode(_payload(part), part.get_content_charset() or "").split("\n")]
    return "\n".join(lines).strip("\n")


def _words(text: str) -> list[str]:
    """Words and figures in order; addresses, which HTML has in its links, are none."""
    return _WORD.findall(_ADDRESS.sub(" ", text.casefold()))


def _is_shown(part: "Message[str, str]", kind: str) -> bool:
    disposition = str(part.get("Content-Disposition", "")).lower().lstrip()
    return kind in ("text/plain", "text/html") and not disposition.startswith("attachment") and not _name(part)


def _inner_message(part: "Message[str, str]") -> "Message[str, str] | None":
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        inner = part.get_payload()
        if isinstance(inner, list) and inner and isinstance(inner[0], Message):
            return inner[0]
    return None


def _payload(part: "Message[str, str]") -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _name(part: "Message[str, str]") -> str:
    try:
        return _decoded(part.get_filename() or "")[:200]
    except (ValueError, LookupError, TypeError, AttributeError):  # a malformed parameter
        return ""


def _suffix(part: "Message[str, str]", name: str) -> str:
    match = _SUFFIX.search(name)
    return match[0] if match else _TYPE_SUFFIXES.get(part.get_content_type(), "")


def _header(message: "Message[str, str]", name: str) -> str:
    return _decoded(message.get(name, ""))[:_MAX_HEADER_CHARACTERS]


def _decoded(value: object) -> str:
    """A header's value with its encoded words decoded, on one line."""
    raw = str(value)[: 4 * _MAX_HEADER_CHARACTERS]
    if "\udc80" <= max(raw, default="") <= "\udcff":  # bytes beyond ASCII, which the parser keeps so
        try:
            raw = decode(raw.encode("utf-8", "surrogateescape"))
        except (LoadError, UnicodeEncodeError):
            raw = raw.encode("utf-8", "replace").decode()
    try:
        return squeeze(str(make_header(decode_header(raw))))
    except (ValueError, LookupError, TypeError):  # a broken word or an unknown encoding
        return squeeze(raw)


def _sender(value: str) -> str:
    name, address = next(iter(getaddresses([value])), ("", ""))
    return name or address or value[:80]


def _day(message: "Message[str, str]") -> str:
    try:
        return parsedate_to_datetime(str(message.get("Date", ""))).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
