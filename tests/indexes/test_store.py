"""The database: rows in and out, transactions, snapshots, and files that are no database."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from indexes.chunking import Span
from indexes.documents import FileRecord, FileState, Heading, LoadedDocument, Page
from indexes.errors import (
    CollectionBrokenError,
    CollectionBusyError,
    CollectionError,
    CollectionMissingError,
    CollectionVersionError,
)
from indexes.store import DATABASE, NewChunk, Store

TEXT = "# Größe 🌊\n\nThe wave 🌊 is 3 m high.\n"
LOADED = LoadedDocument("pdf", "Größe", TEXT, (Page(1, 0, len(TEXT)),), (Heading(1, "Größe 🌊", 0),))


def _file(path: str, document_id: int | None) -> FileRecord:
    return FileRecord(path, path, FileState.INDEXED, "", "ab", 3, document_id)


def _filled(folder: Path) -> tuple[Store, int]:
    store = Store.create(folder, "hash")
    with store.transaction():
        document_id = store.add_document("a.pdf", "a.pdf", "ab", LOADED)
        spans = [Span(0, 11, "", "Größe", 1, 1), Span(11, len(TEXT), "Größe 🌊", "Größe › 🌊", 1, None)]
        vectors = [np.array([1, 0], dtype=np.float32), np.array([0.5, -0.25], dtype=np.float32)]
        store.add_chunks(document_id, [NewChunk(s, ["wave", "3"], v) for s, v in zip(spans, vectors, strict=True)])
        store.put_file(_file("a.pdf", document_id), 17)
    return store, document_id


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    store, document_id = _filled(tmp_path)
    assert store.text(document_id) == TEXT
    assert store.structure(document_id) == (list(LOADED.pages), list(LOADED.headings))
    assert [(d.id, d.name, d.characters, d.pages) for d in store.documents()] == [(document_id, "a.pdf", len(TEXT), 1)]
    chunks = store.chunks_of(document_id)
    assert [chunk.text for chunk in chunks] == [TEXT[chunk.start : chunk.end] for chunk in chunks]  # astral letters too
    assert [(chunk.ordinal, chunk.section, chunk.last_page) for chunk in chunks] == [(0, "", 1), (1, "Größe 🌊", None)]
    assert store.chunks([chunks[1].id, 999]) == {chunks[1].id: chunks[1]}
    assert store.chunks([]) == {}
    assert store.chunk_terms() == ([chunk.id for chunk in chunks], [["wave", "3"]] * 2)
    assert store.chunk_vectors()[1].tolist() == [[1, 0], [0.5, -0.25]]
    assert store.vector_shape() == store.chunk_vectors()[1].shape == (2, 2)
    assert store.files() == [_file("a.pdf", document_id)]
    assert store.mtimes() == {"a.pdf": 17}
    assert store.document_with_hash("ab") == document_id
    assert store.document_with_hash("cd") is None
    assert store.meta("embedding") == "hash"
    assert store.generation == 1
    store.close()


def test_an_empty_store_has_no_vectors(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "none")
    assert store.vector_shape() == store.chunk_vectors()[1].shape == (0, 1)
    assert store.chunk_count() == 0
    store.close()


def test_a_released_document_lives_while_a_file_refers_to_it(tmp_path: Path) -> None:
    store, document_id = _filled(tmp_path)
    with store.transaction():
        store.put_file(_file("b.pdf", document_id), 18)
        store.remove_file("a.pdf")
        store.release_document(document_id)
    assert [(d.id, d.path) for d in store.documents()] == [(document_id, "b.pdf")]
    with store.transaction():
        store.remove_file("b.pdf")
        store.release_document(document_id)
    assert (store.documents(), store.chunk_count(), store.generation) == ([], 0, 3)
    for ask in (store.text, store.structure):
        with pytest.raises(KeyError):
            ask(document_id)
    store.close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store, _ = _filled(tmp_path)

    def fail() -> None:
        with store.transaction():
            store.add_document("b", "b", "cd", LOADED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert len(store.documents()) == 1
    assert store.generation == 1
    with store.transaction():  # and the next one works
        store.set_meta("x", "y")
    store.close()


def test_a_snapshot_sees_one_state_while_another_writes(tmp_path: Path) -> None:
    store, document_id = _filled(tmp_path)
    other = Store.open(tmp_path)
    with store.snapshot():
        assert store.generation == 1
        with other.transaction():
            other.remove_file("a.pdf")
            other.release_document(document_id)
        assert store.generation == 1
        assert store.text(document_id) == TEXT
    assert store.generation == 2
    assert store.documents() == []
    store.close()
    other.close()


def test_a_database_locked_by_another_is_busy_and_not_damaged(tmp_path: Path) -> None:
    store, _ = _filled(tmp_path)
    store._db.rows("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CollectionBusyError, match="another process is writing to "), store.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()
    store.close()


def test_a_store_is_made_once_whoever_comes_second(tmp_path: Path) -> None:
    first = Store.create(tmp_path, "hash")
    second = Store.create(tmp_path, "none")
    assert second.meta("embedding") == first.meta("embedding") == "hash"
    first.close()
    second.close()


def test_a_folder_without_a_database_and_one_with_a_blank_database_hold_no_collection(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(CollectionMissingError, match="there is no collection in ") as caught:
            Store.open(tmp_path)
        assert caught.value.hint == "make one: fathom index FOLDER"
        (tmp_path / DATABASE).touch()  # as a process killed while it made one leaves it
    Store.create(tmp_path, "hash").close()
    Store.open(tmp_path).close()


def test_another_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "hash")
    store.set_meta("format_version", "99")
    store.close()
    with pytest.raises(CollectionVersionError, match="has format 99, this fathom reads format 1") as caught:
        Store.open(tmp_path)
    assert "run `fathom index` again" in caught.value.hint


@pytest.mark.parametrize("content", [b"no database at all, only words" * 99, b"SQLite format 3\x00" + b"\xaa" * 4000])
def test_a_file_that_is_no_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(CollectionBrokenError, match="is damaged: ") as caught:
        Store.open(tmp_path)
    assert "the documents themselves are untouched" in caught.value.hint


def test_a_database_of_another_program_is_damaged(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    other.close()
    with pytest.raises(CollectionBrokenError, match="no such table: meta"):
        Store.open(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE) as other:
        other.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    other.close()
    with pytest.raises(CollectionBrokenError, match="is damaged: no 'format_version'"):
        Store.open(tmp_path)


def test_damage_behind_the_first_pages_is_damage_in_whatever_is_asked(tmp_path: Path) -> None:
    store, document_id = _filled(tmp_path)
    store._db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = {row[0]: row[1] for row in store._db.rows("SELECT name, rootpage FROM sqlite_master")}
    store.close()
    path = tmp_path / DATABASE
    data = bytearray(path.read_bytes())
    for table in ("documents", "files", "chunks"):
        start = (pages[table] - 1) * 4096
        data[start : start + 4096] = b"\xaa" * 4096
    path.write_bytes(data)
    store = Store.open(tmp_path)
    for ask in (store.documents, store.files, store.chunk_terms, store.chunk_vectors, store.mtimes):
        with pytest.raises(CollectionBrokenError, match="is damaged: database disk image is malformed"):
            ask()
    with pytest.raises(CollectionBrokenError), store.transaction():
        store.add_document("b", "b", "cd", LOADED)
    with pytest.raises(CollectionBrokenError):
        store.text(document_id)
    store.close()


def test_a_database_that_is_a_folder_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / DATABASE).mkdir()
    with pytest.raises(CollectionMissingError):
        Store.open(tmp_path)
    with pytest.raises(CollectionError, match="cannot be used: unable to open database file"):
        Store.create(tmp_path, "hash")
