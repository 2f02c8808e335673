"""Damage anywhere in a collection: what is shown is what was written, or there is one line that says it is not."""

import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from indexes.collection import Collection
from indexes.documents import FileState
from indexes.errors import CollectionBrokenError, CollectionError
from indexes.ingest.changes import Stamp
from indexes.search.ranking import SearchMode
from indexes.search.view import open_view
from indexes.segments import compaction
from indexes.storage.schema import DATABASE
from indexes.storage.store import STALE, Store
from tests.support.damaging import flip, made, tables
from tests.support.rooms import FILES, ONE, texts_of
from tests.support.stores import new_store, put_document, texts

SEED = 20_261_128
FLIPS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path)


def _shown(collection: Collection) -> list[Any]:
    """Everything that a collection shows."""
    found: list[Any] = [collection.search(query, mode=mode) for query in ("cells", "board cash") for mode in SearchMode]
    for document in collection.documents():
        found += [document, collection.text(document.id), collection.structure(document.id)]
        found += [collection.chunks_of(document.id), collection.place(document.id, 3, 9)]
    return [*found, collection.files(), collection.notes(), collection.stats()]


def test_a_flipped_bit_is_repaired_or_told_and_never_shown(folder: Path) -> None:
    chance = random.Random(SEED)
    with closing(Collection.open(folder)) as collection:
        expected = _shown(collection)
    whole = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size}
    told: list[CollectionError] = []
    repaired = 0
    for turn in range(FLIPS):
        path = chance.choice([path for path in whole if path.name == DATABASE or turn % 2])
        flip(path, chance.randrange(len(whole[path])), chance.randrange(8))
        try:
            with closing(Collection.open(folder)) as collection:
                assert _shown(collection) == expected, f"{path}, turn {turn}"
                repaired += bool(collection.verify())
        except CollectionError as error:
            told.append(error)
        for file in [item for item in folder.iterdir() if item.is_file() and item not in whole]:
            file.unlink()
        for file, content in whole.items():
            if file.read_bytes() != content:
                file.write_bytes(content)
    assert len(told) > FLIPS // 20
    assert all(error.hint and "\n" not in str(error) for error in told)
    assert repaired > FLIPS // 10


@pytest.mark.parametrize("word", ["68 euros", "Hexalith"])
def test_a_number_that_was_changed_in_the_database_is_not_shown(folder: Path, word: str) -> None:
    data = (folder / DATABASE).read_bytes()
    assert data.count(word.encode()) == 1
    flip(folder / DATABASE, data.index(word.encode()))
    with closing(Collection.open(folder)) as collection:
        document = next(item for item in collection.documents() if item.name == "cells.md")
        for use in (
            lambda: collection.search("cells"),
            lambda: collection.text(document.id),
            lambda: collection.chunks_of(document.id),
        ):
            with pytest.raises(
                CollectionBrokenError, match=r"of (the document )?docs/cells\.md is not as it was"
            ) as caught:
                use()
            assert "--rebuild" in caught.value.hint
        assert any("docs/cells.md" in item.found for item in collection.verify())
        assert collection.text(document.id + 1)  # others can still be read


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET title = 'x' WHERE id = 1",
        "UPDATE documents SET path = 'docs/fire.md' WHERE id = 1",
        "UPDATE documents SET pages = '[[1, 0, 5]]' WHERE id = 1",
        "UPDATE documents SET headings = '[]' WHERE id = 1",
        "UPDATE documents SET notes = '[\"x\"]' WHERE id = 1",
        "UPDATE files SET document_id = 2 WHERE document_id = 1",
        "UPDATE files SET mtime_ns = 5",
        "UPDATE files SET name = 'other.md' WHERE document_id = 1",
        "UPDATE chunks SET section = 'Fees' WHERE id = 1",
        "UPDATE chunks SET first_page = 3 WHERE id = 1",
        "UPDATE chunks SET vector_id = vector_id % 3 + 1 WHERE id = 1",
        "UPDATE chunks SET id = 9 WHERE id = 1",
        "UPDATE chunks SET document_id = 2, ordinal = 1 WHERE id = 1",
        "UPDATE vectors SET vector = zeroblob(128) WHERE id = 1",
        "UPDATE segments SET chunks = 2",
        "UPDATE meta SET value = 'none' WHERE key = 'embedding'",
        "DELETE FROM chunks WHERE id = 1",
        "DELETE FROM documents WHERE id = 1",
        "INSERT INTO dead VALUES (1)",
    ],
)
def test_any_column_that_was_changed_is_found_by_the_check(folder: Path, statement: str) -> None:
    with tables(folder) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
    try:
        with closing(Collection.open(folder)) as collection:
            assert collection.verify() != []
    except CollectionBrokenError as error:
        assert "is not as it was written" in str(error)  # noqa: PT017, either will do


def test_a_vector_that_was_changed_gets_into_no_index_file(folder: Path, tmp_path: Path) -> None:
    with tables(folder) as connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(128) WHERE id = 1")
        connection.execute("DELETE FROM segments")
    with closing(Collection.open(folder)) as collection:
        for use in (lambda: collection.search("cells"), lambda: collection.add([tmp_path / "docs"], ONE)):
            with pytest.raises(CollectionBrokenError, match="vector 1 is not as it was written"):
                use()


# Index files that are too many to be compared each time


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose index files count as many."""
    store = new_store(tmp_path / ".fathom")
    put_document(store, "a.txt", texts(1_200))
    compaction.Compaction(store).settle()
    monkeypatch.setattr(compaction, "_COMPARED_BYTES", 0)
    yield store
    store.close()


def test_a_file_that_was_written_again_is_compared_though_its_size_is_right(large: Store) -> None:
    expected = open_view(large, last_try=True).lexical.search({"cost": 1.0}, 20)
    path = next((large.folder / "segments").rglob("rows.npy"))
    flip(path, path.stat().st_size // 2, 3)
    assert open_view(large, last_try=True).lexical.search({"cost": 1.0}, 20) == expected


@pytest.mark.parametrize("name", ["rows", "starts", "ends", "letters", "lengths", "counts", "chunk_ids", "peaks"])
def test_damage_that_was_not_seen_at_the_opening_is_no_traceback(large: Store, name: str) -> None:
    chance = random.Random(SEED)
    path = next((large.folder / "segments").rglob(f"{name}.npy"))
    whole, times = path.read_bytes(), path.stat()
    with closing(Collection.open(large.folder)) as collection:
        for _ in range(6):
            for _ in range(20):
                flip(path, chance.randrange(128, len(whole)), chance.randrange(8))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            collection._view = None
            for query in ("cells number17 cost price1", "lot3 price"):
                try:
                    collection.search(query)
                except CollectionBrokenError as error:
                    assert "index files of the collection" in str(error)  # noqa: PT017, other results are no error
            path.write_bytes(whole)


def test_a_file_that_was_put_beside_those_of_a_segment_is_not_read(tmp_path: Path) -> None:
    store = new_store(tmp_path / ".fathom")
    put_document(store, "a.txt", texts(30), vectors=False)
    compaction.Compaction(store).settle()
    (row,) = store.segments.all()
    (store.folder / "segments" / row.name / "vectors.faiss").write_bytes(b"not an index")
    view = open_view(store, last_try=True)
    assert (len(view.lexical), view.dense) == (30, ())
    with closing(Collection.open(store.folder)) as collection:
        assert any("vectors.faiss does not belong there" in item.found for item in collection.verify())
    store.close()


# Times


@pytest.mark.parametrize("mtime_ns", [2**63, 2**64, -(2**63), -(2**64), 13_569_465_600 * 10**9])
def test_a_file_of_any_age_is_indexed_once(mtime_ns: int) -> None:
    stamp = Stamp.of(3, mtime_ns)
    assert -(2**63) <= stamp.mtime_ns < 2**63
    assert stamp.mtime_ns != STALE
    assert stamp == Stamp.of(3, mtime_ns)


def test_a_file_dated_2400_does_not_end_the_run(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in FILES.items():
        if "/" not in name:
            (docs / name).write_bytes(str(text).encode())
    far = 13_569_465_600  # 2400-01-01
    os.utime(docs / "cells.md", (far, far))
    os.utime(docs / "fire.md", (-10_413_792_000, -10_413_792_000))  # 1640
    with closing(Collection.open_or_create(tmp_path / ".fathom", "none")) as collection:
        assert collection.add([docs], ONE).added == ["cells.md", "fire.md"]
        assert collection.add([docs], ONE).unchanged == ["cells.md", "fire.md"]
        assert set(texts_of(collection)) == {"cells.md", "fire.md"}
        assert {record.state for record in collection.files()} == {FileState.INDEXED}
