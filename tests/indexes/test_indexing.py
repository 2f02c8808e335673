"""Indexing runs: what is new, changed, moved, copied, touched, gone or unreadable, and what the report says of it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import IndexReport
from indexes.errors import NothingToIndexError
from indexes.indexing import RunSettings
from indexes.ingest import IndexProgress
from tests.indexes.files import pdf, write

ONE = RunSettings(processes=1)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(
        tmp_path / "docs",
        {"a.md": "# Alpha\n\nCells cost 68 euros.\n", "b.txt": "Fire in Taunton.\n", "sub/c.csv": "x,y\n1,2\n"},
    )


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    made = Collection.open_or_create(tmp_path / ".fathom", "hash")
    yield made
    made.close()


def _texts(collection: Collection) -> dict[str, str]:
    return {document.name: collection.text(document.id) for document in collection.documents()}


def _outcome(report: IndexReport) -> dict[str, list[str]]:
    found = {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": list(report.failed),
        "skipped": list(report.skipped),
    }
    return {key: sorted(names) for key, names in found.items() if names}


def _rewrite(path: Path, text: str) -> None:
    """New content with a modification time that surely differs."""
    path.write_text(text)
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def _seen(collection: Collection) -> tuple[object, ...]:
    return collection.stats(), collection.files(), collection.documents()


def test_new_files_are_added_and_a_second_run_changes_nothing(collection: Collection, docs: Path) -> None:
    report = collection.add([docs], ONE)
    assert _outcome(report) == {"added": ["a.md", "b.txt", "sub/c.csv"]}
    assert (report.chunks, report.interrupted) == (3, False)
    before = _seen(collection)
    assert _outcome(collection.add([docs], ONE)) == {"unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    assert _seen(collection) == before  # the generation too: no reader has to look again


def test_a_run_without_news_starts_no_loader_and_writes_no_index_file(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    files = {path: path.stat().st_mtime_ns for path in (collection.folder / "segments").rglob("*")}
    collection.add([docs], ONE)
    assert {path: path.stat().st_mtime_ns for path in (collection.folder / "segments").rglob("*")} == files


def test_a_changed_file_replaces_its_text(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    _rewrite(docs / "a.md", "# Alpha\n\nCells cost 71 euros.\n")
    assert _outcome(collection.add([docs], ONE)) == {"updated": ["a.md"], "unchanged": ["b.txt", "sub/c.csv"]}
    assert _texts(collection)["a.md"] == "# Alpha\n\nCells cost 71 euros.\n"
    assert collection.stats().documents == 3


def test_a_touched_file_is_unchanged_and_not_opened_again(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    generation = collection.stats().generation
    os.utime(docs / "a.md", ns=(1, 1))
    assert _outcome(collection.add([docs], ONE)) == {"unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    assert collection.stats().generation == generation
    (docs / "a.md").write_text("#" + " Alpha\n\nCELLS COST 68 EUROS.\n")
    os.utime(docs / "a.md", ns=(1, 1))  # as if nothing had happened
    assert "a.md" in collection.add([docs], ONE).unchanged


def test_a_moved_file_is_made_anew_under_its_new_name(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    (docs / "a.md").rename(docs / "sub" / "z.md")
    report = collection.add([docs], ONE)
    assert _outcome(report) == {"added": ["sub/z.md"], "removed": ["a.md"], "unchanged": ["b.txt", "sub/c.csv"]}
    (moved,) = [document for document in collection.documents() if document.name == "sub/z.md"]
    assert moved.path == str(docs / "sub" / "z.md")
    assert [chunk.context for chunk in collection.chunks_of(moved.id)] == ["sub › z › Alpha"]
    assert collection.stats().documents == 3


def test_a_copy_shares_the_document_until_the_last_one_is_gone(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    shutil.copy(docs / "a.md", docs / "copy.md")
    assert _outcome(collection.add([docs], ONE))["added"] == ["copy.md"]
    assert collection.stats().documents == 3
    assert collection.stats().files["indexed"] == 4
    (docs / "copy.md").unlink()
    report = collection.add([docs], ONE)
    assert _outcome(report) == {"removed": ["copy.md"], "unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    shutil.copy(docs / "a.md", docs / "copy.md")
    collection.add([docs], ONE)
    (docs / "a.md").unlink()
    assert _outcome(collection.add([docs], ONE))["removed"] == ["a.md"]
    assert set(_texts(collection)) == {"copy.md", "b.txt", "sub/c.csv"}
    (docs / "copy.md").unlink()
    collection.add([docs], ONE)
    assert set(_texts(collection)) == {"b.txt", "sub/c.csv"}


def test_copies_in_one_run_give_one_document(collection: Collection, docs: Path) -> None:
    write(docs, {"a2.md": (docs / "a.md").read_bytes(), "sub/a3.md": (docs / "a.md").read_bytes()})
    assert len(collection.add([docs], ONE).added) == 5
    assert collection.stats().documents == 3
    assert {record.document_id for record in collection.files() if record.name.endswith(".md")} == {
        next(document.id for document in collection.documents() if document.name == "a.md")
    }


def test_a_file_that_becomes_a_copy_of_another_is_updated(collection: Collection, docs: Path) -> None:
    write(docs, {"d.md": "# Delta\n\nwords\n"})
    collection.add([docs], ONE)
    _rewrite(docs / "d.md", (docs / "a.md").read_text())
    assert _outcome(collection.add([docs], ONE))["updated"] == ["d.md"]
    assert set(_texts(collection)) == {"a.md", "b.txt", "sub/c.csv"}


def test_two_files_that_swap_their_contents_keep_both(collection: Collection, docs: Path) -> None:
    write(docs, {"d.md": "# Delta\n\nwords\n"})
    collection.add([docs], ONE)
    one, two = (docs / "a.md").read_text(), (docs / "d.md").read_text()
    _rewrite(docs / "a.md", two)
    _rewrite(docs / "d.md", one)
    assert _outcome(collection.add([docs], ONE))["updated"] == ["a.md", "d.md"]
    assert (_texts(collection)["a.md"], _texts(collection)["d.md"]) == (two, one)


def test_deleted_files_are_forgotten_only_below_the_folders_of_the_run(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    (docs / "a.md").unlink()
    (docs / "sub" / "c.csv").unlink()
    write(docs, {"sub/d.md": "new"})
    assert _outcome(collection.add([docs / "sub"], ONE)) == {"added": ["d.md"], "removed": ["sub/c.csv"]}
    assert _outcome(collection.add([docs / "b.txt"], ONE)) == {"unchanged": ["b.txt"]}
    assert "a.md" in _texts(collection)
    assert _outcome(collection.add([docs], ONE))["removed"] == ["a.md"]


def test_a_deleted_folder_is_forgotten(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    shutil.rmtree(docs / "sub")
    assert _outcome(collection.add([docs], ONE))["removed"] == ["sub/c.csv"]


def test_deleted_files_are_forgotten_when_a_folder_above_the_collection_is_indexed(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", {"inner/a.md": "one", "inner/b.md": "two"})
    collection = Collection.open_or_create(docs / "inner" / ".fathom", "hash")
    collection.add([docs], ONE)
    (docs / "inner" / "a.md").unlink()
    assert _outcome(collection.add([docs], ONE))["removed"] == ["inner/a.md"]
    collection.close()


def test_folders_of_a_document_stand_in_its_context(collection: Collection, docs: Path) -> None:
    write(docs, {"acme/energy/memo.md": "# Memo\n\n## Price\n\nwords"})
    collection.add([docs], ONE)
    document = next(item for item in collection.documents() if item.title == "Memo")
    assert [chunk.context for chunk in collection.chunks_of(document.id)] == ["acme › energy › Memo › Price"]


def test_paths_without_documents_change_nothing(collection: Collection, docs: Path, tmp_path: Path) -> None:
    collection.add([docs], ONE)
    before = _seen(collection)
    (tmp_path / "hollow").mkdir()
    for paths in ([], [tmp_path / "gone"], [tmp_path / "hollow"], [docs, tmp_path / "gone"]):
        with pytest.raises(NothingToIndexError):
            collection.add(paths, ONE)
    assert _seen(collection) == before


# Progress, and runs that are interrupted


def _numbers(progress: IndexProgress) -> tuple[int, int, int, int]:
    return progress.files_done, progress.files_total, progress.chunks_done, progress.chunks_found


def test_progress_adds_up_whatever_becomes_of_the_files(collection: Collection, docs: Path) -> None:
    write(docs, {"a2.md": (docs / "a.md").read_bytes(), "bad.pdf": b"%PDF", "x.exe": "x", "sub/a3.md": "# Alpha"})
    for _ in range(2):
        seen: list[tuple[int, int, int, int]] = []
        collection.add([docs], ONE, lambda progress, seen=seen: seen.append(_numbers(progress)))  # type: ignore[misc]
        assert seen == sorted(seen)
        files_done, files_total, chunks_done, chunks_found = seen[-1]
        assert (files_done, chunks_done) == (files_total, chunks_found)
        assert all(done <= total for done, total, _, _ in seen)
        (docs / "a.md").unlink(missing_ok=True)  # its copy's document is made anew in the second run
    assert chunks_found == 1


def test_progress_names_the_file_the_pages_and_the_work_at_the_end(collection: Collection, docs: Path) -> None:
    write(docs, {"p.pdf": pdf([[("page one", 10)], [("page two", 10)]])})
    names, stages, pages = set(), [], []

    def note(progress: IndexProgress) -> None:
        names.add(progress.current)
        pages.append(progress.pages_done)
        if progress.stage not in stages:
            stages.append(progress.stage)

    collection.add([docs], ONE, note)
    assert {"a.md", "b.txt", "sub/c.csv", "p.pdf"} <= names
    assert pages[-1] == 2
    assert stages == ["", "preparing the embedding model", "writing the index"]


class _Interrupting:
    """Ctrl-C at the n-th step of a run."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, _: IndexProgress) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7, 8])
def test_an_interrupted_run_says_so_and_the_next_one_ends_as_an_unbroken_one(
    tmp_path: Path, docs: Path, step: int
) -> None:
    from tests.indexes.dumps import dump

    broken = Collection.open_or_create(tmp_path / ".fathom", "hash")
    whole = Collection.open_or_create(tmp_path / ".whole", "hash")
    for collection in (broken, whole):
        collection.add([docs], ONE)
    write(docs, {f"n{n}.md": f"# New {n}\n\nwords of {n}" for n in range(3)} | {"sub/copy.md": "# New 1\n\nwords of 1"})
    (docs / "a.md").unlink()
    interrupting = _Interrupting(step)
    report = broken.add([docs], ONE, interrupting)
    assert report.interrupted is (interrupting.left <= 0)
    assert report.chunks == broken.stats().chunks
    assert broken.verify() == []
    broken.search("words")
    for collection in (broken, whole):
        assert not collection.add([docs], ONE).interrupted
    assert dump(broken) == dump(whole)
    broken.close()
    whole.close()
