"""Runs over files that cannot be read, at first or any more, and over files with odd names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import FileState
from indexes.indexing import RunSettings
from indexes.loaders.limits import LoadLimits
from tests.indexes.files import open_folder, pdf, unprivileged, write

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


def _rewrite(path: Path, text: str) -> None:
    """New content with a modification time that surely differs."""
    path.write_text(text)
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def test_bad_files_are_rows_with_reasons_and_the_rest_is_indexed(collection: Collection, docs: Path) -> None:
    write(
        docs,
        {
            "empty.md": "",
            "cut.pdf": pdf([[("x", 10)]] * 9)[:300],
            "large.txt": "x" * (2**20 + 1),
            "photo.png": b"\x89PNG",
            "program.txt": b"\x7fELF\x00\x00",
        },
    )
    (docs / "gone.md").symlink_to(docs / "nothing")
    report = collection.add([docs], RunSettings(LoadLimits(max_file_mib=1), processes=1))
    assert set(report.failed) == {"empty.md", "cut.pdf", "large.txt"}
    assert set(report.skipped) == {"photo.png", "gone.md", "program.txt"}
    assert sorted(report.added) == ["a.md", "b.txt", "sub/c.csv"]
    stored = {record.name: record for record in collection.files()}
    for name, reason in (report.failed | report.skipped).items():
        assert reason
        assert (stored[name].reason, stored[name].document_id) == (reason, None)
    assert collection.stats().files == {"indexed": 3, "failed": 3, "skipped": 3}
    again = collection.add([docs], RunSettings(LoadLimits(max_file_mib=1), processes=1))
    assert (again.failed, again.skipped) == (report.failed, report.skipped)


def test_a_file_that_becomes_unreadable_keeps_its_text(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    text = _texts(collection)["a.md"]
    _rewrite(docs / "a.md", "")
    report = collection.add([docs], ONE)
    assert report.failed == {"a.md": "is empty; the version indexed before is kept"}
    assert _texts(collection)["a.md"] == text
    record = next(item for item in collection.files() if item.name == "a.md")
    assert (record.state, record.document_id is not None) == (FileState.FAILED, True)
    assert collection.add([docs], ONE).failed == report.failed  # the reason does not grow
    _rewrite(docs / "a.md", "words again")
    assert collection.add([docs], ONE).updated == ["a.md"]
    assert _texts(collection)["a.md"] == "words again"


def test_a_file_that_becomes_a_dangling_link_or_binary_keeps_its_text(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    (docs / "a.md").unlink()
    (docs / "a.md").symlink_to(docs / "nothing")
    (docs / "b.txt").write_bytes(b"\x00\x01\x02 binary now")
    report = collection.add([docs], ONE)
    assert set(report.skipped) == {"a.md", "b.txt"}
    assert all(reason.endswith("; the version indexed before is kept") for reason in report.skipped.values())
    assert {"a.md", "b.txt"} <= set(_texts(collection))


def test_an_unreadable_file_that_comes_back_as_it_was_is_indexed_again(collection: Collection, docs: Path) -> None:
    collection.add([docs], ONE)
    text = (docs / "a.md").read_text()
    _rewrite(docs / "a.md", "")
    collection.add([docs], ONE)
    _rewrite(docs / "a.md", text)
    collection.add([docs], ONE)
    assert collection.stats().files == {"indexed": 3, "failed": 0, "skipped": 0}
    assert collection.stats().documents == 3


def test_a_file_over_the_limit_is_read_once_the_limit_allows_it(collection: Collection, docs: Path) -> None:
    write(docs, {"large.txt": "word " * 220_000})
    small = RunSettings(LoadLimits(max_file_mib=1), processes=1)
    assert set(collection.add([docs], small).failed) == {"large.txt"}
    assert set(collection.add([docs], small).failed) == {"large.txt"}
    report = collection.add([docs], ONE)
    assert (report.failed, report.added) == ({}, ["large.txt"])


def test_link_loops_end(collection: Collection, docs: Path) -> None:
    (docs / "loop").symlink_to(docs, target_is_directory=True)
    (docs / "self.md").symlink_to(docs / "self.md")
    report = collection.add([docs], ONE)
    assert len(report.added) == 3
    assert set(report.skipped) == {"loop", "self.md"}


@pytest.mark.parametrize("name", [b"bad\xff.md", b"new\nline.md", b"\x1b[31mred.md", b"back\\x0aslash.md"])
def test_odd_names_are_indexed_found_again_and_forgotten(collection: Collection, docs: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(docs) + b"/" + name))
    path.write_text("words of the badly named")
    (added,) = set(collection.add([docs], ONE).added) - {"a.md", "b.txt", "sub/c.csv"}
    assert added.isprintable()
    assert added in collection.add([docs], ONE).unchanged
    assert collection.search("badly named").hits[0].document.name == added
    path.unlink()
    assert collection.add([docs], ONE).removed == [added]


def test_copies_of_a_file_that_cannot_be_read_fail_with_its_reason(collection: Collection, docs: Path) -> None:
    write(docs, {"bad.pdf": b"%PDF-1.4 cut", "sub/bad2.pdf": b"%PDF-1.4 cut", "bad.txt": b"%PDF is not what this is"})
    report = collection.add([docs], ONE)
    assert set(report.failed) == {"bad.pdf", "sub/bad2.pdf"}
    assert len(set(report.failed.values())) == 1
    assert "bad.txt" in report.added


def test_a_broken_file_does_not_speak_for_a_readable_one_of_another_kind(collection: Collection, docs: Path) -> None:
    write(docs, {"x.json": '{"price": 68', "x.txt": '{"price": 68'})
    report = collection.add([docs], ONE)
    assert "x.txt" in report.added


def test_a_folder_that_cannot_be_searched_keeps_what_was_in_it() -> None:
    with open_folder() as home:
        write(home / "docs", {"a.md": "alpha", "sub/b.md": "beta"})
        collection = Collection.open_or_create(home / ".fathom", "none")
        collection.add([home / "docs"], ONE)
        (home / "docs" / "sub").chmod(0)
        for path in [home, *home.rglob("*")]:
            os.chown(path, 65534, 65534) if os.geteuid() == 0 else None
        with unprivileged():
            report = collection.add([home / "docs"], ONE)
        (home / "docs" / "sub").chmod(0o755)
        assert report.removed == []
        assert "a folder that cannot be read" in report.skipped["sub"]
        assert set(_texts(collection)) == {"a.md", "sub/b.md"}
        collection.close()
