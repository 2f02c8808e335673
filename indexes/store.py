"""The collection's SQLite database: opening it, and documents, chunks and files in and out. It is the truth.

Index files are made from it and can be made again. A document's text is kept once, as its chunks: they touch and
cover all of it.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from .chunking import Span
from .database import Database, portions, start_again
from .documents import Chunk, Document, FileRecord, FileState, Heading, LoadedDocument, Page, run_around
from .errors import CollectionBrokenError, CollectionError, CollectionMissingError, CollectionVersionError
from .schema import DATABASE, FORMAT_VERSION, SCHEMA
from .segment_table import SegmentTable
from .vector_table import VectorTable

_DOCUMENT = "d.id, d.path, d.name, d.title, d.kind, d.sha256, d.characters, d.page_count"
_CHUNK = "c.id, c.document_id, c.ordinal, c.start, c.end, c.text, c.section, c.context, c.first_page, c.last_page"
_COLUMNS = attrgetter("start", "end", "section", "context", "first_page", "last_page")  # of a span, as inserted
STALE = -(2**63)  # modification time of a file that the next run looks at anew; no file system has it


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk on its way into the store: its span, its text, and the row of its vector if there is one."""

    span: Span
    text: str
    vector_id: int | None


class Store:
    """One connection to a collection's database. Not shared between threads."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._db = database
        self.vectors = VectorTable(database)
        self.segments = SegmentTable(database)

    @classmethod
    def create(cls, folder: Path, embedding: str) -> "Store":
        """A new, empty database in a folder, made whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        store = cls(folder, Database(folder / DATABASE))
        with store.transaction():
            if not store._is_blank():
                return store  # another process was faster
            for statement in SCHEMA.split(";"):
                store._db.rows(statement)
            store.set_meta("format_version", str(FORMAT_VERSION))
            store.set_meta("embedding", embedding)
            store.set_meta("generation", "0")
        return store

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """The database in a folder. Raises CollectionMissingError, -BrokenError or -VersionError."""
        if not (folder / DATABASE).is_file():
            raise _missing(folder)
        store = cls(folder, Database(folder / DATABASE))
        try:
            if store._is_blank():  # the process that made it was killed before it wrote anything
                raise _missing(folder)
            found = store.meta("format_version")
            if found != str(FORMAT_VERSION):
                raise CollectionVersionError(
                    f"the collection {folder} has format {found}, this fathom reads format {FORMAT_VERSION}",
                    start_again(folder),
                )
        except KeyError as error:
            store.close()
            raise CollectionBrokenError(
                f"the collection {folder} is damaged: no {error}", start_again(folder)
            ) from error
        except CollectionError:
            store.close()
            raise
        return store

    def _is_blank(self) -> bool:
        return not self._db.rows("SELECT 1 FROM sqlite_master LIMIT 1")

    def close(self) -> None:
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All of the block's changes or none of them."""
        return self._db.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read in the block is of one state, whatever other processes write meanwhile."""
        return self._db.snapshot()

    def damage(self) -> list[str]:
        """What SQLite's own check of the whole file finds wrong, in its words."""
        found = [str(row[0]) for row in self._db.rows("PRAGMA integrity_check(20)")]
        broken = self._db.rows("PRAGMA foreign_key_check") if found == ["ok"] else []  # it does not get past damage
        return [line for line in found if line != "ok"] + [f"a row of {row[0]} points nowhere" for row in broken[:20]]

    def meta(self, key: str) -> str:
        """A value of the table `meta`. Raises KeyError where there is none."""
        for row in self._db.rows("SELECT value FROM meta WHERE key = ?", (key,)):
            return str(row[0])
        raise KeyError(key)

    def set_meta(self, key: str, value: str) -> None:
        self._db.rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Counts the changes to what a search can find."""
        return int(self.meta("generation"))

    def advance(self) -> None:
        """Tells readers that documents or index files changed."""
        self.set_meta("generation", str(self.generation + 1))

    # Documents and chunks

    def add_document(self, path: str, name: str, sha256: str, loaded: LoadedDocument) -> int:
        """Stores a document's description and structure; returns its id. Its text comes with its chunks."""
        row = self._db.rows(
            "INSERT INTO documents (path, name, title, kind, sha256, characters, page_count, pages, headings, notes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                path,
                name,
                loaded.title,
                loaded.kind,
                sha256,
                len(loaded.text),
                len(loaded.pages),
                json.dumps([astuple(page) for page in loaded.pages]),
                json.dumps([astuple(heading) for heading in loaded.headings]),
                json.dumps(loaded.notes),
            ),
        )
        self.advance()
        return int(row[0][0])

    def add_chunks(self, document_id: int, chunks: Iterable[NewChunk]) -> None:
        """Stores a document's chunks in order."""
        self._db.many(
            "INSERT INTO chunks (document_id, ordinal, start, end, section, context, first_page, last_page, text,"
            " vector_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((document_id, n, *_COLUMNS(new.span), new.text, new.vector_id) for n, new in enumerate(chunks)),
        )

    def documents(self) -> list[Document]:
        """All documents by name."""
        rows = self._db.rows(f"SELECT {_DOCUMENT} FROM documents d ORDER BY d.name, d.id")
        return [Document(*row) for row in rows]

    def documents_of(self, ids: Collection[int]) -> dict[int, Document]:
        """Documents by id; ids that are gone are left out."""
        found = {}
        for marks, some in portions(map(int, ids)):
            rows = self._db.rows(f"SELECT {_DOCUMENT} FROM documents d WHERE d.id IN ({marks})", some)
            found.update({row[0]: Document(*row) for row in rows})
        return found

    def documents_with_hash(self, sha256: str) -> list[Document]:
        """Documents made from files with this content, oldest first."""
        rows = self._db.rows(f"SELECT {_DOCUMENT} FROM documents d WHERE d.sha256 = ? ORDER BY d.id", (sha256,))
        return [Document(*row) for row in rows]

    def text(self, document_id: int) -> str:
        """The whole text of a document. Raises KeyError for an unknown id."""
        self._of_document("id", document_id)
        rows = self._db.rows("SELECT text FROM chunks WHERE document_id = ? ORDER BY ordinal", (document_id,))
        return "".join(row[0] for row in rows)

    def structure(self, document_id: int) -> tuple[list[Page], list[Heading]]:
        """Pages and headings of a document. Raises KeyError for an unknown id."""
        row = self._of_document("pages, headings", document_id)
        return [Page(*page) for page in json.loads(row[0])], [Heading(*item) for item in json.loads(row[1])]

    def all_notes(self) -> dict[str, list[str]]:
        """What of a document's file is not in its text, in words, by the document's path."""
        rows = self._db.rows("SELECT path, notes FROM documents WHERE notes != '[]' ORDER BY path")
        return {row[0]: json.loads(row[1]) for row in rows}

    def _of_document(self, columns: str, document_id: int) -> Any:
        for row in self._db.rows(f"SELECT {columns} FROM documents WHERE id = ?", (document_id,)):
            return row
        raise KeyError(document_id)

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by id; ids that are gone are left out."""
        found = {}
        for marks, some in portions(map(int, ids)):
            rows = self._db.rows(f"SELECT {_CHUNK} FROM chunks c WHERE c.id IN ({marks})", some)
            found.update({row[0]: Chunk(*row) for row in rows})
        return found

    def owners(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """Ids of chunks' documents by the chunks' ids; ids that are gone are left out."""
        found: dict[int, int] = {}
        for marks, some in portions(map(int, chunk_ids)):
            found.update(self._db.rows(f"SELECT id, document_id FROM chunks WHERE id IN ({marks})", some))
        return found

    def chunks_of(self, document_id: int, section: str | None = None) -> list[Chunk]:
        """All chunks of a document in order, or those of a section."""
        where = "c.document_id = ? AND c.section = coalesce(?, c.section)"
        rows = self._db.rows(f"SELECT {_CHUNK} FROM chunks c WHERE {where} ORDER BY c.ordinal", (document_id, section))
        return [Chunk(*row) for row in rows]

    def section_chunks(self, document_id: int, offset: int) -> list[Chunk]:
        """The run of chunks with one section around a character; none beyond the end and where there is no section."""
        section = self.section_at(document_id, offset)
        return run_around(self.chunks_of(document_id, section), offset) if section else []

    def section_at(self, document_id: int, offset: int) -> str:
        """Section of the chunk that holds a character of a document; empty beyond its end."""
        query = "SELECT section FROM chunks WHERE document_id = ? AND start <= ? AND end > ?"
        rows = self._db.rows(query, (document_id, offset, offset))
        return str(rows[0][0]) if rows else ""

    def chunk_texts(self, first: int, last: int) -> Iterator[tuple[int, str, str]]:
        """Id, context and text of every chunk with an id in [first, last], by id."""
        query = "SELECT id, context, text FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id"
        yield from self._db.stream(query, (first, last))

    def chunk_ids(self, first: int, last: int) -> list[int]:
        rows = self._db.rows("SELECT id FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id", (first, last))
        return [int(row[0]) for row in rows]

    def last_chunk(self) -> int:
        """The highest chunk id in use; 0 without chunks."""
        return int(self._db.rows("SELECT coalesce(max(id), 0) FROM chunks")[0][0])

    def chunk_count(self) -> int:
        return int(self._db.rows("SELECT count(*) FROM chunks")[0][0])

    # Files

    def put_file(self, record: FileRecord, mtime_ns: int) -> None:
        """Stores what is known of a file. Another document it had is released; copies of its content follow it."""
        old = self.document_of(record.path)
        columns = "path, name, state, reason, sha256, size_bytes, document_id, mtime_ns"
        values = (*astuple(record), mtime_ns)
        self._db.rows(f"INSERT OR REPLACE INTO files ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        if old is not None and old != record.document_id:
            query = "UPDATE files SET document_id = ? WHERE document_id = ? AND sha256 = ?"
            self._db.rows(query, (record.document_id, old, record.sha256))
            self._release(old)

    def remove_file(self, path: str) -> None:
        """Forgets a file, and its document where no other file has it."""
        old = self.document_of(path)
        self._db.rows("DELETE FROM files WHERE path = ?", (path,))
        if old is not None:
            self._release(old)

    def _release(self, document_id: int) -> None:
        """Drops a document without files; one that its own file left goes to another, STALE for its context's sake."""
        query = "SELECT path, name FROM files WHERE document_id = ? ORDER BY state != 'indexed', path"
        users = self._db.rows(query, (document_id,))
        if not users:
            self._db.rows("INSERT INTO dead SELECT id FROM chunks WHERE document_id = ?", (document_id,))
            self._db.rows("DELETE FROM chunks WHERE document_id = ?", (document_id,))
            self._db.rows("DELETE FROM documents WHERE id = ?", (document_id,))
        elif self._of_document("path", document_id)[0] not in (path for path, _ in users):
            self._db.rows("UPDATE documents SET path = ?, name = ? WHERE id = ?", (*users[0], document_id))
            self._db.rows("UPDATE files SET mtime_ns = ? WHERE path = ?", (STALE, users[0][0]))
        self.advance()

    def document_of(self, path: str) -> int | None:
        """The document of a file; None where it has none or is not known."""
        rows = self._db.rows("SELECT document_id FROM files WHERE path = ? AND document_id IS NOT NULL", (path,))
        return int(rows[0][0]) if rows else None

    def stale(self) -> set[str]:
        """Paths of indexed files whose document must be made anew."""
        rows = self._db.rows("SELECT path FROM files WHERE mtime_ns = ? AND state = ?", (STALE, FileState.INDEXED))
        return {row[0] for row in rows}

    def files(self) -> list[FileRecord]:
        """All known files by path."""
        rows = self._db.rows(
            "SELECT path, name, state, reason, sha256, size_bytes, document_id FROM files ORDER BY path"
        )
        return [FileRecord(row[0], row[1], FileState(row[2]), *row[3:]) for row in rows]

    def mtimes(self) -> dict[str, int]:
        """Modification time in ns of every known file as it was when it was read."""
        return dict(self._db.rows("SELECT path, mtime_ns FROM files"))


def _missing(folder: Path) -> CollectionMissingError:
    return CollectionMissingError(f"there is no collection in {folder}", "make one: fathom index FOLDER")
