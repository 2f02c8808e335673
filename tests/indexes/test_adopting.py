"""Accepting a collection by name: what it says is shown, and nothing that was shipped stands for a file afterwards."""

import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from indexes.adopting import Claims, adopt, inspect
from indexes.collection import Collection
from indexes.errors import (
    CollectionBrokenError,
    CollectionBusyError,
    CollectionError,
    CollectionForeignError,
    CollectionMissingError,
    CollectionVersionError,
)
from indexes.files.folder import Folder, owner_name
from indexes.files.home import home_folder
from indexes.files.locking import writing
from indexes.storage.document_table import text_digest
from indexes.storage.opening import FILES as NAMES
from indexes.storage.origin import ORIGIN, read_origin
from indexes.storage.schema import DATABASE
from tests.indexes.files.test_folder import ODD
from tests.support.damaging import copied, forge, made, snapshot, tables
from tests.support.rooms import FILES, ONE, texts_of

FORGERY = text_digest([str(FILES["cells.md"]).replace("68", "98")])
FORGED = (
    "UPDATE chunks SET text = replace(text, '68', '98')",
    f"UPDATE documents SET text_sha256 = '{FORGERY}' WHERE name = 'cells.md'",
)


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """A copy of somebody's collection, its documents beside it."""
    return _copy(made(tmp_path / "theirs"), tmp_path)


def _copy(folder: Path, tmp_path: Path) -> Path:
    return copied(folder, tmp_path / "received")


def _forged(tmp_path: Path, *statements: str) -> Path:
    """As `received`, changed by its sender, who gave all rows right checksums."""
    folder = made(tmp_path / "theirs")
    forge(folder, *statements)
    return _copy(folder, tmp_path)


def _index(folder: Path) -> Collection:
    collection = Collection.open(folder)
    collection.add([folder.parent / "docs"], ONE)
    return collection


def test_it_says_what_it_holds_before_and_when_it_is_accepted(received: Path) -> None:
    expected = Claims(str(received), owner_name(os.geteuid()), "hash", 3, 3, 3)
    before = (received / ORIGIN).read_bytes()
    assert inspect(received) == expected
    assert (received / ORIGIN).read_bytes() == before
    with pytest.raises(CollectionForeignError):
        Collection.open(received)
    assert adopt(received) == expected
    with closing(Collection.open(received)) as collection:
        assert collection.trusted
        assert {hit.document.name for hit in collection.search("cells").hits} == set(FILES)
        assert collection.verify() == []
        assert collection.stats().files == {"indexed": 3, "failed": 0, "skipped": 0}


def test_it_gets_an_id_that_holds_at_its_path_alone(received: Path, tmp_path: Path) -> None:
    def origin() -> str:
        found = read_origin(Folder.open(received))
        assert found is not None
        return found.id

    shipped = origin()
    adopt(received)
    assert origin() != shipped
    received.parent.rename(tmp_path / "moved")
    with pytest.raises(CollectionForeignError):
        Collection.open(tmp_path / "moved" / ".fathom")
    adopt(tmp_path / "moved" / ".fathom")
    Collection.open(tmp_path / "moved" / ".fathom").close()


def test_a_forged_text_with_the_files_hash_size_and_time_goes_with_the_next_run(tmp_path: Path) -> None:
    received = _forged(
        tmp_path,
        *FORGED,
    )
    adopt(received)
    with closing(Collection.open(received)) as collection:
        assert "98 euros" in texts_of(collection)["cells.md"]  # as it was accepted
    with closing(_index(received)) as collection:
        assert texts_of(collection) == FILES
        assert all("98" not in hit.chunk.text for hit in collection.search("cells euros").hits)
        assert collection.verify() == []
        assert collection.add([received.parent / "docs"], ONE).unchanged == sorted(FILES)


@pytest.mark.parametrize("path", ["/nowhere/cells.md", "other/cells.md"])
def test_a_forged_copy_elsewhere_stands_for_no_file(tmp_path: Path, path: str) -> None:
    """A second document with the file's hash, whose own path no walk finds, would be taken for its content."""
    received = _forged(
        tmp_path,
        f"UPDATE files SET path = '{path}', name = 'cells.md' WHERE name = 'cells.md'",
        f"UPDATE documents SET path = '{path}' WHERE name = 'cells.md'",
        *FORGED,
    )
    adopt(received)
    with closing(_index(received)) as collection:
        mine = {record.path: record.document_id for record in collection.files()}
        assert collection.text(mine["docs/cells.md"] or 0) == FILES["cells.md"]


def test_shipped_vectors_are_not_found_by_their_texts(tmp_path: Path) -> None:
    ones = np.full(64, 0.125, dtype="<f2").tobytes().hex()
    received = _forged(tmp_path, f"UPDATE vectors SET vector = x'{ones}'")
    with closing(Collection.open(made(tmp_path / "honest"))) as honest:
        expected = [(hit.document.name, hit.dense_score) for hit in honest.search("cells and cash").hits]
    adopt(received)
    with closing(_index(received)) as collection:
        assert [(hit.document.name, hit.dense_score) for hit in collection.search("cells and cash").hits] == expected


def test_shipped_index_files_are_not_searched(received: Path) -> None:
    """Another collection's index files, with right hashes, size and number of chunks, under this one's name."""
    before = {path.name for path in (received / "segments").iterdir()}
    adopt(received)
    assert not before & {path.name for path in (received / "segments").iterdir()}


def test_no_shipped_path_is_opened_by_trying_again(tmp_path: Path) -> None:
    victim = tmp_path / "secret.txt"
    victim.write_text("the password is hexalith")
    received = _forged(
        tmp_path,
        f"UPDATE files SET path = '{victim}', state = 'failed', document_id = NULL WHERE name = 'fire.md'",
        "UPDATE files SET path = 'docs/way/secret.txt', state = 'failed', reason = 'x' WHERE name = 'cells.md'",
        f"UPDATE files SET path = '{tmp_path}/b/secret.txt', state = 'failed' WHERE name = 'sub/board.md'",
        "UPDATE documents SET path = 'docs/way/secret.txt' WHERE name = 'cells.md'",
    )
    (received.parent / "docs" / "way").symlink_to(tmp_path)
    adopt(received)
    with closing(Collection.open(received)) as collection:
        report = collection.retry_failed(ONE)
        assert (report.added, report.updated, report.failed) == ([], [], {})
        assert "password" not in "".join(texts_of(collection).values())


def test_a_file_that_cannot_be_read_keeps_no_shipped_text(received: Path) -> None:
    adopt(received)
    (received.parent / "docs" / "cells.md").write_bytes(b"")
    with closing(_index(received)) as collection:
        assert set(texts_of(collection)) == {"fire.md", "sub/board.md"}
        (reason,) = [record.reason for record in collection.files() if record.name == "cells.md"]
        assert "kept" not in reason


def test_the_embedding_is_shown_as_it_is_written(tmp_path: Path) -> None:
    received = _forged(tmp_path, "UPDATE meta SET value = 'evil/model' WHERE key = 'embedding'")
    assert (inspect(received).embedding, adopt(received).embedding) == ("evil/model", "evil/model")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE files SET path = '../../etc/passwd' WHERE name = 'fire.md'",
        "UPDATE files SET path = 'a/\\x2e\\x2e/b' WHERE name = 'fire.md'",
        "UPDATE files SET path = 'a\\x00b' WHERE name = 'fire.md'",
        "UPDATE files SET path = 'a' || char(0) || 'b' WHERE name = 'fire.md'",
        "UPDATE files SET path = 'a' || char(27) || 'b' WHERE name = 'fire.md'",
        "UPDATE files SET path = '' WHERE name = 'fire.md'",
        "UPDATE files SET state = 'great'",
        "UPDATE documents SET path = 'docs/../x'",
        "UPDATE documents SET pages = '{}'",
        "UPDATE documents SET pages = '[[1, 2]]'",
        "UPDATE documents SET pages = '[[1, 2, \"x\"]]'",
        "UPDATE documents SET headings = replace(hex(zeroblob(50000)), '00', '[')",
        "UPDATE documents SET headings = '[1' || hex(zeroblob(9000)) || ']'",
        "UPDATE documents SET headings = 'x'",
        "UPDATE documents SET notes = '[7]'",
        "UPDATE documents SET characters = 7",
        "UPDATE documents SET text_sha256 = 'x'",
        "UPDATE chunks SET start = start + 1",
        "UPDATE chunks SET ordinal = ordinal + 1",
        "UPDATE chunks SET document_id = 1",
        "UPDATE chunks SET text = text || 'x'",
        "UPDATE meta SET value = '-1' WHERE key = 'generation'",
        "UPDATE meta SET value = 'x' WHERE key = 'generation'",
        "DELETE FROM meta WHERE key = 'generation'",
        "DELETE FROM meta WHERE key = 'embedding'",
        "DELETE FROM meta WHERE key = 'id'",
        "UPDATE meta SET value = 'x' WHERE key = 'id'",
        "INSERT INTO meta VALUES ('removing', '[[1, 2], 3]', 0)",
        "INSERT INTO meta VALUES ('removing', replace(hex(zeroblob(50000)), '00', '['), 0)",
        'UPDATE segments SET files = \'[["../x", 1, "y", 1]]\'',
        "UPDATE segments SET files = replace(hex(zeroblob(50000)), '00', '[')",
        "UPDATE segments SET first_chunk = -5",
        "UPDATE segments SET chunks = 9000000000000000000",
        "INSERT INTO dead VALUES (1)",
        "DELETE FROM vectors",
    ],
)
def test_rows_that_fathom_never_writes_are_one_line_wherever_they_are_met(tmp_path: Path, statement: str) -> None:
    received = _forged(tmp_path, statement)
    with pytest.raises(CollectionBrokenError, match="is damaged: ") as caught:
        adopt(received)
    assert "\n" not in str(caught.value)
    assert "--rebuild" in caught.value.hint
    own = tmp_path / "theirs" / ".fathom"  # where the one who sent it opens it
    with suppress(CollectionError), closing(Collection.open(own)) as collection:
        assert collection.verify() != []
        for use in (
            lambda: collection.search("cells"),
            collection.stats,
            collection.files,
            collection.notes,
            lambda: [collection.structure(document.id) for document in collection.documents()],
            lambda: [collection.text(document.id) for document in collection.documents()],
            lambda: collection.retry_failed(ONE),
            lambda: collection.add([tmp_path / "theirs" / "docs"], ONE),
        ):
            with suppress(CollectionError):
                use()


def test_values_of_other_types_are_damage(tmp_path: Path) -> None:
    folder = made(tmp_path / "theirs")
    for table, change in {
        "files": "size_bytes = 'many'",
        "chunks": "start = 'here'",
        "documents": "title = x'00ff'",
        "meta": "value = 1.5",
        "vectors": "vector = 'text'",
    }.items():
        copy = tmp_path / table / ".fathom"
        shutil.copytree(folder.parent, copy.parent)
        with tables(copy) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE type = 'table'")
        with tables(copy) as connection:
            connection.execute(f"UPDATE {table} SET {change}")
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = sql || ' STRICT' WHERE type = 'table' AND name != 'sqlite_sequence'"
            )
        with pytest.raises(CollectionBrokenError, match="is damaged: "):
            adopt(copy)


@pytest.mark.parametrize("kind", ["a symbolic link", "a named pipe"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != ORIGIN])
def test_its_files_must_be_plain_ones(tmp_path: Path, received: Path, name: str, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes((received / name).read_bytes() if (received / name).exists() else b"mine")
    before = victim.read_bytes()
    (received / name).unlink(missing_ok=True)
    ODD[kind](received / name, victim)
    for use in (inspect, adopt):
        with pytest.raises(CollectionError, match=kind):
            use(received)
    assert victim.read_bytes() == before


@pytest.mark.parametrize("name", ["other", "segments/other"])
@pytest.mark.parametrize("kind", sorted(ODD.keys() - {"a folder"}))
def test_an_odd_entry_of_any_name_is_refused_before_the_database_is_opened(
    received: Path, tmp_path: Path, kind: str, name: str
) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    ODD[kind](received / name, tmp_path / "victim")
    before = (received / DATABASE).read_bytes(), (received / ORIGIN).read_bytes()
    for use in (inspect, adopt):
        with pytest.raises(CollectionError, match=kind):
            use(received)
    assert ((received / DATABASE).read_bytes(), (received / ORIGIN).read_bytes()) == before


def test_what_was_shipped_is_counted_until_its_file_is_read(received: Path) -> None:
    claims = adopt(received)
    with closing(Collection.open(received)) as collection:
        assert collection.unread == collection.stats().unread == claims.documents > 0
        collection.add([received.parent])
        assert collection.unread == 0


def test_segments_that_are_a_link_are_refused(received: Path, tmp_path: Path) -> None:
    (received / "segments").rename(tmp_path / "victim")
    (received / "segments").symlink_to(tmp_path / "victim")
    before = snapshot(tmp_path / "victim")
    with pytest.raises(CollectionError, match="segments is a symbolic link"):
        adopt(received)
    assert snapshot(tmp_path / "victim") == before


def test_what_cannot_be_accepted_says_why(tmp_path: Path, received: Path) -> None:
    with pytest.raises(CollectionMissingError):
        adopt(tmp_path / "nowhere")
    with writing(Folder.open(received)), pytest.raises(CollectionBusyError):
        adopt(received)
    (tmp_path / "link").symlink_to(received)
    with pytest.raises(CollectionError, match="is a symbolic link"):
        adopt(tmp_path / "link")
    with tables(received) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(CollectionVersionError):
        adopt(received)


def test_where_trust_cannot_be_recorded_nothing_is_changed(
    tmp_path: Path, received: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (received / DATABASE).read_bytes()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FATHOM_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(CollectionError, match="cannot be used"):
        adopt(received)
    assert (received / DATABASE).read_bytes() == before


def test_trust_that_was_not_finished_can_be_given_again(received: Path) -> None:
    (home_folder() / "trusted-collections.json").mkdir()  # so that writing it fails, after the database was changed
    with pytest.raises(CollectionError):
        adopt(received)
    with pytest.raises(CollectionError):
        Collection.open(received)
    (home_folder() / "trusted-collections.json").rmdir()
    with pytest.raises(CollectionForeignError):
        Collection.open(received)
    adopt(received)
    Collection.open(received).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_somebody_elses_collection_is_accepted_by_name_and_says_whose_it_is(received: Path) -> None:
    for path in (received, *received.rglob("*")):
        os.chown(path, 65534, 65534)
    with pytest.raises(CollectionForeignError, match="belongs to nobody"):
        Collection.open(received)
    assert inspect(received).owner == "nobody"
    assert adopt(received).owner == "nobody"
    with closing(_index(received)) as collection:
        assert texts_of(collection) == FILES
