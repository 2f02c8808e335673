"""Indexing runs: what is new, changed, moved, copied, touched, gone or unreadable, and runs that are cut off."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.chunking import ChunkSizes
from indexes.collection import Collection
from indexes.documents import FileState, IndexReport
from indexes.errors import NothingToIndexError
from indexes.indexing import BATCH_CHUNKS, IndexProgress
from indexes.loaders import LoadLimits
from tests.indexes.files import OLE, docx, pdf, write

SMALL = ChunkSizes(target=60, maximum=80, minimum=20)


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


def test_new_files_are_added_and_a_second_run_changes_nothing(collection: Collection, docs: Path) -> None:
    assert _outcome(collection.add([docs])) == {"added": ["a.md", "b.txt", "sub/c.csv"]}
    before = (collection.stats(), collection.files())
    assert _outcome(collection.add([docs])) == {"unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    assert (collection.stats(), collection.files()) == before


def test_a_changed_file_replaces_its_text(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    _rewrite(docs / "a.md", "# Alpha\n\nCells cost 71 euros.\n")
    assert _outcome(collection.add([docs])) == {"updated": ["a.md"], "unchanged": ["b.txt", "sub/c.csv"]}
    assert _texts(collection)["a.md"] == "# Alpha\n\nCells cost 71 euros.\n"
    assert collection.stats().documents == 3


def test_a_touched_file_is_unchanged_and_is_not_read_again(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    generation = collection.stats().generation
    os.utime(docs / "a.md", ns=(1, 1))
    assert _outcome(collection.add([docs])) == {"unchanged": ["a.md", "b.txt", "sub/c.csv"]}
    assert collection.stats().generation == generation


def test_a_moved_file_keeps_its_document_under_its_new_name(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    document_id = next(d.id for d in collection.documents() if d.name == "a.md")
    (docs / "a.md").rename(docs / "z.md")
    report = collection.add([docs])
    assert _outcome(report) == {"added": ["z.md"], "removed": ["a.md"], "unchanged": ["b.txt", "sub/c.csv"]}
    moved = next(d for d in collection.documents() if d.id == document_id)
    assert (moved.name, moved.path) == ("z.md", str(docs / "z.md"))
    assert collection.stats().documents == 3


def test_a_copy_shares_the_document_until_the_last_one_is_gone(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    shutil.copy(docs / "a.md", docs / "copy.md")
    assert _outcome(collection.add([docs]))["added"] == ["copy.md"]
    assert collection.stats().documents == 3
    assert collection.stats().files["indexed"] == 4
    (docs / "a.md").unlink()
    assert _outcome(collection.add([docs]))["removed"] == ["a.md"]
    assert "copy.md" in _texts(collection)
    (docs / "copy.md").unlink()
    collection.add([docs])
    assert set(_texts(collection)) == {"b.txt", "sub/c.csv"}


def test_copies_in_one_run_give_one_document_and_progress_that_adds_up(collection: Collection, docs: Path) -> None:
    write(docs, {"a2.md": (docs / "a.md").read_bytes(), "b2.txt": (docs / "b.txt").read_bytes()})
    seen: list[tuple[int, int, int, int]] = []
    collection.add(
        [docs], on_progress=lambda p: seen.append((p.files_done, p.files_total, p.chunks_done, p.chunks_found))
    )
    files_done, files_total, chunks_done, chunks_found = seen[-1]
    assert files_done == files_total == 5
    assert chunks_done == chunks_found == collection.stats().chunks == 3
    assert seen == sorted(seen, key=lambda item: (item[0], item[2]))


def test_progress_adds_up_without_an_encoder(tmp_path: Path, docs: Path) -> None:
    plain = Collection.open_or_create(tmp_path / "plain", "none")
    last: list[IndexProgress] = []
    plain.add([docs], on_progress=last.append)
    assert last[-1].chunks_done == last[-1].chunks_found == 3
    plain.close()


def test_a_file_that_becomes_a_copy_of_another_is_updated(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    _rewrite(docs / "b.txt", (docs / "a.md").read_text())
    assert _outcome(collection.add([docs]))["updated"] == ["b.txt"]
    assert set(_texts(collection)) == {"a.md", "sub/c.csv"}


def test_two_files_that_swap_their_contents_keep_both(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    one, two = (docs / "a.md").read_text(), (docs / "b.txt").read_text()
    _rewrite(docs / "a.md", two)
    _rewrite(docs / "b.txt", one)
    collection.add([docs])
    assert _texts(collection)["a.md"] == two
    assert _texts(collection)["b.txt"] == one


def test_deleted_files_are_forgotten_only_below_the_folders_of_the_run(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    (docs / "a.md").unlink()
    (docs / "sub" / "c.csv").unlink()
    write(docs, {"sub/d.md": "new"})
    assert _outcome(collection.add([docs / "sub"])) == {"added": ["d.md"], "removed": ["sub/c.csv"]}
    assert _outcome(collection.add([docs / "b.txt"])) == {"unchanged": ["b.txt"]}
    assert "a.md" in _texts(collection)
    assert _outcome(collection.add([docs]))["removed"] == ["a.md"]


def test_deleted_files_are_forgotten_when_a_folder_above_the_collection_is_indexed(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", {"inner/a.md": "one", "inner/b.md": "two"})
    collection = Collection.open_or_create(docs / "inner" / ".fathom", "hash")
    collection.add([docs])
    (docs / "inner" / "a.md").unlink()
    assert _outcome(collection.add([docs]))["removed"] == ["inner/a.md"]
    collection.close()


def test_a_folder_named_alike_is_not_below(collection: Collection, tmp_path: Path) -> None:
    write(tmp_path, {"docs/a.md": "one", "docs-old/b.md": "two"})
    collection.add([tmp_path / "docs", tmp_path / "docs-old"])
    (tmp_path / "docs-old" / "b.md").unlink()
    assert "removed" not in _outcome(collection.add([tmp_path / "docs"]))


# Files that cannot be read


def test_bad_files_are_rows_with_reasons_and_the_rest_is_indexed(collection: Collection, docs: Path) -> None:
    write(
        docs,
        {
            "empty.md": "",
            "blank.md": " \n ",
            "cut.pdf": pdf([[("x", 10)]] * 9)[:300],
            "cut.docx": docx([("Normal", "x")])[:900],
            "locked.pdf": pdf([[("x", 10)]], password="secret"),
            "locked.docx": OLE,
            "scan.pdf": pdf([[]]),
            "program.txt": b"\x7fELF\x00\x00",
            "large.txt": "x" * (2**20 + 1),
            "photo.png": b"\x89PNG",
            "report.txt": pdf([[("A PDF by another name", 10)]]),
        },
    )
    (docs / "gone.md").symlink_to(docs / "nothing")
    report = collection.add([docs], limits=LoadLimits(max_file_mib=1))
    assert {name: reason.split(";")[0].split(" (")[0] for name, reason in report.failed.items()} == {
        "empty.md": "is empty",
        "blank.md": "is empty",
        "cut.pdf": "is truncated or damaged",
        "cut.docx": "is truncated or damaged",
        "locked.pdf": "is encrypted",
        "locked.docx": "is password-protected or in a pre-2007 Office format",
        "scan.pdf": "has no text on its 1 pages",
        "large.txt": "is 1 MiB, over the limit of 1 MiB",
    }
    assert set(report.skipped) == {"program.txt", "photo.png", "gone.md"}
    assert report.skipped["program.txt"] == "holds binary data, not a document that fathom reads"
    assert report.skipped["gone.md"] == "is a link to nothing"
    assert sorted(report.added) == ["a.md", "b.txt", "report.txt", "sub/c.csv"]
    stored = {record.name: record for record in collection.files()}
    for name, reason in (report.failed | report.skipped).items():
        assert stored[name].reason == reason
        assert stored[name].document_id is None
    assert collection.stats().files == {"indexed": 4, "failed": 8, "skipped": 3}


def test_a_file_that_becomes_unreadable_keeps_its_text(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    text = _texts(collection)["a.md"]
    _rewrite(docs / "a.md", "")
    report = collection.add([docs])
    assert report.failed == {"a.md": "is empty; the version indexed before is kept"}
    assert _texts(collection)["a.md"] == text
    record = next(item for item in collection.files() if item.name == "a.md")
    assert (record.state, record.document_id is not None) == (FileState.FAILED, True)
    assert report.failed == collection.add([docs]).failed  # the reason does not grow
    _rewrite(docs / "a.md", "words again")
    assert _outcome(collection.add([docs]))["updated"] == ["a.md"]
    assert _texts(collection)["a.md"] == "words again"


def test_a_file_that_becomes_a_dangling_link_or_binary_keeps_its_text(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    (docs / "a.md").unlink()
    (docs / "a.md").symlink_to(docs / "nothing")
    (docs / "b.txt").write_bytes(b"\x00\x01\x02 binary now")
    report = collection.add([docs])
    assert set(report.skipped) == {"a.md", "b.txt"}
    assert all(reason.endswith("; the version indexed before is kept") for reason in report.skipped.values())
    assert {"a.md", "b.txt"} <= set(_texts(collection))


def test_an_unreadable_file_that_comes_back_as_it_was_is_indexed_again(collection: Collection, docs: Path) -> None:
    collection.add([docs])
    text = (docs / "a.md").read_text()
    _rewrite(docs / "a.md", "")
    collection.add([docs])
    _rewrite(docs / "a.md", text)
    collection.add([docs])
    assert collection.stats().files == {"indexed": 3, "failed": 0, "skipped": 0}
    assert collection.stats().documents == 3


def test_a_name_that_is_not_utf8_can_be_indexed_by_name(collection: Collection, docs: Path) -> None:
    bad = Path(os.fsdecode(os.fsencode(docs) + b"/bad\xff.md"))
    bad.write_text("words of the badly named")
    assert collection.add([docs]).skipped == {"bad\\udcff.md": "its name is not valid UTF-8; rename it"}
    assert collection.add([bad]).added == ["bad\\udcff.md"]
    assert collection.search("badly named", mode=None).hits


def test_link_loops_end(collection: Collection, docs: Path) -> None:
    (docs / "loop").symlink_to(docs, target_is_directory=True)
    (docs / "self.md").symlink_to(docs / "self.md")
    report = collection.add([docs])
    assert len(report.added) == 3
    assert report.skipped == {"self.md": "is a link to nothing"}


def test_paths_without_documents_change_nothing(collection: Collection, docs: Path, tmp_path: Path) -> None:
    collection.add([docs])
    before = (collection.stats(), collection.files())
    (tmp_path / "hollow").mkdir()
    for paths in ([], [tmp_path / "gone"], [tmp_path / "hollow"], [docs, tmp_path / "gone"]):
        with pytest.raises(NothingToIndexError):
            collection.add(paths)
    assert (collection.stats(), collection.files()) == before


def test_folders_of_a_document_stand_in_its_context(collection: Collection, docs: Path) -> None:
    write(docs, {"acme/energy/memo.md": "# Memo\n\n## Price\n\nwords"})
    collection.add([docs])
    document = next(item for item in collection.documents() if item.title == "Memo")
    assert [chunk.context for chunk in collection.chunks_of(document.id)] == ["acme › energy › Memo › Price"]


# Runs that are cut off


def _many(root: Path) -> Path:
    paragraphs = "\n\n".join(f"Paragraph {n} speaks of cells and their price." for n in range(30))
    return write(root, {f"f{n:02}.md": f"# File {n}\n\n{paragraphs}\n" for n in range(14)})


def _content(collection: Collection) -> list[object]:
    return [
        (d, collection.text(d.id), collection.structure(d.id), collection.chunks_of(d.id))
        for d in collection.documents()
    ]


def _unbroken(tmp_path: Path, docs: Path) -> list[object]:
    whole = Collection.open_or_create(tmp_path / "whole" / ".fathom", "hash")
    whole.add([docs], sizes=SMALL)
    assert whole.stats().chunks > 3 * BATCH_CHUNKS
    content = _content(whole)
    whole.close()
    return content


@pytest.mark.parametrize("files_done", [0, 1, 7, 13])
def test_a_run_that_fails_and_is_continued_equals_an_unbroken_one(tmp_path: Path, files_done: int) -> None:
    docs = _many(tmp_path / "docs")
    broken = Collection.open_or_create(tmp_path / "broken" / ".fathom", "hash")

    def stop(progress: IndexProgress) -> None:
        if progress.files_done == files_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.add([docs], sizes=SMALL, on_progress=stop)
    report = broken.add([docs], sizes=SMALL)
    assert len(report.unchanged) + len(report.added) == 14
    assert _content(broken) == _unbroken(tmp_path, docs)
    broken.close()


_KILLED = """
import os, signal, sys
from pathlib import Path
from indexes.chunking import ChunkSizes
from indexes.collection import Collection

def stop(progress):
    if progress.chunks_done and progress.files_done == 9:
        os.kill(os.getpid(), signal.SIGKILL)

collection = Collection.open_or_create(Path(sys.argv[1]), "hash")
collection.add([Path(sys.argv[2])], sizes=ChunkSizes(60, 80, 20), on_progress=stop)
"""


def test_a_killed_run_that_is_continued_equals_an_unbroken_one(tmp_path: Path) -> None:
    docs = _many(tmp_path / "docs")
    folder = tmp_path / "broken" / ".fathom"
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(folder), str(docs)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    broken = Collection.open(folder)
    done = broken.stats().documents
    assert 0 < done < 14
    assert broken.search("price of cells").hits  # what was committed can be searched
    report = broken.add([docs], sizes=SMALL)
    assert (len(report.unchanged), len(report.added)) == (done, 14 - done)
    assert _content(broken) == _unbroken(tmp_path, docs)
    broken.close()
