"""The collection's SQLite database: schema, opening, and the rows in and out. It is the truth; indexes are caches."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from .chunking import Span
from .documents import Chunk, Document, FileRecord, FileState, Heading, LoadedDocument, Page
from .embedding import Vectors
from .errors import CollectionBrokenError, CollectionVersionError

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

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._db = connection

    @classmethod
    def create(cls, folder: Path, embedding: str) -> "Store":
        """A new, empty database in a folder, made whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        store = cls(folder, _connect(folder / DATABASE))
        with store.transaction():
            for statement in _SCHEMA.split(";"):
                store._db.execute(statement)
            store.set_meta("format_version", str(FORMAT_VERSION))
            store.set_meta("embedding", embedding)
            store.set_meta("generation", "0")
        return store

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """The database in a folder. Raises CollectionBrokenError or CollectionVersionError."""
        path = folder / DATABASE
        hint = f"move {folder} away and run `fathom index` again; the documents themselves are untouched"
        try:
            connection = _connect(path)
            store = cls(folder, connection)
            found = store.meta("format_version")
        except (sqlite3.DatabaseError, KeyError) as error:
            raise CollectionBrokenError(f"the collection {folder} is damaged: {error}", hint) from error
        if found != str(FORMAT_VERSION):
            raise CollectionVersionError(
                f"the collection {folder} has format {found}, this fathom reads format {FORMAT_VERSION}", hint
            )
        return store

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's changes or none of them; a damaged file becomes CollectionBrokenError."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def meta(self, key: str) -> str:
        """A value of the table `meta`. Raises KeyError where there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Counts the changes to documents; index files carry it in their names."""
        return int(self.meta("generation"))

    def _advance(self) -> None:
        self.set_meta("generation", str(self.generation + 1))

    # Documents and chunks

    def add_document(self, path: str, name: str, sha256: str, loaded: LoadedDocument) -> int:
        """Stores a document's text and structure; returns its id."""
        cursor = self._db.execute(
            "INSERT INTO documents (path, name, title, kind, sha256, text, characters, page_count, pages, headings)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def add_chunks(self, document_id: int, chunks: Iterable[NewChunk]) -> None:
        """Stores a document's chunks in order."""
        self._db.executemany(
            "INSERT INTO chunks (document_id, ordinal, start, end, section, context, first_page, last_page, terms,"
            " vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    document_id,
                    ordinal,
                    new.span.start,
                    new.span.end,
                    new.span.section,
                    new.span.context,
                    new.span.first_page,
                    new.span.last_page,
                    " ".join(new.terms),
                    None if new.vector is None else new.vector.astype("<f4").tobytes(),
                )
                for ordinal, new in enumerate(chunks)
            ),
        )

    def release_document(self, document_id: int) -> None:
        """Drops a document that no file refers to; else names it after a file that still does."""
        row = self._db.execute(
            "SELECT path, name FROM files WHERE document_id = ? ORDER BY path", (document_id,)
        ).fetchone()
        if row is None:
            self._db.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))
            self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        else:
            self._db.execute("UPDATE documents SET path = ?, name = ? WHERE id = ?", (*row, document_id))
        self._advance()

    def documents(self) -> list[Document]:
        """All documents by name."""
        rows = self._db.execute(f"SELECT {_DOCUMENT} FROM documents d ORDER BY d.name, d.id")
        return [Document(*row) for row in rows]

    def document_with_hash(self, sha256: str) -> int | None:
        row = self._db.execute("SELECT id FROM documents WHERE sha256 = ? ORDER BY id", (sha256,)).fetchone()
        return None if row is None else int(row[0])

    def text(self, document_id: int) -> str:
        """The whole text of a document. Raises KeyError for an unknown id."""
        row = self._db.execute("SELECT text FROM documents WHERE id = ?", (document_id,)).fetchone()
        if row is None:
            raise KeyError(document_id)
        return str(row[0])

    def structure(self, document_id: int) -> tuple[list[Page], list[Heading]]:
        """Pages and headings of a document. Raises KeyError for an unknown id."""
        row = self._db.execute("SELECT pages, headings FROM documents WHERE id = ?", (document_id,)).fetchone()
        if row is None:
            raise KeyError(document_id)
        return [Page(*page) for page in json.loads(row[0])], [Heading(*item) for item in json.loads(row[1])]

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by id; ids that are gone are left out."""
        marks = ",".join("?" * len(ids))
        rows = self._db.execute(
            f"SELECT {_CHUNK} FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.id IN ({marks})",
            list(ids),
        )
        return {row[0]: Chunk(*row) for row in rows}

    def chunks_of(self, document_id: int) -> list[Chunk]:
        """All chunks of a document in order."""
        rows = self._db.execute(
            f"SELECT {_CHUNK} FROM chunks c JOIN documents d ON d.id = c.document_id WHERE d.id = ? ORDER BY c.ordinal",
            (document_id,),
        )
        return [Chunk(*row) for row in rows]

    def chunk_terms(self) -> tuple[list[int], list[list[str]]]:
        """Ids and index terms of every chunk, by id."""
        rows = self._db.execute("SELECT id, terms FROM chunks ORDER BY id").fetchall()
        return [row[0] for row in rows], [row[1].split() for row in rows]

    def chunk_vectors(self) -> tuple[list[int], Vectors]:
        """Ids and vectors [n, d] of every chunk that has one, by id."""
        rows = self._db.execute("SELECT id, vector FROM chunks WHERE vector IS NOT NULL ORDER BY id").fetchall()
        if not rows:
            return [], np.zeros((0, 1), dtype=np.float32)
        return [row[0] for row in rows], np.stack([np.frombuffer(row[1], dtype="<f4") for row in rows])

    def chunk_count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM chunks").fetchone()[0])

    # Files

    def put_file(self, record: FileRecord, mtime_ns: int) -> None:
        """Stores or replaces what is known of a file."""
        self._db.execute(
            "INSERT OR REPLACE INTO files (path, name, state, reason, sha256, size_bytes, document_id, mtime_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*astuple(record), mtime_ns),
        )

    def remove_file(self, path: str) -> None:
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def files(self) -> list[FileRecord]:
        """All known files by path."""
        rows = self._db.execute(
            "SELECT path, name, state, reason, sha256, size_bytes, document_id FROM files ORDER BY path"
        )
        return [FileRecord(row[0], row[1], FileState(row[2]), *row[3:]) for row in rows]

    def mtimes(self) -> dict[str, int]:
        """Modification time in ns of every known file as it was when it was read."""
        return dict(self._db.execute("SELECT path, mtime_ns FROM files"))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
