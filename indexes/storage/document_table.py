"""Documents and their chunks in and out of a collection's database. A document's text is kept once, as its chunks."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256
from operator import attrgetter
from typing import Any, TypeVar

from ..documents import Chunk, Document, Heading, LoadedDocument, Page, run_around
from ..errors import CollectionBrokenError
from ..files.places import is_stored_path
from ..text.chunking import Span
from .database import Database, broken, portions
from .sealing import CHUNKS, DOCUMENTS, STRUCTURE, Row, checksum, described, insert, read, stream

_SPAN = attrgetter("section", "context", "first_page", "last_page")  # in the order of their columns
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk on its way into the store: its span, its text, and the row of its vector if there is one."""

    span: Span
    text: str
    vector_id: int | None


def text_digest(parts: Iterable[str]) -> str:
    """SHA-256 of a document's text, given in parts."""
    digest = sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class DocumentTable:
    """The tables `documents` and `chunks` of one connection. Every row is compared with its checksum as it is read."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @property
    def database(self) -> Database:
        return self._db

    def _next_id(self, table: str) -> int:
        """One more than any id that a row of the table ever had."""
        found = self._db.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        if found and type(found[0][0]) is not int:
            raise broken(self._db.folder, f"the last id of {table} is not a number")
        return int(found[0][0]) + 1 if found else 1

    def add_document(self, path: str, name: str, sha256: str, loaded: LoadedDocument) -> int:
        """Stores a document's description and structure; returns its id. Its text comes with its chunks."""
        document_id = self._next_id("documents")
        pages = json.dumps([astuple(page) for page in loaded.pages])
        headings = json.dumps([astuple(heading) for heading in loaded.headings])
        notes = json.dumps(loaded.notes)
        row = (
            document_id,
            path,
            name,
            loaded.title,
            loaded.kind,
            sha256,
            len(loaded.text),
            len(loaded.pages),
            text_digest([loaded.text]),
            checksum(self._db.salt, (document_id, pages, headings, notes)),
        )
        self._db.rows(
            f"INSERT INTO documents ({DOCUMENTS.columns}, pages, headings, notes, checksum)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, pages, headings, notes, checksum(self._db.salt, row)),
        )
        return document_id

    def add_chunks(self, document_id: int, chunks: Iterable[NewChunk]) -> None:
        """Stores a document's chunks in order."""
        first = self._next_id("chunks")
        insert(
            self._db,
            CHUNKS,
            (
                (first + n, document_id, n, new.span.start, new.span.end, new.text, *_SPAN(new.span), new.vector_id)
                for n, new in enumerate(chunks)
            ),
        )

    def documents(self) -> list[Document]:
        """All documents by name."""
        return [self._document(row) for row in read(self._db, DOCUMENTS, "ORDER BY name, id")]

    def documents_of(self, ids: Collection[int]) -> dict[int, Document]:
        """Documents by id; ids that are gone are left out."""
        found = {}
        for marks, some in portions(map(int, ids)):
            rows = read(self._db, DOCUMENTS, f"WHERE id IN ({marks})", some)
            found.update({row[0]: self._document(row) for row in rows})
        return found

    def documents_with_hash(self, sha256: str) -> list[Document]:
        """Documents made from files with this content, oldest first."""
        return [self._document(row) for row in read(self._db, DOCUMENTS, "WHERE sha256 = ? ORDER BY id", (sha256,))]

    def _document(self, row: Row) -> Document:
        if not is_stored_path(row[1]):
            raise broken(self._db.folder, f"{described(self._db, DOCUMENTS, row)} has a path that fathom never stores")
        return Document(*row[:8])

    def _row_of(self, document_id: int) -> Row:
        """Raises KeyError for an unknown id."""
        for row in read(self._db, DOCUMENTS, "WHERE id = ?", (document_id,)):
            return row
        raise KeyError(document_id)

    def text(self, document_id: int) -> str:
        """The whole text of a document, which is compared with its hash. Raises KeyError for an unknown id."""
        row = self._row_of(document_id)
        query = "SELECT text FROM chunks WHERE document_id = ? ORDER BY ordinal"
        parts = [part[0] for part in self._db.rows(query, (document_id,))]
        if not all(type(part) is str for part in parts) or text_digest(parts) != row[8]:
            raise broken(self._db.folder, f"the text of {described(self._db, DOCUMENTS, row)} is not as it was written")
        return "".join(parts)

    def structure(self, document_id: int) -> tuple[list[Page], list[Heading]]:
        """Pages and headings of a document. Raises KeyError for an unknown id."""
        row = self._row_of(document_id)
        pages, headings, _ = self._structure(row)
        return self._records(Page, (int, int, int), pages, row), self._records(Heading, (int, str, int), headings, row)

    def _notes(self, row: Row) -> list[str]:
        found = self._parsed(self._structure(row)[2], row)
        if not all(type(note) is str for note in found):
            raise self._odd(row)
        return found

    def all_notes(self) -> dict[str, list[str]]:
        """What of a document's file is not in its text, in words, by the document's path."""
        rows = read(self._db, DOCUMENTS, "WHERE notes != '[]' ORDER BY path")
        return {row[1]: self._notes(row) for row in rows}

    def _structure(self, row: Row) -> tuple[str, str, str]:
        """JSON of a document's pages, headings and notes."""
        (found,) = self._db.rows(f"SELECT {STRUCTURE} FROM documents WHERE id = ?", (row[0],))
        if tuple(map(type, found)) != (int, str, str, str) or checksum(self._db.salt, found) != row[9]:
            raise self._odd(row)
        return found[1], found[2], found[3]

    def check_structure(self, row: Row) -> None:
        """Raises CollectionBrokenError where pages, headings or notes of a document's row are not as written."""
        pages, headings, _ = self._structure(row)
        self._records(Page, (int, int, int), pages, row)
        self._records(Heading, (int, str, int), headings, row)
        self._notes(row)
        self._document(row)

    def _records(self, kind: type[Record], types: tuple[type, ...], text: str, row: Row) -> list[Record]:
        found = self._parsed(text, row)
        if not all(type(item) is list and tuple(map(type, item)) == types for item in found):
            raise self._odd(row)
        return [kind(*item) for item in found]

    def _parsed(self, text: str, row: Row) -> list[Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list):
            raise self._odd(row)
        return found

    def _odd(self, row: Row) -> CollectionBrokenError:
        return broken(
            self._db.folder, f"pages, headings or notes of {described(self._db, DOCUMENTS, row)} are not as written"
        )

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by id; ids that are gone are left out."""
        found = {}
        for marks, some in portions(map(int, ids)):
            rows = read(self._db, CHUNKS, f"WHERE id IN ({marks})", some)
            found.update({row[0]: Chunk(*row[:10]) for row in rows})
        return found

    def owners(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """Ids of chunks' documents by the chunks' ids; ids that are gone are left out. No checksum is compared."""
        found: dict[int, int] = {}
        for marks, some in portions(map(int, chunk_ids)):
            found.update(self._db.rows(f"SELECT id, document_id FROM chunks WHERE id IN ({marks})", some))
        if not all(type(owner) is int for owner in found.values()):
            raise broken(self._db.folder, "a chunk's document is not a number")
        return found

    def chunks_of(self, document_id: int, section: str | None = None) -> list[Chunk]:
        """All chunks of a document in order, or those of a section."""
        where = "WHERE document_id = ? AND section = coalesce(?, section) ORDER BY ordinal"
        return [Chunk(*row[:10]) for row in read(self._db, CHUNKS, where, (document_id, section))]

    def section_chunks(self, document_id: int, offset: int) -> list[Chunk]:
        """The run of chunks with one section around a character; none beyond the end and where there is no section."""
        section = self.section_at(document_id, offset)
        return run_around(self.chunks_of(document_id, section), offset) if section else []

    def section_at(self, document_id: int, offset: int) -> str:
        """Section of the chunk that holds a character of a document; empty beyond its end."""
        rows = read(self._db, CHUNKS, "WHERE document_id = ? AND start <= ? AND end > ?", (document_id, offset, offset))
        return str(rows[0][6]) if rows else ""

    def chunk_texts(self, first: int, last: int) -> Iterator[tuple[int, str, str]]:
        """Id, context and text of every chunk with an id in [first, last], by id."""
        for row in stream(self._db, CHUNKS, "WHERE id BETWEEN ? AND ? ORDER BY id", (first, last)):
            yield row[0], row[7], row[5]

    def chunk_ids(self, first: int, last: int) -> list[int]:
        rows = self._db.rows("SELECT id FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id", (first, last))
        return [int(row[0]) for row in rows]

    def last_chunk(self) -> int:
        """The highest chunk id in use; 0 without chunks."""
        return int(self._db.rows("SELECT coalesce(max(id), 0) FROM chunks")[0][0])

    def chunk_count(self) -> int:
        return int(self._db.rows("SELECT count(*) FROM chunks")[0][0])
