"""The collection's SQLite database: schema, opening, and the rows in and out. It is the truth; indexes are caches."""

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .chunking import Span
from .database import Database, start_again
from .documents import Chunk, Document, FileRecord, FileState, Heading, LoadedDocument, Page
from .embedding import Vectors
from .errors import CollectionBrokenError, CollectionError, CollectionMissingError, CollectionVersionError

FORMAT_VERSION = 1
DATABASE = "collection.sqlite"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL,
    kind TEXT NOT NULL, sha256 TEXT NOT NULL, text TEXT NOT NULL, characters INTEGER NOT NULL,
    page_count INTEGER NOT NULL, pages TEXT NOT NULL, headings TEXT NOT NULL) STRICT;
CREATE TABLE files (
    path TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    document_id INTEGER REFERENCES documents(id)) STRICT;
CREATE INDEX files_document ON files(document_id);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, section TEXT NOT NULL,
    context TEXT NOT NULL, first_page INTEGER, last_page INTEGER, terms TEXT NOT NULL, vector BLOB) STRICT;
CREATE INDEX chunks_document ON chunks(document_id, ordinal);
CREATE INDEX documents_sha256 ON documents(sha256);
"""
_DOCUMENT = "d.id, d.path, d.name, d.title, d.kind, d.sha256, d.characters, d.page_count"
_CHUNK = (
    "c.id, c.document_id, c.ordinal, c.start, c.end, substr(d.text, c.start + 1, c.end - c.start), "
    "c.section, c.context, c.first_page, c.last_page"
)


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk on its way into the store: its span, its index terms, and its vector [d] if there is one."""

    span: Span
    terms: Sequence[str]
    vector: Vectors | None


class Store:
    """One connection to a collection's database. Not shared between threads."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._db = database

    @classmethod
    def create(cls, folder: Path, embedding: str) -> "Store":
        """A new, empty database in a folder, made whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        store = cls(folder, Database(folder / DATABASE))
        with store.transaction():
            if not store._is_blank():
                return store  # another process was faster
            for statement in _SCHEMA.split(";"):
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

    def meta(self, key: str) -> str:
        """A value of the table `meta`. Raises KeyError where there is none."""
        for row in self._db.rows("SELECT value FROM meta WHERE key = ?", (key,)):
            return str(row[0])
        raise KeyError(key)

    def set_meta(self, key: str, value: str) -> None:
        self._db.rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Counts the changes to documents; index files carry it in their names."""
        return int(self.meta("generation"))

    def _advance(self) -> None:
        self.set_meta("generation", str(self.generation + 1))

    # Documents and chunks

    def add_document(self, path: str, name: str, sha256: str, loaded: LoadedDocument) -> int:
        """Stores a document's text and structure; returns its id."""
        row = self._db.rows(
            "INSERT INTO documents (path, name, title, kind, sha256, text, characters, page_count, pages, headings)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                path,
                name,
                loaded.title,
                loaded.kind,
                sha256,
                loaded.text,
                len(loaded.text),
                len(loaded.pages),
                json.dumps([astuple(page) for page in loaded.pages]),
                json.dumps([astuple(heading) for heading in loaded.headings]),
            ),
        )
        self._advance()
        return int(row[0][0])

    def add_chunks(self, document_id: int, chunks: Iterable[NewChunk]) -> None:
        """Stores a document's chunks in order."""
        for ordinal, new in enumerate(chunks):
            vector = None if new.vector is None else new.vector.astype("<f4").tobytes()
            self._db.rows(
                "INSERT INTO chunks (document_id, ordinal, start, end, section, context, first_page, last_page, terms,"
                " vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (document_id, ordinal, *astuple(new.span), " ".join(new.terms), vector),
            )

    def release_document(self, document_id: int) -> None:
        """Drops a document that no file refers to; else names it after a file that still does."""
        users = self._db.rows(
            "SELECT path, name FROM files WHERE document_id = ? ORDER BY path LIMIT 1", (document_id,)
        )
        if users:
            self._db.rows("UPDATE documents SET path = ?, name = ? WHERE id = ?", (*users[0], document_id))
        else:
            self._db.rows("DELETE FROM chunks WHERE document_id = ?", (document_id,))
            self._db.rows("DELETE FROM documents WHERE id = ?", (document_id,))
        self._advance()

    def documents(self) -> list[Document]:
        """All documents by name."""
        rows = self._db.rows(f"SELECT {_DOCUMENT} FROM documents d ORDER BY d.name, d.id")
        return [Document(*row) for row in rows]

    def document_with_hash(self, sha256: str) -> int | None:
        rows = self._db.rows("SELECT id FROM documents WHERE sha256 = ? ORDER BY id LIMIT 1", (sha256,))
        return int(rows[0][0]) if rows else None

    def text(self, document_id: int) -> str:
        """The whole text of a document. Raises KeyError for an unknown id."""
        return str(self._of_document("text", document_id)[0])

    def structure(self, document_id: int) -> tuple[list[Page], list[Heading]]:
        """Pages and headings of a document. Raises KeyError for an unknown id."""
        row = self._of_document("pages, headings", document_id)
        return [Page(*page) for page in json.loads(row[0])], [Heading(*item) for item in json.loads(row[1])]

    def _of_document(self, columns: str, document_id: int) -> Any:
        for row in self._db.rows(f"SELECT {columns} FROM documents WHERE id = ?", (document_id,)):
            return row
        raise KeyError(document_id)

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by id; ids that are gone are left out."""
        marks = ",".join("?" * len(ids))
        rows = self._db.rows(
            f"SELECT {_CHUNK} FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.id IN ({marks})",
            list(ids),
        )
        return {row[0]: Chunk(*row) for row in rows}

    def chunks_of(self, document_id: int) -> list[Chunk]:
        """All chunks of a document in order."""
        rows = self._db.rows(
            f"SELECT {_CHUNK} FROM chunks c JOIN documents d ON d.id = c.document_id WHERE d.id = ? ORDER BY c.ordinal",
            (document_id,),
        )
        return [Chunk(*row) for row in rows]

    def section_at(self, document_id: int, offset: int) -> str:
        """Section of the chunk that holds a character of a document; empty beyond its end."""
        query = "SELECT section FROM chunks WHERE document_id = ? AND start <= ? AND end > ?"
        rows = self._db.rows(query, (document_id, offset, offset))
        return str(rows[0][0]) if rows else ""

    def chunk_terms(self) -> tuple[list[int], list[list[str]]]:
        """Ids and index terms of every chunk, by id."""
        rows = self._db.rows("SELECT id, terms FROM chunks ORDER BY id")
        return [row[0] for row in rows], [row[1].split() for row in rows]

    def chunk_vectors(self) -> tuple[list[int], Vectors]:
        """Ids and vectors [n, d] of every chunk that has one, by id."""
        rows = self._db.rows("SELECT id, vector FROM chunks WHERE vector IS NOT NULL ORDER BY id")
        if not rows:
            return [], np.zeros((0, 1), dtype=np.float32)
        return [row[0] for row in rows], np.stack([np.frombuffer(row[1], dtype="<f4") for row in rows])

    def vector_shape(self) -> tuple[int, int]:
        """Shape (n, d) of what `chunk_vectors` gives."""
        count, size = self._db.rows("SELECT count(vector), coalesce(max(length(vector)), 4) FROM chunks")[0]
        return int(count), int(size) // 4

    def chunk_count(self) -> int:
        return int(self._db.rows("SELECT count(*) FROM chunks")[0][0])

    # Files

    def put_file(self, record: FileRecord, mtime_ns: int) -> None:
        """Stores or replaces what is known of a file."""
        self._db.rows(
            "INSERT OR REPLACE INTO files (path, name, state, reason, sha256, size_bytes, document_id, mtime_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*astuple(record), mtime_ns),
        )

    def remove_file(self, path: str) -> None:
        self._db.rows("DELETE FROM files WHERE path = ?", (path,))

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
