"""A received collection: what its folder holds is looked at before SQLite is, and whose it is before it is believed."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.errors import CollectionBrokenError, CollectionError, CollectionForeignError, CollectionVersionError
from indexes.files.locking import LOCK
from indexes.storage.opening import FILES, find_collection
from indexes.storage.origin import ORIGIN
from indexes.storage.schema import DATABASE, SCHEMA
from tests.indexes.files.test_folder import ODD
from tests.support.damaging import copied, flip, forge, made, made_anew, own, snapshot, tables
from tests.support.rooms import ONE

SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path / "mine")


def _refused(folder: Path, kind: type[CollectionError], words: str) -> CollectionError:
    """The error that every use of a collection ends in."""
    for use in (Collection.open, lambda place: Collection.open_or_create(place, "hash")):
        with pytest.raises(kind, match=words) as caught:
            use(folder)
        assert "\n" not in str(caught.value)
    return caught.value


# What lies in the folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ODD)
def test_each_file_must_be_a_plain_one_and_no_victim_is_touched(
    tmp_path: Path, folder: Path, name: str, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes((folder / name).read_bytes() if (folder / name).exists() else b"mine")
    before = victim.read_bytes()
    (folder / name).unlink(missing_ok=True)
    ODD[kind](folder / name, victim)
    _refused(folder, CollectionError, f"{name} .*{kind}, expected a file")
    assert victim.read_bytes() == before


def test_a_link_in_place_of_the_folder_is_refused_and_named(tmp_path: Path, folder: Path) -> None:
    (tmp_path / ".fathom").symlink_to(folder)
    error = _refused(tmp_path / ".fathom", CollectionError, r"\.fathom is a symbolic link, expected a folder")
    assert "name the real folder with --collection" in error.hint
    (tmp_path / "way").symlink_to(tmp_path / "mine")
    Collection.open(tmp_path / "way" / ".fathom").close()  # a link on the way is the user's own


@pytest.mark.parametrize("with_rows", [True, False])
def test_segments_that_are_a_link_delete_nothing(tmp_path: Path, folder: Path, with_rows: bool) -> None:
    victim = tmp_path / "victim"
    (victim / "1-3-0123abcd").mkdir(parents=True)
    (victim / "photos").mkdir()
    for path in (victim / "1-3-0123abcd" / "rows.npy", victim / "photos" / "a.jpg", victim / "b.txt"):
        path.write_bytes(b"mine")
    before = snapshot(victim)
    if with_rows:
        shutil.copytree(folder / "segments", victim, dirs_exist_ok=True)
        before = snapshot(victim)
    shutil.rmtree(folder / "segments")
    (folder / "segments").symlink_to(victim)
    with closing(Collection.open(folder)) as collection:
        for use in (
            lambda: collection.add([tmp_path / "mine" / "docs"], ONE),
            lambda: collection.remove([tmp_path / "mine" / "docs" / "cells.md"]),
        ):
            with pytest.raises(CollectionError, match="segments is a symbolic link, expected a folder"):
                use()
        assert collection.search("cells").hits  # made from the database
    assert snapshot(victim) == before


@pytest.mark.parametrize("name", ["../../../victim", "..", "x", "1-3-0123abcd/../../../../victim", "/victim", ""])
def test_a_segment_of_another_name_deletes_and_opens_nothing(tmp_path: Path, folder: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "rows.npy").write_bytes(b"mine")
    forge(folder, f"UPDATE segments SET name = '{name}'")
    with closing(Collection.open(folder)) as collection:
        for use in (
            lambda: collection.add([tmp_path / "mine" / "docs"], ONE),
            lambda: collection.remove([tmp_path / "mine" / "docs"]),
            lambda: collection.search("cells"),
        ):
            with pytest.raises(CollectionBrokenError, match=r"segment .* is not one that fathom makes"):
                use()
    assert (victim / "rows.npy").read_bytes() == b"mine"


def test_folders_among_the_segments_that_are_not_ours_stay(tmp_path: Path, folder: Path) -> None:
    (folder / "segments" / "notes").mkdir()
    (folder / "segments" / "notes" / "rows.npy").write_bytes(b"mine")
    (folder / "segments" / "1-9-0123abcd").mkdir()
    for name in ("rows.npy", "mine.txt"):
        (folder / "segments" / "1-9-0123abcd" / name).write_bytes(b"mine")
    (folder / "segments" / "2-9-0123abcd").symlink_to(tmp_path / "mine" / "docs")
    with closing(Collection.open(folder)) as collection:
        collection.add([tmp_path / "mine" / "docs"], ONE)
        assert collection.verify() == []
    assert (folder / "segments" / "notes" / "rows.npy").exists()
    assert [path.name for path in (folder / "segments" / "1-9-0123abcd").iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine" / "docs" / "cells.md").exists()


# What SQLite would act on


@pytest.mark.parametrize("wal", [True, False])
def test_a_journal_that_names_a_victim_is_refused_before_sqlite_looks(tmp_path: Path, folder: Path, wal: bool) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    if not wal:
        with tables(folder) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    name = os.fsencode(victim)
    tail = b"".join((len(name).to_bytes(4, "big"), sum(name).to_bytes(4, "big"), SUPER_JOURNAL))
    (folder / f"{DATABASE}-journal").write_bytes(b"\0" * 512 + b"\0\0\0\1" + name + tail)
    _refused(folder, CollectionError, "journal is not a journal that fathom leaves behind")
    assert victim.read_text() == "mine"


def test_a_rollback_journal_beside_ours_is_not_written_into_it(folder: Path) -> None:
    (folder / f"{DATABASE}-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + b"\0" * 600)
    before = (folder / DATABASE).read_bytes()
    _refused(folder, CollectionError, "journal is not a journal that fathom leaves behind")
    assert (folder / DATABASE).read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM chunks; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "CREATE TABLE extra (x)",
        "ALTER TABLE files ADD COLUMN extra TEXT",
        "ALTER TABLE chunks ADD COLUMN g INTEGER GENERATED ALWAYS AS (length(text)) VIRTUAL",
        "CREATE INDEX e ON chunks(lower(text))",
        "DROP INDEX chunks_document",
        "DROP TABLE dead",
    ],
)
def test_a_database_with_other_things_in_it_is_refused(folder: Path, statement: str) -> None:
    with tables(folder) as connection:
        connection.execute(statement)
    _refused(folder, CollectionBrokenError, "is damaged: ")


def test_a_view_without_end_in_place_of_a_table_is_refused_and_not_run(folder: Path) -> None:
    with tables(folder) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DROP TABLE dead")
        connection.execute(
            "CREATE VIEW dead AS WITH RECURSIVE n(chunk_id) AS (SELECT 1 UNION ALL SELECT chunk_id + 1 FROM n)"
            " SELECT chunk_id FROM n"
        )
    _refused(folder, CollectionBrokenError, "its view 'dead' is not one that fathom makes")


# Whose it is


def test_a_moved_collection_stays_ones_own_and_a_copy_is_refused(tmp_path: Path, folder: Path) -> None:
    folder.parent.rename(tmp_path / "moved")
    Collection.open(tmp_path / "moved" / ".fathom").close()
    copy = copied(tmp_path / "moved" / ".fathom", tmp_path / "copy")
    before = snapshot(copy)
    error = _refused(copy, CollectionForeignError, f"the collection {copy} was not made here by you")
    assert "fathom index FOLDER --rebuild" in error.hint
    assert "fathom trust FOLDER" in error.hint
    assert snapshot(copy) == before  # SQLite never looked at it


@pytest.mark.parametrize(
    "origin",
    [b"", b"{", b"[" * 1000, b'{"id": 1, "mac": 2}', b'{"id": "../x", "mac": ""}', b'{"id": "' + b"a" * 32 + b'"}'],
)
def test_an_origin_that_says_nothing_makes_no_one_the_owner(folder: Path, origin: bytes) -> None:
    (folder / ORIGIN).write_bytes(origin)
    _refused(folder, CollectionForeignError, "was not made here by you")


def test_an_origin_that_is_missing_or_too_long_is_refused(folder: Path) -> None:
    (folder / ORIGIN).write_bytes(b"x" * 5000)
    _refused(folder, CollectionError, "origin is longer than 1,024 bytes")
    (folder / ORIGIN).unlink()
    _refused(folder, CollectionForeignError, "was not made here by you")


def test_another_key_makes_it_foreign(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_HOME", str(tmp_path / "other-home"))
    _refused(folder, CollectionForeignError, "was not made here by you")


def test_a_database_unpacked_over_ones_own_is_refused(tmp_path: Path, folder: Path) -> None:
    other = made_anew(tmp_path / "theirs")
    shutil.copyfile(other / DATABASE, folder / DATABASE)
    _refused(folder, CollectionBrokenError, "its database is another collection's")


def test_a_log_unpacked_beside_ones_own_database_is_not_believed(tmp_path: Path, folder: Path) -> None:
    """The pages of another collection's log that hold passages, and not those that hold its id."""
    other = made_anew(tmp_path / "theirs")
    with tables(folder) as connection:
        page = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))["chunks"]
    with tables(other) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE chunks SET text = replace(text, '68', '98')")
        log = (other / f"{DATABASE}-wal").read_bytes()
    assert int.from_bytes(log[32:36], "big") == page  # the first frame is the chunks' page
    (folder / f"{DATABASE}-wal").write_bytes(log)
    with closing(Collection.open(folder)) as collection:
        document = next(item for item in collection.documents() if item.name == "cells.md")
        for use in (lambda: collection.search("cells"), lambda: collection.text(document.id)):
            with pytest.raises(CollectionBrokenError, match="is not as it was written"):
                use()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_collection_of_somebody_else_says_whose_it_is(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    _refused(folder, CollectionForeignError, f"{folder} belongs to nobody")
    os.chown(folder, 0, 0)
    _refused(folder, CollectionError, "belongs to nobody, expected root")


def test_an_old_format_says_what_to_do_and_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / ".fathom"
    folder.mkdir()
    with tables(folder) as connection:
        connection.executescript(SCHEMA)
    before = snapshot(folder)
    error = _refused(folder, CollectionVersionError, "has format 2 or older, this fathom reads format 3")
    assert error.hint.startswith("`fathom index FOLDER --rebuild`")
    assert snapshot(folder) == before


# Finding


def _fathom_pipe(place: Path) -> None:
    (place / ".fathom").mkdir()
    os.mkfifo(place / ".fathom" / DATABASE)


def _fathom_loop(place: Path) -> None:
    (place / ".fathom").symlink_to(".fathom")


def _fathom_file(place: Path) -> None:
    (place / ".fathom").write_text("x")


def _fathom_elsewhere(place: Path) -> None:
    made(place / "elsewhere")
    (place / ".fathom").symlink_to(place / "elsewhere" / ".fathom")


@pytest.mark.parametrize(("make", "found"), [(_fathom_pipe, True), (_fathom_loop, False), (_fathom_file, False)])
def test_odd_things_on_the_way_up_are_found_or_passed(
    tmp_path: Path, make: Callable[[Path], None], found: bool
) -> None:
    make(tmp_path)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    place = find_collection(tmp_path / "deep" / "er")
    assert place == (tmp_path / ".fathom" if found else None)
    if found:
        _refused(tmp_path / ".fathom", CollectionError, "is a named pipe, expected a file")


def test_a_link_to_a_collection_is_found_and_refused(tmp_path: Path) -> None:
    _fathom_elsewhere(tmp_path)
    assert find_collection(tmp_path) == tmp_path / ".fathom"
    _refused(tmp_path / ".fathom", CollectionError, "is a symbolic link")


def test_a_copy_that_is_made_ones_own_opens(tmp_path: Path, folder: Path) -> None:
    copy = copied(folder, tmp_path / "copy")
    own(copy)
    Collection.open(copy).close()
    assert not (copy / LOCK).is_symlink()
    flip(copy / ORIGIN, 10)
    with pytest.raises(CollectionForeignError):
        Collection.open(copy)
    assert sqlite3.sqlite_version
