"""Runs over folders with links that leave them: nothing comes in, and what came in before goes."""

from dataclasses import replace
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import FileState
from indexes.files.bounds import OUTSIDE
from tests.support.files import write
from tests.support.rooms import ONE, rewrite, texts_of

FOLLOW = replace(ONE, follow_links=True)


@pytest.fixture
def received(tmp_path: Path, letters: Path) -> Path:
    """A folder with a link to a secret."""
    write(tmp_path / "home", {"id_rsa": "the private key is quetzal"})
    (letters / "annex.txt").symlink_to("../home/id_rsa")
    return letters


def test_a_link_that_leaves_the_folder_is_a_row_with_its_reason(fresh: Collection, received: Path) -> None:
    report = fresh.add([received], ONE)
    assert report.skipped == {"annex.txt": OUTSIDE}
    assert set(texts_of(fresh)) == {"a.md", "b.txt", "sub/c.csv"}
    assert not fresh.search("quetzal").hits or "quetzal" not in fresh.search("quetzal").hits[0].chunk.text
    record = next(item for item in fresh.files() if item.name == "annex.txt")
    assert (record.state, record.document_id) == (FileState.SKIPPED, None)


def test_follow_links_reads_it_and_the_next_run_without_takes_it_out(fresh: Collection, received: Path) -> None:
    assert "annex.txt" in fresh.add([received], FOLLOW).added
    assert "quetzal" in texts_of(fresh)["annex.txt"]
    report = fresh.add([received], ONE)
    assert (report.removed, report.skipped) == (["annex.txt"], {"annex.txt": OUTSIDE})
    assert "annex.txt" not in texts_of(fresh)
    assert all("quetzal" not in hit.chunk.text for hit in fresh.search("private key quetzal").hits)
    assert fresh.verify() == []
    assert fresh.add([received], ONE).removed == []
    assert "annex.txt" in fresh.add([received], FOLLOW).added


def test_what_a_folder_of_that_link_alone_brought_in_goes_too(fresh: Collection, tmp_path: Path) -> None:
    write(tmp_path / "home", {"id_rsa": "the private key is quetzal"})
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "annex.txt").symlink_to("../home/id_rsa")
    fresh.add([tmp_path / "only"], FOLLOW)
    assert fresh.add([tmp_path / "only"], ONE).removed == ["annex.txt"]
    assert texts_of(fresh) == {}


def test_what_a_link_brought_in_goes_also_when_its_target_is_gone(fresh: Collection, received: Path) -> None:
    fresh.add([received], FOLLOW)
    (received.parent / "home" / "id_rsa").unlink()
    report = fresh.add([received], ONE)
    assert (report.removed, report.skipped) == (["annex.txt"], {"annex.txt": "is a link to nothing"})


def test_a_file_that_became_such_a_link_does_not_keep_its_text(fresh: Collection, received: Path) -> None:
    fresh.add([received], ONE)
    (received / "b.txt").unlink()
    (received / "b.txt").symlink_to("../home/id_rsa")
    report = fresh.add([received], ONE)
    assert report.removed == ["b.txt"]
    assert set(texts_of(fresh)) == {"a.md", "sub/c.csv"}


def test_a_copy_inside_the_folder_keeps_the_text_that_the_link_shared(fresh: Collection, received: Path) -> None:
    write(received, {"copy.txt": "the private key is quetzal"})
    fresh.add([received], FOLLOW)
    fresh.add([received], ONE)
    assert "quetzal" in texts_of(fresh)["copy.txt"]
    assert "annex.txt" not in texts_of(fresh)


def test_a_file_that_failed_and_became_such_a_link_is_not_tried_again(fresh: Collection, received: Path) -> None:
    rewrite(received / "b.txt", "")
    assert set(fresh.add([received], ONE).failed) == {"b.txt"}
    (received / "b.txt").unlink()
    (received / "b.txt").symlink_to("../home/id_rsa")
    assert fresh.retry_failed(ONE).skipped == {"b.txt": OUTSIDE}
    assert "b.txt" not in texts_of(fresh)


def test_a_run_says_what_confines_its_readers(fresh: Collection, received: Path) -> None:
    report = fresh.add([received], ONE)
    assert report.confined == report.confinement.startswith("Landlock ABI ")
    assert fresh.add([received], ONE).confinement == ""  # nothing had to be read
