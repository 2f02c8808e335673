"""One connection to a SQLite file: statements, transactions, and what SQLite's errors mean for a collection."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .errors import CollectionBrokenError, CollectionBusyError, CollectionError

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_UNUSABLE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM")
_WAIT_SECONDS = 10
_MARKS = 500  # variables in one statement

Value = TypeVar("Value")


class Database:
    """A connection, and the file made if there is none. Every method raises CollectionError and its kinds."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_SECONDS)
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error
        try:
            self.rows("PRAGMA journal_mode = WAL")
            self.rows("PRAGMA foreign_keys = ON")
            self.rows("PRAGMA synchronous = NORMAL")
        except CollectionError:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement. Raises CollectionBrokenError, or -BusyError where the database is locked."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.ProgrammingError:  # a closed connection, or another thread's: no damage
            raise
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """The statement once for each row of values. Raises as `rows` does."""
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a statement one by one, never all in memory. Raises as `rows` does."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's changes or none of them."""
        try:
            self.rows("BEGIN IMMEDIATE")  # inside, because Ctrl-C may come right after it
            yield
            self.rows("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read in the block is of one state, whatever other processes write meanwhile."""
        try:
            self.rows("BEGIN")
            yield
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # an error of the disk may have ended it already
            self.rows("ROLLBACK")

    def _refused(self, error: sqlite3.DatabaseError) -> CollectionError:
        """What an error of SQLite means: only some of them are damage."""
        name, folder = getattr(error, "sqlite_errorname", ""), self._folder
        if name.startswith(_BUSY):
            return CollectionBusyError(
                f"another process is writing to {folder}", "wait until it is done, then run this again"
            )
        if name.startswith(_UNUSABLE):
            return CollectionError(f"the collection {folder} cannot be used: {error}", "check its disk and permissions")
        return CollectionBrokenError(f"the collection {folder} is damaged: {error}", start_again(folder))


def start_again(folder: Path) -> str:
    """The hint for a collection that cannot be used any more."""
    return f"move {folder} away and run `fathom index` again; the documents themselves are untouched"


def portions(values: Iterable[Value]) -> Iterator[tuple[str, list[Value]]]:
    """Values in portions that fit a statement, each with its question marks."""
    left = list(values)
    for first in range(0, len(left), _MARKS):
        some = left[first : first + _MARKS]
        yield ",".join("?" * len(some)), some
