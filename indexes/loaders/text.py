"""Text, Markdown and CSV files, in whatever encoding they are."""

import csv
import io
from pathlib import Path

from ..documents import LoadedDocument, Table
from ..errors import LoadError, UnsupportedError
from .parts import (
    MAX_TITLE_CHARACTERS,
    clean_line,
    first_line,
    markdown_headings,
    markdown_tables,
    plain_headings,
    squeeze,
)

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_WINDOW = 100_000  # bytes on each side of the first that is not UTF-8, by which an encoding is guessed


def decode(data: bytes) -> str:
    """The text of bytes: by byte-order mark, UTF-8, or the encoding that charset-normalizer finds.

    Line ends become `\\n`. Raises UnsupportedError where no encoding makes text of it.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return _newlines(data.decode(encoding))
            except UnicodeDecodeError as error:
                raise LoadError(f"is damaged {encoding} text: {error.reason}") from error
    if b"\x00" in data:
        raise UnsupportedError("holds binary data, not text")
    try:
        return _newlines(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        from charset_normalizer import from_bytes

        best = from_bytes(data[max(0, error.start - _WINDOW) : error.start + _WINDOW]).best()
        if best is None:
            raise UnsupportedError("is not text in any encoding that fathom knows") from None
        return _newlines(data.decode(best.encoding, errors="replace"))


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path) -> str:
    """The decoded text of a file, form feeds kept out."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error
    return decode(data).replace("\f", "\n")


def load_text(path: Path) -> LoadedDocument:
    """Plain text as it stands; headings by the heuristic of `plain_headings`."""
    text = read_text(path)
    headings = plain_headings(text)
    opens = headings and not text[: headings[0].start].strip()
    title = headings[0].title[:MAX_TITLE_CHARACTERS] if opens else _title(text)
    return LoadedDocument("text", title, text, headings=tuple(headings))


def load_markdown(path: Path) -> LoadedDocument:
    """Markdown as it stands, its headings and pipe tables marked."""
    text = read_text(path)
    headings = markdown_headings(text)
    title = headings[0].title if headings and headings[0].level == 1 else _title(text)
    return LoadedDocument(
        "markdown",
        title[:MAX_TITLE_CHARACTERS],
        text,
        headings=tuple(headings),
        tables=tuple(markdown_tables(text)),
    )


def _title(text: str) -> str:
    return first_line(text).lstrip("# ").removeprefix("Subject: ")[:MAX_TITLE_CHARACTERS]


def load_csv(path: Path) -> LoadedDocument:
    """A table as one line a row, every cell with its column's name, so that a row can be read alone."""
    text = read_text(path)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
        dialect.doublequote = True  # the sniffer denies it where it sees none in its sample
    except csv.Error:
        dialect = csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise LoadError(f"is not a readable table: {error}") from error
    if not rows:
        raise LoadError("holds no rows")
    names = [clean_line(cell) or f"column {number}" for number, cell in enumerate(rows[0], 1)]
    header = "columns: " + ", ".join(names)
    lines = [header, *(_record(names, row) for row in rows[1:])]
    body = "\n".join(lines) + "\n"
    return LoadedDocument("csv", _spoken(path.stem), body, tables=(Table(0, len(body), header),))


def _record(names: list[str], row: list[str]) -> str:
    cells = [
        f"{names[i] if i < len(names) else f'column {i + 1}'}: {squeeze(cell)}"
        for i, cell in enumerate(row)
        if cell.strip()
    ]
    return "; ".join(cells)


def _spoken(stem: str) -> str:
    return squeeze(stem.replace("-", " ").replace("_", " "))
