"""The database of a collection: documents, chunks and files in and out, and files that are no database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.documents import Document, FileState, Heading, LoadedDocument, Page
from indexes.errors import CollectionBrokenError, CollectionError, CollectionMissingError, CollectionVersionError
from indexes.segments.integrity import check
from indexes.storage.schema import DATABASE, FORMAT_VERSION
from indexes.storage.store import STALE, NewChunk, Store
from indexes.text.chunking import Span
from tests.support.stores import drop_document, new_store, put_document, record

TEXT = "# Größe 🌊\n\nThe wave 🌊 is 3 m high.\n"
LOADED = LoadedDocument(
    "pdf", "Größe", TEXT, (Page(1, 0, len(TEXT)),), (Heading(1, "Größe 🌊", 0),), (), ("page 2 is scanned",)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    yield made
    made.close()


# Documents and chunks


def test_what_goes_in_comes_out(store: Store) -> None:
    spans = [Span(0, 11, "", "Größe", 1, 1), Span(11, len(TEXT), "Größe 🌊", "Größe › 🌊", 1, None)]
    with store.transaction():
        document_id = store.add_document("a.pdf", "a.pdf", "ab", LOADED)
        store.add_chunks(document_id, [NewChunk(span, TEXT[span.start : span.end], None) for span in spans])
    document = Document(document_id, "a.pdf", "a.pdf", "Größe", "pdf", "ab", len(TEXT), 1)
    assert store.documents() == [document]
    assert store.documents_of([document_id, 99]) == {document_id: document}
    assert store.documents_with_hash("ab") == [document]
    assert store.documents_with_hash("cd") == []
    assert store.text(document_id) == TEXT
    assert store.structure(document_id) == (list(LOADED.pages), list(LOADED.headings))
    assert store.all_notes() == {"a.pdf": ["page 2 is scanned"]}
    chunks = store.chunks_of(document_id)
    assert [(c.ordinal, c.start, c.end, c.section, c.context, c.first_page, c.last_page) for c in chunks] == [
        (0, 0, 11, "", "Größe", 1, 1),
        (1, 11, len(TEXT), "Größe 🌊", "Größe › 🌊", 1, None),
    ]
    assert [chunk.text for chunk in chunks] == [TEXT[chunk.start : chunk.end] for chunk in chunks]
    assert store.chunks([chunks[1].id, 999]) == {chunks[1].id: chunks[1]}
    assert list(store.chunk_texts(1, 99)) == [(chunk.id, chunk.context, chunk.text) for chunk in chunks]
    assert store.chunk_ids(2, 99) == [chunks[1].id]
    assert [store.section_at(document_id, at) for at in (0, 10, 11, 30, 400)] == ["", "", "Größe 🌊", "Größe 🌊", ""]
    assert (store.chunk_count(), store.last_chunk()) == (2, chunks[1].id)


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert (store.chunk_count(), store.last_chunk(), store.generation) == (0, 0, 0)
    lists: list[object] = [store.documents(), store.files(), store.chunk_ids(0, 99)]
    tables: list[object] = [store.chunks([]), store.documents_of([]), store.all_notes()]
    assert (lists, tables) == ([[]] * 3, [{}] * 3)


def test_more_ids_than_a_statement_takes_are_found(store: Store) -> None:
    ids = [put_document(store, f"{n}.txt", [f"text {n}"], vectors=False) for n in range(1_203)]
    assert set(store.documents_of(ids)) == set(ids)
    assert [chunk.text for chunk in store.chunks(range(1, 1_204)).values()] == [f"text {n}" for n in range(1_203)]


@pytest.mark.parametrize("ask", ["text", "structure"])
def test_an_unknown_document_is_a_key_error(store: Store, ask: str) -> None:
    with pytest.raises(KeyError, match="7"):
        getattr(store, ask)(7)


def test_each_change_of_what_can_be_found_advances_the_generation(store: Store) -> None:
    seen = [store.generation]
    put_document(store, "a.txt", ["one"])
    seen.append(store.generation)
    drop_document(store, "a.txt")
    seen.append(store.generation)
    store.advance()
    seen.append(store.generation)
    assert seen == sorted(set(seen))


# Files


def test_a_file_without_a_document_is_remembered(store: Store) -> None:
    refused = record("x.bin", None, "", FileState.SKIPPED)
    store.put_file(refused, 17)
    assert store.files() == [refused]
    assert store.mtimes() == {"x.bin": 17}
    assert store.document_of("x.bin") is None
    assert store.document_of("unheard") is None
    store.remove_file("x.bin")
    assert store.files() == []


def test_a_document_lives_while_a_file_has_it(store: Store) -> None:
    document_id = put_document(store, "a.txt", ["one", "two"])
    store.put_file(record("b.txt", document_id), 18)
    store.remove_file("b.txt")
    assert [document.path for document in store.documents()] == ["a.txt"]
    assert store.mtimes() == {"a.txt": 1}  # its own file stayed: nothing is to be done
    store.remove_file("a.txt")
    assert (store.documents(), store.chunk_count(), store.segments.dead()) == ([], 0, [1, 2])


def test_a_document_that_its_own_file_left_is_named_after_another_which_is_to_be_read_anew(store: Store) -> None:
    document_id = put_document(store, "a.txt", ["one"])
    store.put_file(record("c.txt", document_id), 18)
    store.put_file(record("b.txt", document_id), 19)
    store.put_file(record("aa.txt", document_id, "", FileState.FAILED), 20)  # keeps the text, cannot be read
    store.remove_file("a.txt")
    assert [(document.id, document.path) for document in store.documents()] == [(document_id, "b.txt")]
    assert store.mtimes() == {"aa.txt": 20, "b.txt": STALE, "c.txt": 18}
    assert store.stale() == {"b.txt"}


def test_a_new_document_of_a_file_releases_the_old_one(store: Store) -> None:
    put_document(store, "a.txt", ["one", "two"])
    new = put_document(store, "a.txt", ["three"])
    assert [document.id for document in store.documents()] == [new]
    assert store.segments.dead() == [1, 2]


def test_copies_follow_to_a_document_of_their_content_and_to_no_other(store: Store) -> None:
    old = put_document(store, "a.txt", ["one"])
    sha256 = store.documents()[0].sha256
    store.put_file(record("same.txt", old, sha256), 2)
    store.put_file(record("kept.txt", old, "", FileState.FAILED), 3)
    new = put_document(store, "a.txt", ["one"])
    assert {item.path: item.document_id for item in store.files()} == {"a.txt": new, "same.txt": new, "kept.txt": old}
    other = put_document(store, "a.txt", ["two"])
    assert {item.path: item.document_id for item in store.files()} == {"a.txt": other, "same.txt": new, "kept.txt": old}


# Opening


def test_a_store_is_made_once_whoever_comes_second(tmp_path: Path) -> None:
    first = Store.create(tmp_path / ".fathom", "hash")
    second = Store.create(tmp_path / ".fathom", "none")
    assert second.meta("embedding") == first.meta("embedding") == "hash"
    with pytest.raises(KeyError, match="colour"):
        first.meta("colour")
    assert (tmp_path / ".fathom" / ".gitignore").read_text() == "*\n"
    first.close()
    second.close()


def test_a_folder_without_a_database_holds_no_collection(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(CollectionMissingError, match="there is no collection in ") as caught:
            Store.open(tmp_path / ".fathom")
        assert caught.value.hint == "make one: fathom index FOLDER"
        (tmp_path / ".fathom").mkdir(exist_ok=True)
    Store.create(tmp_path / ".fathom", "hash").close()
    Store.open(tmp_path / ".fathom").close()


def test_another_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    store = new_store(tmp_path / ".fathom")
    store._db.rows("PRAGMA user_version = 7")
    store.close()
    expected = f"has format 7, this fathom reads format {FORMAT_VERSION}"
    with pytest.raises(CollectionVersionError, match=expected) as caught:
        Store.open(tmp_path / ".fathom")
    assert "fathom index FOLDER --rebuild" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no database at all, only words" * 99, b"SQLite format 3\x00"])
def test_a_file_that_is_no_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    new_store(tmp_path / ".fathom").close()
    (tmp_path / ".fathom" / DATABASE).write_bytes(content)
    with pytest.raises(CollectionBrokenError, match=r"is damaged: collection\.sqlite is not a database") as caught:
        Store.open(tmp_path / ".fathom")
    assert "the documents, which are untouched" in caught.value.hint
    assert (tmp_path / ".fathom" / DATABASE).read_bytes() == content


def test_a_database_of_another_program_is_damaged(tmp_path: Path) -> None:
    new_store(tmp_path / ".fathom").close()
    path = tmp_path / ".fathom" / DATABASE
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE songs (name TEXT)")
    other.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    other.commit()
    other.close()
    with pytest.raises(CollectionBrokenError, match="its table 'songs' is not one that fathom makes"):
        Store.open(tmp_path / ".fathom")


def test_a_folder_of_other_things_becomes_no_collection(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("mine")
    with pytest.raises(CollectionError, match="letters holds files and no collection") as caught:
        Store.create(tmp_path / "letters", "hash")
    assert caught.value.hint == "name a new or empty folder with --collection"
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["a.txt"]


def test_damage_behind_the_first_pages_is_told_in_whatever_is_asked(tmp_path: Path) -> None:
    store = new_store(tmp_path / ".fathom", chunks=5)
    assert check(store) == []
    store._db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = dict(store._db.rows("SELECT name, rootpage FROM sqlite_master"))
    store.close()
    path = tmp_path / ".fathom" / DATABASE
    data = bytearray(path.read_bytes())
    for table in ("documents", "files", "chunks"):
        start = (pages[table] - 1) * 4096
        data[start : start + 4096] = b"\xaa" * 4096
    path.write_bytes(data)
    store = Store.open(tmp_path / ".fathom")
    for ask in (store.documents, store.files, store.mtimes, lambda: store.text(1)):
        with pytest.raises(CollectionBrokenError, match="is damaged: database disk image is malformed"):
            ask()
    with pytest.raises(CollectionBrokenError), store.transaction():
        store.add_document("b", "b", "cd", LOADED)
    with pytest.raises(CollectionBrokenError):
        check(store)
    store.close()


def test_a_row_that_points_nowhere_is_damage(store: Store) -> None:
    store._db.rows("PRAGMA foreign_keys = OFF")
    store.put_file(record("a.txt", 7), 1)
    assert store.database.damage() == ["a row of files points nowhere"]
