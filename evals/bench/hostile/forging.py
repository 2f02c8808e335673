"""Forges a collection's database as its sender could, in a process of its own: a huge value must not stay in this one.

python -m evals.bench.hostile.forging DATABASE STATEMENTS, a JSON list of SQL
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from indexes.storage.origin import ORIGIN, salt_of
from indexes.storage.sealing import STRUCTURE, TABLES, SealedTable, checksum, seal

_LARGE = 2**20  # characters of a value that is not sealed


def forge(database: Path, statements: Sequence[str]) -> None:
    """Runs the statements and gives every row the checksum of what it then holds."""
    command = [sys.executable, "-m", "evals.bench.hostile.forging", str(database), json.dumps(statements)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3])


def main() -> None:
    """The child's end."""
    path = Path(sys.argv[1])
    with closing(sqlite3.connect(path)) as database:
        for statement in json.loads(sys.argv[2]):
            database.execute(statement)
        _seal(database, path.with_name(ORIGIN))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _seal(database: sqlite3.Connection, origin: Path) -> None:
    """A sender knows the salt, which lies beside the rows."""
    salt = salt_of(json.loads(origin.read_text())["id"])
    queries = [("structure", "documents", STRUCTURE, lambda *values: checksum(salt, values))]
    queries += [("checksum", table.name, table.columns, partial(_seal_values, table, salt)) for table in TABLES]
    for column, table, columns, function in queries:
        database.create_function("seal", -1, function)
        longest = ", ".join(f"coalesce(length({name}), 0)" for name in columns.split(", "))
        with suppress(sqlite3.Error):  # the forgery took a table or a column away
            database.execute(f"UPDATE {table} SET {column} = seal({columns}) WHERE max({longest}) < {_LARGE}")


def _seal_values(table: SealedTable, salt: int, *values: Any) -> int:
    return seal(table, salt, values)


if __name__ == "__main__":
    main()
