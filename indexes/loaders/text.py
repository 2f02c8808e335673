"""Plain text and Markdown files, in whatever encoding they are."""

import re
from dataclasses import replace
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError
from .encodings import decode
from .limits import LoadLimits
from .parts import (
    MAX_TITLE_CHARACTERS,
    check_length,
    first_line,
    markdown_headings,
    markdown_tables,
    plain_headings,
    squeeze,
)

_FRONT_MATTER = re.compile(
    r"(?:---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)|\+\+\+[ \t]*\n(.{0,20000}?)\n\+\+\+)[ \t]*\n", re.S
)
_FIELD = re.compile(r"^([A-Za-z][\w-]{0,60})[ \t]*[:=][ \t]*(\S.*)$", re.M)


def read_text(path: Path, limits: LoadLimits) -> str:
    """The decoded text of a file, form feeds as line ends."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error
    text = decode(data).replace("\f", "\n")
    check_length(len(text), limits)
    return text


def load_text(path: Path, limits: LoadLimits) -> LoadedDocument:
    """Plain text as it stands; headings by the heuristic of `plain_headings`."""
    text = read_text(path, limits)
    headings = plain_headings(text)
    opens = headings and not text[: headings[0].start].strip()
    title = headings[0].title[:MAX_TITLE_CHARACTERS] if opens else _title(text)
    return LoadedDocument("text", title, text, headings=tuple(headings))


def load_markdown(path: Path, limits: LoadLimits) -> LoadedDocument:
    """Markdown as it stands, headings and pipe tables marked; of front matter only the plain fields, on one line."""
    text = read_text(path, limits)
    fields: dict[str, str] = {}
    if match := _FRONT_MATTER.match(text):
        fields = {
            name.lower(): value.strip().strip("\"'") for name, value in _FIELD.findall(match[1] or match[2] or "")
        }
        text = text[match.end() :].lstrip("\n")
    named = fields.pop("title", "")
    shown = "; ".join(f"{name}: {squeeze(value)}" for name, value in fields.items() if value)
    before = f"{shown}\n\n" if shown else ""
    headings = markdown_headings(text)
    title = named or (headings[0].title if headings and headings[0].level == 1 else _title(text))
    moved = len(before)
    return LoadedDocument(
        "markdown",
        title[:MAX_TITLE_CHARACTERS],
        before + text,
        headings=tuple(replace(heading, start=heading.start + moved) for heading in headings),
        tables=tuple(
            replace(table, start=table.start + moved, end=table.end + moved) for table in markdown_tables(text)
        ),
    )


def _title(text: str) -> str:
    return first_line(text).lstrip("# ").removeprefix("Subject: ")[:MAX_TITLE_CHARACTERS]


def spoken(stem: str) -> str:
    """A file's name as a title."""
    return squeeze(stem.replace("-", " ").replace("_", " "))
