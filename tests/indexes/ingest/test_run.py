"""Indexing runs: what is new, changed, moved, copied, touched, gone or unreadable, and what the report says of it."""

import os
import shutil
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import IndexReport
from indexes.errors import NothingToIndexError
from indexes.ingest.writer import IndexProgress
from tests.support.files import pdf, write
from tests.support.rooms import ONE, rewrite, texts_of


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


def _seen(fresh: Collection) -> tuple[object, ...]:
    return fresh.stats(), fresh.files(), fresh.documents()


def test_new_files_are_added_and_a_second_run_changes_nothing(fresh: Collection, letters: Path) -> None:
    report = fresh.add([letters], ONE)
    assert _outcome(report) == {"added": ["a.md", "b.txt", "sub/c.csv"]}
    assert (report.chunks, report.interrupted) == (3, False)
    before = _seen(fresh)
    assert _outcome(fresh.add([letters], ONE)) == {"unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    assert _seen(fresh) == before  # the generation too: no reader has to look again


def test_a_run_without_news_starts_no_loader_and_writes_no_index_file(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    files = {path: path.stat().st_mtime_ns for path in (fresh.folder / "segments").rglob("*")}
    fresh.add([letters], ONE)
    assert {path: path.stat().st_mtime_ns for path in (fresh.folder / "segments").rglob("*")} == files


def test_a_changed_file_replaces_its_text(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    rewrite(letters / "a.md", "# Alpha\n\nCells cost 71 euros.\n")
    assert _outcome(fresh.add([letters], ONE)) == {"updated": ["a.md"], "unchanged": ["b.txt", "sub/c.csv"]}
    assert texts_of(fresh)["a.md"] == "# Alpha\n\nCells cost 71 euros.\n"
    assert fresh.stats().documents == 3


def test_a_touched_file_is_unchanged_and_not_opened_again(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    generation = fresh.stats().generation
    os.utime(letters / "a.md", ns=(1, 1))
    assert _outcome(fresh.add([letters], ONE)) == {"unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    assert fresh.stats().generation == generation
    (letters / "a.md").write_text("#" + " Alpha\n\nCELLS COST 68 EUROS.\n")
    os.utime(letters / "a.md", ns=(1, 1))  # as if nothing had happened
    assert "a.md" in fresh.add([letters], ONE).unchanged


def test_a_moved_file_is_made_anew_under_its_new_name(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    (letters / "a.md").rename(letters / "sub" / "z.md")
    report = fresh.add([letters], ONE)
    assert _outcome(report) == {"added": ["sub/z.md"], "removed": ["a.md"], "unchanged": ["b.txt", "sub/c.csv"]}
    (moved,) = [document for document in fresh.documents() if document.name == "sub/z.md"]
    assert moved.path == str(letters / "sub" / "z.md")
    assert [chunk.context for chunk in fresh.chunks_of(moved.id)] == ["sub › z › Alpha"]
    assert fresh.stats().documents == 3


def test_a_copy_shares_the_document_until_the_last_one_is_gone(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    shutil.copy(letters / "a.md", letters / "copy.md")
    assert _outcome(fresh.add([letters], ONE))["added"] == ["copy.md"]
    assert fresh.stats().documents == 3
    assert fresh.stats().files["indexed"] == 4
    (letters / "copy.md").unlink()
    report = fresh.add([letters], ONE)
    assert _outcome(report) == {"removed": ["copy.md"], "unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    shutil.copy(letters / "a.md", letters / "copy.md")
    fresh.add([letters], ONE)
    (letters / "a.md").unlink()
    assert _outcome(fresh.add([letters], ONE))["removed"] == ["a.md"]
    assert set(texts_of(fresh)) == {"copy.md", "b.txt", "sub/c.csv"}
    (letters / "copy.md").unlink()
    fresh.add([letters], ONE)
    assert set(texts_of(fresh)) == {"b.txt", "sub/c.csv"}


def test_copies_in_one_run_give_one_document(fresh: Collection, letters: Path) -> None:
    write(letters, {"a2.md": (letters / "a.md").read_bytes(), "sub/a3.md": (letters / "a.md").read_bytes()})
    assert len(fresh.add([letters], ONE).added) == 5
    assert fresh.stats().documents == 3
    assert {record.document_id for record in fresh.files() if record.name.endswith(".md")} == {
        next(document.id for document in fresh.documents() if document.name == "a.md")
    }


def test_a_file_that_becomes_a_copy_of_another_is_updated(fresh: Collection, letters: Path) -> None:
    write(letters, {"d.md": "# Delta\n\nwords\n"})
    fresh.add([letters], ONE)
    rewrite(letters / "d.md", (letters / "a.md").read_text())
    assert _outcome(fresh.add([letters], ONE))["updated"] == ["d.md"]
    assert set(texts_of(fresh)) == {"a.md", "b.txt", "sub/c.csv"}


def test_two_files_that_swap_their_contents_keep_both(fresh: Collection, letters: Path) -> None:
    write(letters, {"d.md": "# Delta\n\nwords\n"})
    fresh.add([letters], ONE)
    one, two = (letters / "a.md").read_text(), (letters / "d.md").read_text()
    rewrite(letters / "a.md", two)
    rewrite(letters / "d.md", one)
    assert _outcome(fresh.add([letters], ONE))["updated"] == ["a.md", "d.md"]
    assert (texts_of(fresh)["a.md"], texts_of(fresh)["d.md"]) == (two, one)


def test_deleted_files_are_forgotten_only_below_the_folders_of_the_run(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    (letters / "a.md").unlink()
    (letters / "sub" / "c.csv").unlink()
    write(letters, {"sub/d.md": "new"})
    assert _outcome(fresh.add([letters / "sub"], ONE)) == {"added": ["d.md"], "removed": ["sub/c.csv"]}
    assert _outcome(fresh.add([letters / "b.txt"], ONE)) == {"unchanged": ["b.txt"]}
    assert "a.md" in texts_of(fresh)
    assert _outcome(fresh.add([letters], ONE))["removed"] == ["a.md"]


def test_a_deleted_folder_is_forgotten(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    shutil.rmtree(letters / "sub")
    assert _outcome(fresh.add([letters], ONE))["removed"] == ["sub/c.csv"]


def test_deleted_files_are_forgotten_when_a_folder_above_the_collection_is_indexed(tmp_path: Path) -> None:
    letters = write(tmp_path / "docs", {"inner/a.md": "one", "inner/b.md": "two"})
    fresh = Collection.open_or_create(letters / "inner" / ".fathom", "hash")
    fresh.add([letters], ONE)
    (letters / "inner" / "a.md").unlink()
    assert _outcome(fresh.add([letters], ONE))["removed"] == ["inner/a.md"]
    fresh.close()


def test_folders_of_a_document_stand_in_its_context(fresh: Collection, letters: Path) -> None:
    write(letters, {"acme/energy/memo.md": "# Memo\n\n## Price\n\nwords"})
    fresh.add([letters], ONE)
    document = next(item for item in fresh.documents() if item.title == "Memo")
    assert [chunk.context for chunk in fresh.chunks_of(document.id)] == ["acme › energy › Memo › Price"]


def test_paths_without_documents_change_nothing(fresh: Collection, letters: Path, tmp_path: Path) -> None:
    fresh.add([letters], ONE)
    before = _seen(fresh)
    (tmp_path / "hollow").mkdir()
    for paths in ([], [tmp_path / "gone"], [tmp_path / "hollow"], [letters, tmp_path / "gone"]):
        with pytest.raises(NothingToIndexError):
            fresh.add(paths, ONE)
    assert _seen(fresh) == before


# Progress, and runs that are interrupted


def _numbers(progress: IndexProgress) -> tuple[int, int, int, int]:
    return progress.files_done, progress.files_total, progress.chunks_done, progress.chunks_found


def test_progress_adds_up_whatever_becomes_of_the_files(fresh: Collection, letters: Path) -> None:
    write(letters, {"a2.md": (letters / "a.md").read_bytes(), "bad.pdf": b"%PDF", "x.exe": "x", "sub/a3.md": "# Alpha"})
    seen: list[tuple[int, int, int, int]] = []
    for _ in range(2):
        seen.clear()
        fresh.add([letters], ONE, lambda progress: seen.append(_numbers(progress)))
        assert seen == sorted(seen)
        files_done, files_total, chunks_done, chunks_found = seen[-1]
        assert (files_done, chunks_done) == (files_total, chunks_found)
        assert all(done <= total for done, total, _, _ in seen)
        (letters / "a.md").unlink(missing_ok=True)  # its copy's document is made anew in the second run
    assert chunks_found == 1


def test_progress_names_the_file_the_pages_and_the_work_at_the_end(fresh: Collection, letters: Path) -> None:
    write(letters, {"p.pdf": pdf([[("page one", 10)], [("page two", 10)]])})
    names, stages, pages = set(), [], []

    def note(progress: IndexProgress) -> None:
        names.add(progress.current)
        pages.append(progress.pages_done)
        if progress.stage not in stages:
            stages.append(progress.stage)

    fresh.add([letters], ONE, note)
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
    tmp_path: Path, letters: Path, step: int
) -> None:
    from tests.support.dumps import dump

    broken = Collection.open_or_create(tmp_path / ".fathom", "hash")
    whole = Collection.open_or_create(tmp_path / ".whole", "hash")
    for fresh in (broken, whole):
        fresh.add([letters], ONE)
    write(
        letters, {f"n{n}.md": f"# New {n}\n\nwords of {n}" for n in range(3)} | {"sub/copy.md": "# New 1\n\nwords of 1"}
    )
    (letters / "a.md").unlink()
    interrupting = _Interrupting(step)
    report = broken.add([letters], ONE, interrupting)
    assert report.interrupted is (interrupting.left <= 0)
    assert report.chunks == broken.stats().chunks
    assert broken.verify() == []
    broken.search("words")
    for fresh in (broken, whole):
        assert not fresh.add([letters], ONE).interrupted
    assert dump(broken) == dump(whole)
    broken.close()
    whole.close()
