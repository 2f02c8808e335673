"""The collection: opening, its model, removing, trying again, checking, and two processes at once."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from indexes.collection import Collection, find_collection
from indexes.encoders.embedding import Encoder
from indexes.errors import (
    CollectionBrokenError,
    CollectionBusyError,
    CollectionMissingError,
    CollectionVersionError,
    EncoderError,
    NothingToRemoveError,
)
from indexes.ingest.run import RunSettings
from indexes.loaders.limits import LoadLimits
from indexes.search.ranking import SearchMode
from indexes.storage.schema import DATABASE
from indexes.storage.store import Store
from tests.indexes.files.test_locking import held_by_another
from tests.support.files import pdf, write
from tests.support.rooms import FILES, ONE


def _names(collection: Collection) -> list[str]:
    return [document.name for document in collection.documents()]


# Opening


def test_the_nearest_collection_above_is_found(tmp_path: Path, collection: Collection) -> None:
    deep = tmp_path / "docs" / "x" / "y"
    deep.mkdir(parents=True)
    assert find_collection(deep) == collection.folder
    (deep / ".fathom").mkdir()  # a folder without a database is none
    assert find_collection(deep) == collection.folder
    assert find_collection(tmp_path.parent) is None


def test_opening_does_not_create(tmp_path: Path) -> None:
    with pytest.raises(CollectionMissingError, match="there is no collection in "):
        Collection.open(tmp_path / ".fathom")
    assert not (tmp_path / ".fathom").exists()


def test_an_encoder_that_is_missing_leaves_no_collection_behind(tmp_path: Path) -> None:
    def missing(name: str) -> Encoder | None:
        raise EncoderError(f"{name} is not installed")

    with pytest.raises(EncoderError, match="all-MiniLM-L6-v2 is not installed"):
        Collection.open_or_create(tmp_path / ".fathom", encoder_for=missing)
    assert not (tmp_path / ".fathom").exists()


def test_another_embedding_is_refused_and_the_same_or_none_named_is_not(collection: Collection) -> None:
    with pytest.raises(EncoderError, match="was made with the embedding 'hash', not 'none'") as caught:
        Collection.open_or_create(collection.folder, "none")
    assert "leave --embedding out" in caught.value.hint
    for name in ("hash", None):
        again = Collection.open_or_create(collection.folder, name)
        assert again.embedding == "hash"
        again.close()


def test_another_format_and_a_damaged_database_are_refused(collection: Collection) -> None:
    folder = collection.folder
    collection.close()
    store = Store.open(folder)
    store._db.rows("PRAGMA user_version = 1")
    store.close()
    with pytest.raises(CollectionVersionError, match="has format 1, this fathom reads format 3"):
        Collection.open_or_create(folder, "hash")
    (folder / DATABASE).write_bytes(b"garbage" * 1000)
    with pytest.raises(CollectionBrokenError, match=r"is damaged: collection\.sqlite is not a database"):
        Collection.open_or_create(folder, "hash")
    assert (folder / DATABASE).read_bytes() == b"garbage" * 1000  # left as it is


def test_a_collection_moves_with_its_documents(collection: Collection, docs: Path, tmp_path: Path) -> None:
    collection.close()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    docs.rename(moved / "docs")
    (tmp_path / ".fathom").rename(moved / ".fathom")
    again = Collection.open(moved / ".fathom")
    assert {document.path for document in again.documents()} == {str(moved / "docs" / name) for name in FILES}
    assert sorted(again.add([moved / "docs"], ONE).unchanged) == sorted(FILES)
    again.close()


# Removing


def test_a_file_is_removed_by_path_or_listed_name_and_comes_back_with_its_folder(
    collection: Collection, docs: Path
) -> None:
    assert collection.remove([docs / "cells.md", Path("sub/board.md")]) == ["cells.md", "sub/board.md"]
    assert _names(collection) == ["fire.md"]
    assert [hit.document.name for hit in collection.search("cells").hits] == ["fire.md"]
    assert collection.search("cells", mode=SearchMode.LEXICAL).hits == ()
    assert collection.verify() == []
    assert sorted(collection.add([docs], ONE).added) == ["cells.md", "sub/board.md"]


def test_a_folder_is_removed_with_all_that_lies_below_though_it_is_gone(collection: Collection, docs: Path) -> None:
    shutil.rmtree(docs)
    assert collection.remove([docs / "sub"]) == ["sub/board.md"]
    assert sorted(collection.remove([docs.parent.parent])) == ["cells.md", "fire.md"]
    assert (collection.stats().chunks, collection.files()) == (0, [])
    assert list((collection.folder / "segments").iterdir()) == []


def test_the_copy_of_a_removed_file_stays_and_is_made_anew_by_the_next_run(collection: Collection, docs: Path) -> None:
    shutil.copy(docs / "cells.md", docs / "sub" / "copy.md")
    collection.add([docs], ONE)
    collection.remove([docs / "cells.md"])
    (docs / "cells.md").unlink()
    assert _names(collection) == ["fire.md", "sub/board.md", "sub/copy.md"]
    assert collection.add([docs], ONE).updated == ["sub/copy.md"]
    (copy,) = [document for document in collection.documents() if document.name == "sub/copy.md"]
    assert [chunk.context for chunk in collection.chunks_of(copy.id)] == ["sub › copy › Supply"]


def test_a_path_that_is_not_there_removes_nothing(collection: Collection, docs: Path) -> None:
    before = (collection.stats(), collection.files())
    with pytest.raises(NothingToRemoveError, match=r"^nowhere.md is not in the collection"):
        collection.remove([docs / "cells.md", Path("nowhere.md")])
    assert (collection.stats(), collection.files()) == before


def test_a_file_is_removed_where_index_files_are_gone(collection: Collection, docs: Path) -> None:
    shutil.rmtree(collection.folder / "segments")
    collection.remove([docs / "cells.md"])
    assert collection.verify() == []
    assert sorted(hit.document.name for hit in collection.search("cells").hits) == ["fire.md", "sub/board.md"]


# Trying again


def test_only_files_that_failed_are_tried_again(collection: Collection, docs: Path) -> None:
    write(docs, {"large.txt": "word " * 220_000, "bad.pdf": b"%PDF-1.4 cut", "x.exe": "x"})
    small = RunSettings(LoadLimits(max_file_mib=1), processes=1)
    assert set(collection.add([docs], small).failed) == {"large.txt", "bad.pdf"}
    write(docs, {"new.md": "not looked at"})
    (docs / "cells.md").unlink()
    report = collection.retry_failed(ONE)
    assert (report.added, list(report.failed), report.removed, report.unchanged) == (["large.txt"], ["bad.pdf"], [], [])
    assert "cells.md" in _names(collection)
    (docs / "bad.pdf").write_bytes(pdf([[("whole again", 10)]]))
    assert collection.retry_failed(ONE).added == ["bad.pdf"]
    report = collection.retry_failed(ONE)
    assert (report.added, report.failed, report.interrupted) == ([], {}, False)


def test_a_failed_file_that_is_gone_is_still_failed_until_its_folder_is_indexed(
    collection: Collection, docs: Path
) -> None:
    write(docs, {"bad.pdf": b"%PDF-1.4 cut"})
    collection.add([docs], ONE)
    (docs / "bad.pdf").unlink()
    assert collection.retry_failed(ONE).failed == {"bad.pdf": "cannot be opened: No such file or directory"}
    assert collection.add([docs], ONE).removed == ["bad.pdf"]


# Asking


def test_notes_and_counts(tmp_path: Path, collection: Collection, docs: Path) -> None:
    assert collection.notes() == {}
    stats = collection.stats()
    assert (stats.folder, stats.embedding, stats.documents, stats.chunks) == (str(tmp_path / ".fathom"), "hash", 3, 3)
    assert stats.characters == sum(len(text) for text in FILES.values())
    assert stats.files == {"indexed": 3, "failed": 0, "skipped": 0}
    for ask in (collection.text, collection.structure):
        with pytest.raises(KeyError):
            ask(999)


def test_a_place_has_the_section_and_the_pages_of_its_own_characters(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n\n## First\n\n" + "Alpha beta. " * 60 + "\n\n## Second\n\nGamma delta.\n")
    (tmp_path / "b.pdf").write_bytes(pdf([[("Page one speaks.", 10)], [("Page two speaks.", 10)]]))
    collection = Collection.open_or_create(tmp_path / ".fathom", "none")
    collection.add([tmp_path], ONE)
    note, report = collection.documents()
    text = collection.text(note.id)
    place = collection.place(note.id, text.index("Gamma"), text.index("Gamma") + 5)
    assert (place.section, place.first_page, place.last_page) == ("Second", None, None)
    assert collection.place(note.id, text.index("Alpha"), text.index("Alpha") + 5).section == "First"
    first, second = collection.structure(report.id)[0]
    for start, end, pages in ((first.start, first.start + 3, (1, 1)), (first.end - 1, second.start + 1, (1, 2))):
        place = collection.place(report.id, start, end)
        assert (place.first_page, place.last_page) == pages
    collection.close()


def test_a_damaged_database_says_so_in_every_call(collection: Collection, docs: Path) -> None:
    folder = collection.folder
    collection.close()
    store = Store.open(folder)
    roots = dict(store._db.rows("SELECT name, rootpage FROM sqlite_master"))
    store.close()
    data = bytearray((folder / DATABASE).read_bytes())
    for table in ("documents", "files", "chunks"):
        start = (roots[table] - 1) * 4096
        data[start : start + 4096] = bytes([0xAA]) * 4096
    (folder / DATABASE).write_bytes(data)
    broken = Collection.open(folder)
    for call in (lambda: broken.add([docs], ONE), lambda: broken.search("cells"), broken.stats, broken.files):
        with pytest.raises(CollectionBrokenError, match="is damaged: ") as caught:
            call()
        assert "fathom index FOLDER --rebuild" in caught.value.hint
    broken.close()


def test_a_second_writer_is_refused_until_the_first_is_gone_and_readers_go_on(
    collection: Collection, docs: Path
) -> None:
    with held_by_another(collection.folder) as holder:
        before = (collection.stats(), collection.files())
        for write_ in (
            lambda: collection.add([docs], ONE),
            lambda: collection.retry_failed(ONE),
            lambda: collection.remove([docs]),
        ):
            with pytest.raises(CollectionBusyError, match=rf"\(number {holder.pid}\) is writing to ") as caught:
                write_()
            assert caught.value.hint == "wait until it is done, then run this again"
        assert (collection.stats(), collection.files()) == before
        assert collection.search("cells").hits
        assert collection.verify() == []
        holder.kill()
        holder.wait()
    assert sorted(collection.add([docs], ONE).unchanged) == sorted(FILES)


def test_a_section_is_the_run_of_chunks_around_a_place_that_have_it(tmp_path: Path) -> None:
    filler = "Cells are sold in crates of twelve. " * 60
    text = f"# Supply\n\n{filler}\n\n## Fees\n\n{filler}\n\n## Term\n\n{filler}\n\n## Fees\n\nOf other things.\n"
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    with closing(Collection.open_or_create(tmp_path / ".fathom", "none")) as collection:
        collection.add([tmp_path / "a.md"], ONE)
        (document,) = collection.documents()
        chunks = collection.chunks_of(document.id)
        for chunk in chunks:
            same = [other for other in chunks if other.section == chunk.section]
            # by brute force: those with no chunk of another section between them and this one
            around = []
            for other in same:
                first, last = sorted((other.ordinal, chunk.ordinal))
                if all(between.section == chunk.section for between in chunks[first:last]):
                    around.append(other)
            assert collection.section_chunks(document.id, chunk.start) == (around if chunk.section else [])
        found = [collection.section_chunks(document.id, chunk.start) for chunk in chunks]
        runs = {run[0].ordinal: run for run in found if run}.values()
        assert [run[0].section for run in runs] == ["Fees", "Term", "Fees"]
        assert [len(run) > 1 for run in runs] == [True, True, False]
        assert collection.section_chunks(document.id, len(text) + 5) == []
