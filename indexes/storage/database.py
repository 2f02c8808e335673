"""One connection to a SQLite file: statements, transactions, and what SQLite's errors mean for a collection."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CollectionBrokenError, CollectionBusyError, CollectionError
from ..files.folder import REBUILD

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_UNUSABLE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM")
_WAIT_SECONDS = 10
_MARKS = 500  # variables in one statement
_LONGEST = 2**28  # bytes of a value: the structure of the largest document; more is a bomb

Value = TypeVar("Value")


class Database:
    """A connection, and the file made if there is none. Every method raises CollectionError and its kinds.

    `salt` is what the checksums of this collection's rows begin with; `check` looks at the database before it is used.
    """

    def __init__(self, path: Path, salt: int = 0, check: Callable[["Database"], None] = lambda _: None) -> None:
        self.folder = path.parent
        self.salt = salt
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_SECONDS)
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error
        try:
            # Nothing that a schema holds is run, and a damaged page is an error.
            self.rows("PRAGMA trusted_schema = OFF")
            self.rows("PRAGMA cell_size_check = ON")
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            check(self)
            self.rows("PRAGMA journal_mode = WAL")
            self.rows("PRAGMA foreign_keys = ON")
            self.rows("PRAGMA synchronous = NORMAL")
        except BaseException:
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
        except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError) as error:
            raise self._refused(error) from error

    def define(self, name: str, function: Callable[..., Any]) -> None:
        """Makes a function of any number of values known to statements of this connection."""
        self._connection.create_function(name, -1, function, deterministic=True)

    def damage(self) -> list[str]:
        """What SQLite's own check of the whole file finds wrong, in its words."""
        found = [str(row[0]) for row in self.rows("PRAGMA integrity_check(20)")]
        lost = self.rows("PRAGMA foreign_key_check") if found == ["ok"] else []  # it does not get past damage
        return [line for line in found if line != "ok"] + [f"a row of {row[0]} points nowhere" for row in lost[:20]]

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """The statement once for each row of values. Raises as `rows` does."""
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.ProgrammingError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError) as error:
            raise self._refused(error) from error

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a statement one by one, never all in memory. Raises as `rows` does."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.ProgrammingError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError) as error:
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

    def _refused(self, error: Exception) -> CollectionError:
        """What an error of SQLite means, a message of its own that is not UTF-8, or a number past its last row's: only
        some of them are damage."""
        name, folder = getattr(error, "sqlite_errorname", ""), self.folder
        if name.startswith(_BUSY):
            return CollectionBusyError(
                f"another process is writing to {folder}", "wait until it is done, then run this again"
            )
        if name.startswith(_UNUSABLE):
            return CollectionError(f"the collection {folder} cannot be used: {error}", "check its disk and permissions")
        return broken(folder, str(error))


def broken(folder: Path, found: str) -> CollectionBrokenError:
    """The error for a collection that is not as it was written."""
    return CollectionBrokenError(f"the collection {folder} is damaged: {found}", REBUILD)


def portions(values: Iterable[Value]) -> Iterator[tuple[str, list[Value]]]:
    """Values in portions that fit a statement, each with its question marks."""
    left = list(values)
    for first in range(0, len(left), _MARKS):
        some = left[first : first + _MARKS]
        yield ",".join("?" * len(some)), some
