"""Rows with checksums: written with one over all other columns, and read only where it is right."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from types import NoneType
from typing import Any
from zlib import crc32

from ..errors import CollectionBrokenError
from ..text.printable import printable
from .database import Database, broken

Row = tuple[Any, ...]
_SHOWN = 200  # characters of a name in a message


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table's columns but for `checksum`, in the order in which they are sealed, and the types that rows may have."""

    name: str
    columns: str
    types: frozenset[tuple[type, ...]]


def _table(table: str, /, **columns: type | tuple[type, ...]) -> SealedTable:
    kinds = [kind if isinstance(kind, tuple) else (kind,) for kind in columns.values()]
    return SealedTable(table, ", ".join(columns), frozenset(product(*kinds)))


_MAYBE = (int, NoneType)
META = _table("meta", key=str, value=str)
DOCUMENTS = _table(
    "documents",
    id=int,
    path=str,
    name=str,
    title=str,
    kind=str,
    sha256=str,
    characters=int,
    page_count=int,
    text_sha256=str,
    structure=int,
)
FILES = _table(
    "files",
    path=str,
    name=str,
    state=str,
    reason=str,
    sha256=str,
    size_bytes=int,
    document_id=_MAYBE,
    mtime_ns=int,
)
CHUNKS = _table(
    "chunks",
    id=int,
    document_id=int,
    ordinal=int,
    start=int,
    end=int,
    text=str,
    section=str,
    context=str,
    first_page=_MAYBE,
    last_page=_MAYBE,
    vector_id=_MAYBE,
)
VECTORS = _table("vectors", id=int, key=bytes, vector=bytes)
HIDDEN = _table("hidden", id=int, document_id=int, reason=str, text=str, page=_MAYBE)
SEGMENTS = _table("segments", name=str, first_chunk=int, last_chunk=int, chunks=int, files=str)
STRUCTURE = "id, pages, headings, notes"  # of `documents`, sealed together in the column `structure`
TABLES = (META, DOCUMENTS, FILES, CHUNKS, VECTORS, HIDDEN, SEGMENTS)


def checksum(salt: int, values: Sequence[Any]) -> int:
    """CRC-32 over numbers and texts; against damage, and not against who knows the salt."""
    return crc32("\0".join(map(str, values)).encode(), salt)


def seal(table: SealedTable, salt: int, row: Row) -> int:
    """The checksum of a row without one."""
    if table is VECTORS:
        row = (row[0], row[1].hex(), len(row[2]), crc32(row[2]))
    return checksum(salt, row)


def read(database: Database, table: SealedTable, rest: str = "", values: Sequence[Any] = ()) -> list[Row]:
    """Rows of a table, each with its checksum as the last value; `rest` follows the table's name in the query.

    Raises CollectionBrokenError for a row that is not as it was written.
    """
    rows = database.rows(_query(table, rest), values)
    return list(_checked(database, table, rows))


def stream(database: Database, table: SealedTable, rest: str = "", values: Sequence[Any] = ()) -> Iterator[Row]:
    """As `read`, one row after another."""
    return _checked(database, table, database.stream(_query(table, rest), values))


def _query(table: SealedTable, rest: str) -> str:
    return f"SELECT {_of(table)} FROM {table.name} {rest}"


def _checked(database: Database, table: SealedTable, rows: Iterable[Row]) -> Iterator[Row]:
    salt, types = database.salt, table.types
    for row in rows:
        values = row[:-1]
        # As `is_whole`; spelt out here, where every passage of every search comes by.
        if row[-1] != crc32("\0".join(map(str, values)).encode(), salt) or tuple(map(type, values)) not in types:
            raise damaged(database, table, values)
        yield row


def is_whole(database: Database, table: SealedTable, row: Row) -> bool:
    """Whether a row with its checksum is as it was written."""
    values = row[:-1]
    return tuple(map(type, values)) in table.types and row[-1] == seal(table, database.salt, values)


def damaged(database: Database, table: SealedTable, values: Row) -> CollectionBrokenError:
    return broken(database.folder, f"{described(database, table, values)} is not as it was written")


def described(database: Database, table: SealedTable, values: Row) -> str:
    """A row in words: a chunk with its document, a document or file by its path. Never raises for odd values."""
    if table is CHUNKS:
        found = database.rows("SELECT path FROM documents WHERE id = ?", (values[1],))
        return f"chunk {_shown(values[2])} of {_shown(found[0][0]) if found else 'a document that is gone'}"
    if table is VECTORS:
        return f"vector {_shown(values[0])}"
    if table is HIDDEN:
        return f"hidden text {_shown(values[0])}"
    kind = {"documents": "the document", "files": "the file", "segments": "segment"}.get(table.name, "the entry")
    return f"{kind} {_shown(values[1] if table is DOCUMENTS else values[0])}"


def _shown(value: Any) -> str:
    return printable(str(value)[:_SHOWN])


def _of(table: SealedTable) -> str:
    return f"{table.columns}, checksum"


def insert(database: Database, table: SealedTable, rows: Iterable[Row]) -> None:
    """Adds rows, or replaces those with the same key where the table has a key of its own."""
    marks = ", ".join("?" * (table.columns.count(",") + 2))
    verb = "INSERT OR REPLACE" if table in (META, FILES) else "INSERT"
    salt = database.salt
    database.many(
        f"{verb} INTO {table.name} ({_of(table)}) VALUES ({marks})", ((*row, seal(table, salt, row)) for row in rows)
    )


def seal_all_again(database: Database) -> None:
    """Gives every row the checksum of what it holds now; all must have been checked before."""
    salt = database.salt
    database.define("seal", lambda *values: checksum(salt, values))
    database.rows(f"UPDATE documents SET structure = seal({STRUCTURE})")
    for table in TABLES:
        database.define("seal", partial(_seal_values, table, salt))
        database.rows(f"UPDATE {table.name} SET checksum = seal({table.columns})")


def _seal_values(table: SealedTable, salt: int, *values: Any) -> int:
    return seal(table, salt, values)
