"""Indexing on the command line where the folder holds links that leave it."""

from pathlib import Path

from tests.support.commands import ok, run
from tests.support.files import write


def test_links_that_leave_the_folder_are_named_and_read_on_request_alone(room: Path) -> None:
    write(room, {"secret.md": "The okapi eats leaves.\n"})
    (room / "docs" / "annex.md").symlink_to("../secret.md")
    said = "skipped: annex.md is a link to a file outside of the given folders; `--follow-links` reads it"
    assert said in ok("index", "docs")
    assert ok("index", "docs", "--follow-links").startswith("1 new, 3 unchanged; 4 chunks in ")
    assert "annex.md" in ok("search", "okapi")
    assert ok("index", "docs").startswith("3 unchanged, 1 removed, 1 skipped; 3 chunks in ")
    assert "okapi" not in ok("search", "Marrowbay")


def test_a_retry_does_not_follow_them_either(room: Path) -> None:
    write(room, {"secret.md": "The okapi eats leaves.\n"})
    write(room / "docs", {"annex.md": ""})
    assert "annex.md is empty" in run("index", "docs").stdout
    (room / "docs" / "annex.md").unlink()
    (room / "docs" / "annex.md").symlink_to("../secret.md")
    assert "is a link to a file outside" in ok("index", "--retry-failed")
