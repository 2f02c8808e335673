"""The database's tables, and whether a database has these and nothing else; a change raises FORMAT_VERSION."""

import sqlite3
from functools import lru_cache

from .database import Database, broken

FORMAT_VERSION = 3  # the database's user_version
DATABASE = "collection.sqlite"

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL,
    kind TEXT NOT NULL, sha256 TEXT NOT NULL, characters INTEGER NOT NULL, page_count INTEGER NOT NULL,
    text_sha256 TEXT NOT NULL, pages TEXT NOT NULL, headings TEXT NOT NULL, notes TEXT NOT NULL,
    structure INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE files (
    path TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    document_id INTEGER REFERENCES documents(id), checksum INTEGER NOT NULL) STRICT;
CREATE INDEX files_document ON files(document_id);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id INTEGER NOT NULL REFERENCES documents(id),
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, section TEXT NOT NULL,
    context TEXT NOT NULL, text TEXT NOT NULL, first_page INTEGER, last_page INTEGER,
    vector_id INTEGER REFERENCES vectors(id), checksum INTEGER NOT NULL) STRICT;
CREATE INDEX chunks_vector ON chunks(vector_id);
CREATE INDEX chunks_document ON chunks(document_id, ordinal);
CREATE INDEX documents_sha256 ON documents(sha256);
CREATE TABLE hidden (
    id INTEGER PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents(id), reason TEXT NOT NULL,
    text TEXT NOT NULL, page INTEGER, checksum INTEGER NOT NULL) STRICT;
CREATE INDEX hidden_document ON hidden(document_id);
CREATE TABLE segments (
    name TEXT PRIMARY KEY, first_chunk INTEGER NOT NULL, last_chunk INTEGER NOT NULL, chunks INTEGER NOT NULL,
    files TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE dead (chunk_id INTEGER PRIMARY KEY) STRICT;
"""


def check_schema(database: Database) -> None:
    """Raises CollectionBrokenError where a database has other tables, columns or indexes, or a view or trigger.

    Such things could run without end or change what is read while a table is merely asked.
    """
    found = database.rows("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100")
    expected = _expected()
    for row in found:
        if row not in expected:
            raise broken(database.folder, f"its {str(row[0])[:20]} {ascii(row[1])[:60]} is not one that fathom makes")
    if missing := sorted(str(row[1]) for row in expected.difference(found)):
        raise broken(database.folder, f"no {', '.join(missing[:3])} in its database")


@lru_cache(maxsize=1)
def _expected() -> frozenset[tuple[str, str, str, str | None]]:
    """The rows of sqlite_master in a database of ours."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    finally:
        connection.close()
