"""One connection: transactions, snapshots, and what SQLite's errors become."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexes.errors import CollectionBrokenError, CollectionBusyError, CollectionError
from indexes.files.folder import REBUILD
from indexes.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "x.sqlite")
    made.rows("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) STRICT")
    made.many("INSERT INTO t VALUES (?, ?)", [(n, f"row {n}") for n in range(5)])
    yield made
    made.close()


def _count(database: Database) -> int:
    return int(database.rows("SELECT count(*) FROM t")[0][0])


def test_rows_go_in_and_come_out(database: Database) -> None:
    assert database.rows("SELECT b FROM t WHERE a = ?", (3,)) == [("row 3",)]
    assert [row[0] for row in database.stream("SELECT a FROM t ORDER BY a DESC")] == [4, 3, 2, 1, 0]


def test_a_number_past_the_last_is_damage(database: Database) -> None:
    database.rows(f"INSERT INTO t VALUES ({2**63 - 1}, 'last')")
    last = database.rows("SELECT max(a) FROM t")[0][0]
    for use in (database.rows, lambda query, values: list(database.stream(query, values))):
        with pytest.raises(CollectionBrokenError, match="too large"):
            use("SELECT ?", (last + 1,))
    with pytest.raises(CollectionBrokenError, match="too large"):
        database.many("INSERT INTO t VALUES (?, '')", [(last + 1,)])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(
    database: Database, error: type[BaseException]
) -> None:
    def fail() -> None:
        with database.transaction():
            database.rows("DELETE FROM t")
            raise error

    with pytest.raises(error):
        fail()
    assert _count(database) == 5
    with database.transaction():
        database.rows("DELETE FROM t WHERE a = 1")
    assert _count(database) == 4


def test_a_snapshot_sees_one_state_while_another_connection_writes(database: Database, tmp_path: Path) -> None:
    other = Database(tmp_path / "x.sqlite")
    with database.snapshot():
        assert _count(database) == 5
        with other.transaction():
            other.rows("DELETE FROM t")
        assert _count(database) == 5
    assert _count(database) == 0
    other.close()


def test_a_reader_does_not_wait_for_a_writer(database: Database, tmp_path: Path) -> None:
    other = Database(tmp_path / "x.sqlite")
    with other.transaction():
        other.rows("DELETE FROM t")
        assert _count(database) == 5
    other.close()


def test_a_locked_database_is_busy_and_not_damaged(database: Database, tmp_path: Path) -> None:
    database.rows("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CollectionBusyError, match="another process is writing to ") as caught, database.transaction():
        pass
    assert caught.value.hint == "wait until it is done, then run this again"
    other.execute("ROLLBACK")
    other.close()
    with database.transaction():
        pass


@pytest.mark.parametrize("ask", ["rows", "many", "stream"])
def test_damage_is_told_with_the_folder_and_the_next_step(tmp_path: Path, ask: str) -> None:
    path = tmp_path / "x.sqlite"
    made = Database(path)
    made.rows("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) STRICT")
    made.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    path.write_bytes(path.read_bytes()[:4096] + b"\xaa" * 4096)
    broken = Database(path)
    calls: dict[str, Callable[[], object]] = {
        "rows": lambda: broken.rows("SELECT * FROM t"),
        "many": lambda: broken.many("INSERT INTO t VALUES (?, ?)", [(1, "x")]),
        "stream": lambda: list(broken.stream("SELECT * FROM t")),
    }
    with pytest.raises(CollectionBrokenError, match=f"the collection {tmp_path} is damaged: ") as caught:
        calls[ask]()
    assert caught.value.hint == REBUILD
    broken.close()


def test_a_folder_that_is_not_there_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="cannot be used: unable to open database file") as caught:
        Database(tmp_path / "gone" / "x.sqlite")
    assert caught.value.hint == "check its disk and permissions"


def test_a_mistake_of_the_caller_is_no_damage(database: Database) -> None:
    for call in (
        lambda: database.rows("SELECT ?", ()),
        lambda: database.many("SELECT ?", [()]),
        lambda: list(database.stream("SELECT ?", ())),
    ):
        with pytest.raises(sqlite3.ProgrammingError):
            call()
