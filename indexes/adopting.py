"""A collection that was made elsewhere: what it says of itself, and accepting it by name.

What it holds is as its sender likes until its files are read anew. So accepting it makes sure that nothing shipped
stands for a file any longer: every file is marked STALE, no document or vector is found by its content, index files
are made from the database, and a file that could not be read, whose path a later `--retry-failed` would open, is
forgotten or no longer said to have failed.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from .documents import FileState
from .files.folder import owner_name
from .files.locking import writing
from .segments.compaction import Compaction
from .segments.integrity import database_damage
from .storage.database import broken
from .storage.opening import Opened, check_files, check_header, connect, enter
from .storage.origin import new_id, require_key, salt_of, trust, write_origin
from .storage.sealing import META, insert, seal_all_again
from .storage.store import SHIPPED, STALE, Store

_DEPTH = 2  # of folders in `.fathom`: segments, and one of them
_KEPT = ("id", "embedding", "generation", "model")  # entries of `meta` that mean something in another's collection


@dataclass(frozen=True, slots=True)
class Claims:
    """What a collection says of itself. `embedding` is data: it names the model that a search would load."""

    folder: str
    owner: str
    embedding: str
    documents: int
    files: int
    chunks: int


def inspect(folder: Path) -> Claims:
    """What a collection says, whoever made it; nothing of it is changed but for what SQLite tidies up.

    Raises CollectionError and its kinds for one that could not be accepted as it is.
    """
    with _unbound(folder) as store:
        return _claims(store)


def adopt(folder: Path) -> Claims:
    """Accepts a collection at its path; returns what it said.

    One that belongs to somebody else is accepted where this user may write to it: that user can change it at any time.
    Raises CollectionError and its kinds, with nothing changed, for one that is damaged or cannot be written to.
    """
    require_key()  # else what follows could not be recorded
    with _unbound(folder) as store, writing(store.home):
        if found := database_damage(store):
            raise broken(folder, found[0])
        claims, collection_id = _claims(store), new_id()
        with store.transaction():
            _disarm(store, collection_id)
        write_origin(store.home, collection_id, signed=False)
        trust(store.home, collection_id)
        compaction = Compaction(store)
        compaction.clear()
        compaction.settle()
        return claims


@contextmanager
def _unbound(path: Path) -> Iterator[Store]:
    """The store of a collection, whoever made it and whatever its origin says."""
    folder = enter(path)
    folder.owners |= {folder.status.st_uid}
    try:
        check_files(folder)
        folder.check_all(_DEPTH)
        check_header(folder)
        opened = Opened(folder, connect(folder, None), False)
    except BaseException:
        folder.close()
        raise
    with closing(Store(opened)) as store:
        yield store


def _claims(store: Store) -> Claims:
    with store.snapshot():
        return Claims(
            str(store.folder),
            owner_name(store.home.status.st_uid),
            store.embedding,
            len(store.documents()),
            len(store.files()),
            store.chunk_count(),
        )


def _disarm(store: Store, collection_id: str) -> None:
    """Makes a collection another one, in which nothing that was shipped stands for a file."""
    database = store.database
    database.rows("DELETE FROM files WHERE document_id IS NULL")
    database.rows("UPDATE files SET mtime_ns = ?, state = ?, reason = ''", (STALE, FileState.INDEXED))
    for table, column in (("chunks", "document_id"), ("hidden", "document_id"), ("documents", "id")):
        database.rows(
            f"DELETE FROM {table} WHERE {column} NOT IN (SELECT document_id FROM files)"
        )  # no run meets these
    database.rows("UPDATE documents SET sha256 = ?", (SHIPPED,))

    def key(old: bytes) -> bytes:
        return blake2b(old, key=collection_id.encode(), digest_size=16).digest()

    database.define("another_key", key)
    database.rows("UPDATE vectors SET key = another_key(key)")
    marks = ", ".join("?" * len(_KEPT))
    database.rows(f"DELETE FROM meta WHERE key NOT IN ({marks})", _KEPT)
    database.rows("DELETE FROM segments")
    database.rows("DELETE FROM dead")
    database.salt = salt_of(collection_id)
    insert(database, META, [("id", collection_id)])
    seal_all_again(database)
    store.advance()
