"""Runs over files that cannot be read, at first or any more, and over files with odd names."""

import os
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import FileState
from indexes.ingest.run import RunSettings
from indexes.loaders.limits import LoadLimits
from tests.support.files import open_folder, pdf, unprivileged, write
from tests.support.rooms import ONE, rewrite, texts_of


def test_bad_files_are_rows_with_reasons_and_the_rest_is_indexed(fresh: Collection, letters: Path) -> None:
    write(
        letters,
        {
            "empty.md": "",
            "cut.pdf": pdf([[("x", 10)]] * 9)[:300],
            "large.txt": "x" * (2**20 + 1),
            "photo.png": b"\x89PNG",
            "program.txt": b"\x7fELF\x00\x00",
        },
    )
    (letters / "gone.md").symlink_to(letters / "nothing")
    report = fresh.add([letters], RunSettings(LoadLimits(max_file_mib=1), processes=1))
    assert set(report.failed) == {"empty.md", "cut.pdf", "large.txt"}
    assert set(report.skipped) == {"photo.png", "gone.md", "program.txt"}
    assert sorted(report.added) == ["a.md", "b.txt", "sub/c.csv"]
    stored = {record.name: record for record in fresh.files()}
    for name, reason in (report.failed | report.skipped).items():
        assert reason
        assert (stored[name].reason, stored[name].document_id) == (reason, None)
    assert fresh.stats().files == {"indexed": 3, "failed": 3, "skipped": 3}
    again = fresh.add([letters], RunSettings(LoadLimits(max_file_mib=1), processes=1))
    assert (again.failed, again.skipped) == (report.failed, report.skipped)


def test_a_file_that_becomes_unreadable_keeps_its_text(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    text = texts_of(fresh)["a.md"]
    rewrite(letters / "a.md", "")
    report = fresh.add([letters], ONE)
    assert report.failed == {"a.md": "is empty; the version indexed before is kept"}
    assert texts_of(fresh)["a.md"] == text
    record = next(item for item in fresh.files() if item.name == "a.md")
    assert (record.state, record.document_id is not None) == (FileState.FAILED, True)
    assert fresh.add([letters], ONE).failed == report.failed  # the reason does not grow
    rewrite(letters / "a.md", "words again")
    assert fresh.add([letters], ONE).updated == ["a.md"]
    assert texts_of(fresh)["a.md"] == "words again"


def test_a_file_that_becomes_a_dangling_link_or_binary_keeps_its_text(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    (letters / "a.md").unlink()
    (letters / "a.md").symlink_to(letters / "nothing")
    (letters / "b.txt").write_bytes(b"\x00\x01\x02 binary now")
    report = fresh.add([letters], ONE)
    assert set(report.skipped) == {"a.md", "b.txt"}
    assert all(reason.endswith("; the version indexed before is kept") for reason in report.skipped.values())
    assert {"a.md", "b.txt"} <= set(texts_of(fresh))


def test_an_unreadable_file_that_comes_back_as_it_was_is_indexed_again(fresh: Collection, letters: Path) -> None:
    fresh.add([letters], ONE)
    text = (letters / "a.md").read_text()
    rewrite(letters / "a.md", "")
    fresh.add([letters], ONE)
    rewrite(letters / "a.md", text)
    fresh.add([letters], ONE)
    assert fresh.stats().files == {"indexed": 3, "failed": 0, "skipped": 0}
    assert fresh.stats().documents == 3


def test_a_file_over_the_limit_is_read_once_the_limit_allows_it(fresh: Collection, letters: Path) -> None:
    write(letters, {"large.txt": "word " * 220_000})
    small = RunSettings(LoadLimits(max_file_mib=1), processes=1)
    assert set(fresh.add([letters], small).failed) == {"large.txt"}
    assert set(fresh.add([letters], small).failed) == {"large.txt"}
    report = fresh.add([letters], ONE)
    assert (report.failed, report.added) == ({}, ["large.txt"])


def test_link_loops_end(fresh: Collection, letters: Path) -> None:
    (letters / "loop").symlink_to(letters, target_is_directory=True)
    (letters / "self.md").symlink_to(letters / "self.md")
    report = fresh.add([letters], ONE)
    assert len(report.added) == 3
    assert set(report.skipped) == {"loop", "self.md"}


@pytest.mark.parametrize("name", [b"bad\xff.md", b"new\nline.md", b"\x1b[31mred.md", b"back\\x0aslash.md"])
def test_odd_names_are_indexed_found_again_and_forgotten(fresh: Collection, letters: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(letters) + b"/" + name))
    path.write_text("words of the badly named")
    (added,) = set(fresh.add([letters], ONE).added) - {"a.md", "b.txt", "sub/c.csv"}
    assert added.isprintable()
    assert added in fresh.add([letters], ONE).unchanged
    assert fresh.search("badly named").hits[0].document.name == added
    path.unlink()
    assert fresh.add([letters], ONE).removed == [added]


def test_copies_of_a_file_that_cannot_be_read_fail_with_its_reason(fresh: Collection, letters: Path) -> None:
    write(
        letters, {"bad.pdf": b"%PDF-1.4 cut", "sub/bad2.pdf": b"%PDF-1.4 cut", "bad.txt": b"%PDF is not what this is"}
    )
    report = fresh.add([letters], ONE)
    assert set(report.failed) == {"bad.pdf", "sub/bad2.pdf"}
    assert len(set(report.failed.values())) == 1
    assert "bad.txt" in report.added


def test_a_broken_file_does_not_speak_for_a_readable_one_of_another_kind(fresh: Collection, letters: Path) -> None:
    write(letters, {"x.json": '{"price": 68', "x.txt": '{"price": 68'})
    report = fresh.add([letters], ONE)
    assert "x.txt" in report.added


def test_a_folder_that_cannot_be_searched_keeps_what_was_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as home:
        monkeypatch.setenv("FATHOM_HOME", str(home / ".data"))
        write(home / "docs", {"a.md": "alpha", "sub/b.md": "beta"})
        fresh = Collection.open_or_create(home / ".fathom", "none")
        fresh.add([home / "docs"], ONE)
        fresh.close()
        (home / "docs" / "sub").chmod(0)
        for path in [home, *home.rglob("*")]:
            os.chown(path, 65534, 65534) if os.geteuid() == 0 else None
        with unprivileged():
            fresh = Collection.open(home / ".fathom")
            report = fresh.add([home / "docs"], ONE)
        (home / "docs" / "sub").chmod(0o755)
        assert report.removed == []
        assert "a folder that cannot be read" in report.skipped["sub"]
        assert set(texts_of(fresh)) == {"a.md", "sub/b.md"}
        fresh.close()
