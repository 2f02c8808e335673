"""What `verify` finds: nothing in a whole collection, and each damage with its next step."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.segments.compaction import Compaction
from indexes.segments.integrity import check
from indexes.segments.segment import FOLDER
from indexes.storage.store import Store
from tests.support.stores import new_store, put_document, texts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom", 40)
    Compaction(made).settle()
    yield made
    made.close()


def test_a_whole_collection_has_no_damage(store: Store) -> None:
    assert check(store) == []


def test_each_damaged_file_is_named_with_what_to_do(store: Store) -> None:
    folder = store.folder / FOLDER / store.segments.all()[0].name
    data = (folder / "rows.npy").read_bytes()
    (folder / "rows.npy").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (folder / "vectors.faiss").unlink()
    found = check(store)
    assert [item.found for item in found] == [
        f"{folder / 'rows.npy'} has changed since it was written",
        f"{folder / 'vectors.faiss'} cannot be read: No such file or directory",
    ]
    assert {item.hint for item in found} == {
        f"delete {store.folder / FOLDER} and run `fathom index` again: the database makes them anew"
    }
    shutil.rmtree(store.folder / FOLDER)  # as the hint says
    compaction = Compaction(store)
    compaction.clear()
    compaction.settle()
    assert check(store) == []


def test_chunks_without_vectors_are_counted(store: Store) -> None:
    put_document(store, "bare.txt", texts(2), vectors=False)
    assert [item.found for item in check(store)] == [f"2 chunks in {store.folder} have no vector"]


def test_the_database_is_checked(store: Store) -> None:
    store._db.rows("PRAGMA foreign_keys = OFF")
    store._db.rows("DELETE FROM vectors WHERE id = 1")
    found = check(store)
    assert [item.found for item in found] == [f"the database of {store.folder}: a row of chunks points nowhere"]
    assert "fathom index FOLDER --rebuild" in found[0].hint
