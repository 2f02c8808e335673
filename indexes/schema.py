"""The database's tables; a change to them raises FORMAT_VERSION."""

FORMAT_VERSION = 2
DATABASE = "collection.sqlite"

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL,
    kind TEXT NOT NULL, sha256 TEXT NOT NULL, characters INTEGER NOT NULL, page_count INTEGER NOT NULL,
    pages TEXT NOT NULL, headings TEXT NOT NULL, notes TEXT NOT NULL) STRICT;
CREATE TABLE files (
    path TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    document_id INTEGER REFERENCES documents(id)) STRICT;
CREATE INDEX files_document ON files(document_id);
CREATE TABLE vectors (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id INTEGER NOT NULL REFERENCES documents(id),
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, section TEXT NOT NULL,
    context TEXT NOT NULL, text TEXT NOT NULL, first_page INTEGER, last_page INTEGER,
    vector_id INTEGER REFERENCES vectors(id)) STRICT;
CREATE INDEX chunks_vector ON chunks(vector_id);
CREATE INDEX chunks_document ON chunks(document_id, ordinal);
CREATE INDEX documents_sha256 ON documents(sha256);
CREATE TABLE segments (
    name TEXT PRIMARY KEY, first_chunk INTEGER NOT NULL, last_chunk INTEGER NOT NULL, chunks INTEGER NOT NULL,
    files TEXT NOT NULL) STRICT;
CREATE TABLE dead (chunk_id INTEGER PRIMARY KEY) STRICT;
"""
