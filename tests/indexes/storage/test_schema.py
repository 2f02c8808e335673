"""The tables as SQLite understands them."""

import sqlite3
from collections.abc import Iterator

import pytest

from indexes.storage.schema import SCHEMA


@pytest.fixture
def tables() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    yield connection
    connection.close()


def test_every_table_is_strict(tables: sqlite3.Connection) -> None:
    strict = dict(tables.execute("SELECT name, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'"))
    assert set(strict) == {"meta", "documents", "files", "hidden", "vectors", "chunks", "segments", "dead"}
    assert set(strict.values()) == {1}


def test_ids_of_documents_and_chunks_are_never_given_again(tables: sqlite3.Connection) -> None:
    document = "INSERT INTO documents VALUES (NULL, '', '', '', '', '', 0, 0, '', '', '', '', 0, 0) RETURNING id"
    chunk = "INSERT INTO chunks VALUES (NULL, ?, 0, 0, 0, '', '', '', NULL, NULL, NULL, 0) RETURNING id"
    for expected in (1, 2, 3):
        ((document_id,),) = tables.execute(document).fetchall()
        ((chunk_id,),) = tables.execute(chunk, (document_id,)).fetchall()
        assert document_id == chunk_id == expected
        tables.execute("DELETE FROM chunks")
        tables.execute("DELETE FROM documents")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 FROM files WHERE document_id = 1",
        "SELECT 1 FROM documents WHERE sha256 = 'a'",
        "SELECT 1 FROM chunks WHERE document_id = 1 ORDER BY ordinal",
        "SELECT 1 FROM chunks WHERE vector_id = 1",
        "SELECT 1 FROM vectors WHERE key = x'00'",
        "SELECT 1 FROM chunks WHERE id BETWEEN 1 AND 9 ORDER BY id",
        "SELECT 1 FROM dead WHERE chunk_id BETWEEN 1 AND 9",
    ],
)
def test_what_is_asked_often_is_looked_up_and_not_searched_for(tables: sqlite3.Connection, query: str) -> None:
    plan = [row[3] for row in tables.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert len(plan) == 1
    assert plan[0].startswith("SEARCH ")
