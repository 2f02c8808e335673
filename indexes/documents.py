"""The records of this room: documents, their pages, sections and tables, chunks, and hits.

All offsets count characters (Python string indices) of `Document.text`; spans are half-open
`[start, end)`. Page numbers count from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a paginated document: its number, counted from 1, and its span."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: level 1 is the outermost; `start` is where its line begins."""

    level: int
    title: str
    start: int

    def end_of_line(self, text: str) -> int:
        """Where the heading's line ends in its document's text."""
        end = text.find("\n", self.start)
        return len(text) if end < 0 else end


@dataclass(frozen=True, slots=True)
class Table:
    """A table's span and its header row as text, so that a chunk that begins inside can name its columns."""

    start: int
    end: int
    header: str


@dataclass(frozen=True, slots=True)
class HiddenText:
    """Text in a file that its reader does not see, why not ("white text"), and its page where the format has any."""

    reason: str
    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """What a loader makes of a file: text with tables as readable rows, and where its parts are.

    `notes` say what of the file is not in the text, such as scanned pages; they are shown with the file. `hidden` is
    no part of the text: it is searched on request only, and never put before a model.
    """

    kind: str
    title: str
    text: str
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    hidden: tuple[HiddenText, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the collection, without its text.

    `path` is the absolute path of the file, `name` the same relative to the folder that was indexed.
    """

    id: int
    path: str
    name: str
    title: str
    kind: str
    sha256: str
    characters: int
    pages: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document's text: `text == document_text[start:end]`.

    `context` is what a reader needs to place it and is indexed with it: title, section, table columns.
    `first_page` and `last_page` are None where the format has no pages.
    """

    id: int
    document_id: int
    ordinal: int
    start: int
    end: int
    text: str
    section: str
    context: str
    first_page: int | None = None
    last_page: int | None = None


def run_around(chunks: Sequence[Chunk], offset: int) -> list[Chunk]:
    """Of a document's chunks in order, those that touch one another around the one that holds a character."""
    first = last = next(place for place, chunk in enumerate(chunks) if chunk.start <= offset < chunk.end)
    while first > 0 and chunks[first - 1].end == chunks[first].start:
        first -= 1
    while last + 1 < len(chunks) and chunks[last].end == chunks[last + 1].start:
        last += 1
    return list(chunks[first : last + 1])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a span stands in its document: section, and pages where it has any."""

    section: str
    first_page: int | None
    last_page: int | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk with its fused score and where each index ranked it (1 is best; None: not among its results)."""

    chunk: Chunk
    document: Document
    score: float
    lexical_rank: int | None = None
    dense_rank: int | None = None
    lexical_score: float | None = None
    dense_score: float | None = None
    reranker_score: float | None = None


@dataclass(frozen=True, slots=True)
class DocumentHit:
    """A document with the evidence for it: its hits, best first."""

    document: Document
    score: float
    hits: tuple[Hit, ...]


class FileState(StrEnum):
    """What became of a file: its text is searchable, it could not be read, or it is no kind of document."""

    INDEXED = "indexed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that the collection knows. `reason` says why it failed or was skipped, or is empty."""

    path: str
    name: str
    state: FileState
    reason: str
    sha256: str
    size_bytes: int
    document_id: int | None


@dataclass(slots=True)
class IndexReport:
    """What one indexing run did; names are paths relative to the indexed folder.

    `notes` say what of a file is not in its text; `interrupted`: the run was stopped before its end; `limited`: the
    system lets the memory of loader processes be limited; `moved_aside` is where a collection went that was made anew.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    interrupted: bool = False
    limited: bool = True
    moved_aside: str = ""
    chunks: int = 0
    seconds: float = 0.0
