"""The collection's SQLite database: opening it, its files and settings in and out. It is the truth.

Index files are made from it and can be made again.
"""

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import astuple
from pathlib import Path

from ..documents import FileRecord, FileState, LoadedDocument
from ..files.places import is_stored_path
from .creation import create
from .database import broken
from .document_table import DocumentTable, NewChunk
from .hidden_table import HiddenTable
from .opening import Opened, open_own
from .sealing import FILES, META, Row, checksum, described, insert, read
from .segment_table import SegmentTable
from .vector_table import VectorTable

__all__ = ["STALE", "NewChunk", "Store"]

STALE = -(2**63)  # modification time of a file that the next run looks at anew; no file is said to have it
SHIPPED = ""  # hash of a document that was not made here of a file that was read here
_STATES = frozenset(FileState)
_REMOVING = "removing"  # key in the table `meta` of what is being removed


class Store(DocumentTable):
    """One connection to a collection's database. Not shared between threads.

    `home` is the collection's folder, held open. `trusted`: made elsewhere, and accepted by name.
    """

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.database)
        self.home = opened.folder
        self.trusted = opened.trusted
        self.vectors = VectorTable(opened.database)
        self.segments = SegmentTable(opened.database)
        self.hidden = HiddenTable(opened.database)

    @classmethod
    def create(cls, folder: Path, embedding: str) -> "Store":
        """A new, empty database in a folder, made whole or not at all; one that is there already is opened."""
        create(folder, embedding)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """The database in a folder. Raises CollectionError and its kinds (see `open_own`)."""
        return cls(open_own(folder))

    @property
    def folder(self) -> Path:
        """Where the collection is, for messages."""
        return self.home.path

    def close(self) -> None:
        self._db.close()
        self.home.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All of the block's changes or none of them."""
        return self._db.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read in the block is of one state, whatever other processes write meanwhile."""
        return self._db.snapshot()

    def meta(self, key: str) -> str:
        """A value of the table `meta`. Raises KeyError where there is none."""
        for row in read(self._db, META, "WHERE key = ?", (key,)):
            return str(row[1])
        raise KeyError(key)

    def set_meta(self, key: str, value: str) -> None:
        insert(self._db, META, [(key, value)])

    def _required(self, key: str) -> str:
        try:
            return self.meta(key)
        except KeyError:
            raise broken(self.folder, f"no {key!r} in its database") from None

    @property
    def embedding(self) -> str:
        """Name of the embedding model that made the vectors, or "none"."""
        return self._required("embedding")

    @property
    def generation(self) -> int:
        """Counts the changes to what a search can find."""
        found = self._required("generation")
        if not (found.isdecimal() and len(found) < 20):
            raise broken(self.folder, f"its generation is {found[:40]!r}")
        return int(found)

    def advance(self) -> None:
        """Tells readers that documents or index files changed."""
        self.set_meta("generation", str(self.generation + 1))

    def removing(self) -> dict[str, str]:
        """Names by path of files whose removal was begun and not finished."""
        try:
            found = json.loads(self.meta(_REMOVING))
            pairs = {str(path): str(name) for path, name in found}
        except KeyError:
            return {}
        except (ValueError, TypeError, RecursionError):
            pairs = {"": ""}
        if not all(map(is_stored_path, pairs)):
            raise broken(self.folder, "what was being removed is not as it was written")
        return pairs

    def remove_all(self, records: Iterable[FileRecord]) -> None:
        """Forgets files, all or none, and remembers that index files still hold them, until `removed`."""
        with self.transaction():
            left = self.removing()
            for record in records:
                self.remove_file(record.path)
                left[record.path] = record.name
            self.vectors.drop_unused()
            self.set_meta(_REMOVING, json.dumps(list(left.items())))

    def removed(self) -> None:
        """Index files hold nothing more of what was removed."""
        self._db.rows("DELETE FROM meta WHERE key = ?", (_REMOVING,))

    def add_document(self, path: str, name: str, sha256: str, loaded: LoadedDocument) -> int:
        document_id = super().add_document(path, name, sha256, loaded)
        self.hidden.add(document_id, loaded.hidden)
        self.advance()
        return document_id

    def put_file(self, record: FileRecord, mtime_ns: int) -> None:
        """Stores what is known of a file. Another document it had is released; copies of its content follow it."""
        old = self.document_of(record.path)
        insert(self._db, FILES, [(*astuple(record), mtime_ns)])
        if old is not None and old != record.document_id:
            for row in read(self._db, FILES, "WHERE document_id = ? AND sha256 = ?", (old, record.sha256)):
                insert(self._db, FILES, [(*row[:6], record.document_id, row[7])])
            self._release(old)

    def remove_file(self, path: str) -> None:
        """Forgets a file, and its document where no other file has it."""
        old = self.document_of(path)
        self._db.rows("DELETE FROM files WHERE path = ?", (path,))
        if old is not None:
            self._release(old)

    def _release(self, document_id: int) -> None:
        """Drops a document without files; one that its own file left goes to another, STALE for its context's sake."""
        users = read(self._db, FILES, "WHERE document_id = ? ORDER BY state != 'indexed', path", (document_id,))
        if not users:
            self._db.rows("INSERT INTO dead SELECT id FROM chunks WHERE document_id = ?", (document_id,))
            self._db.rows("DELETE FROM chunks WHERE document_id = ?", (document_id,))
            self.hidden.drop(document_id)
            self._db.rows("DELETE FROM documents WHERE id = ?", (document_id,))
        elif (row := self._row_of(document_id))[1] not in (user[0] for user in users):
            self._rename(row, *users[0][:2])
            insert(self._db, FILES, [(*users[0][:7], STALE)])
        self.advance()

    def _rename(self, row: Row, path: str, name: str) -> None:
        """Calls a document after another file."""
        values = (row[0], path, name, *row[3:-1])
        query = "UPDATE documents SET path = ?, name = ?, checksum = ? WHERE id = ?"
        self._db.rows(query, (path, name, checksum(self._db.salt, values), row[0]))

    def shipped_count(self) -> int:
        """Documents that came with a collection made elsewhere, whose files were not read since it was trusted."""
        if not self.trusted:
            return 0
        return int(self._db.rows("SELECT count(*) FROM documents WHERE sha256 = ?", (SHIPPED,))[0][0])

    def document_of(self, path: str) -> int | None:
        """The document of a file; None where it has none or is not known."""
        rows = read(self._db, FILES, "WHERE path = ?", (path,))
        return rows[0][6] if rows else None

    def own_document_of(self, path: str) -> int | None:
        """As `document_of`, but None for a document that came with a collection made elsewhere."""
        found = self.document_of(path)
        return found if found is not None and self._row_of(found)[5] != SHIPPED else None

    def shipped(self) -> list[FileRecord]:
        """Files whose document came with a collection made elsewhere, and was not made anew of what they hold here."""
        found = {row[0] for row in self._db.rows("SELECT id FROM documents WHERE sha256 = ?", (SHIPPED,))}
        return [record for record in self.files() if record.document_id in found] if found else []

    def stale(self) -> set[str]:
        """Paths of indexed files whose document must be made anew."""
        rows = self._db.rows("SELECT path FROM files WHERE mtime_ns = ? AND state = ?", (STALE, FileState.INDEXED))
        return {row[0] for row in rows}

    def files(self) -> list[FileRecord]:
        """All known files by path."""
        return [self._file(row) for row in read(self._db, FILES, "ORDER BY path")]

    def _file(self, row: Row) -> FileRecord:
        if not is_stored_path(row[0]) or row[2] not in _STATES:
            raise broken(self.folder, f"{described(self._db, FILES, row)} has a path or state that fathom never stores")
        return FileRecord(row[0], row[1], FileState(row[2]), *row[3:7])

    def mtimes(self) -> dict[str, int]:
        """Modification time in ns of every known file as it was when it was read."""
        return {row[0]: row[7] for row in read(self._db, FILES)}
