"""Links of a received folder: those that leave what the user gave, or lead to hidden files, bring nothing in."""

import os
from pathlib import Path

import pytest

from indexes.errors import NothingToIndexError
from indexes.files.bounds import HIDDEN, OUTSIDE, Bounds
from indexes.ingest.discovery import walk
from tests.support.files import write


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home with a received folder in it."""
    return write(
        tmp_path / "home",
        {
            ".ssh/id_rsa": "the private key",
            "letters/private.md": "a private letter",
            "received/a.md": "alpha",
            "received/sub/b.md": "beta",
            "received/.git/config.md": "token",
            "received/.env": "password",
        },
    )


def _skips(*paths: Path, follow_links: bool = False) -> dict[str, str]:
    return {candidate.name: candidate.skip for candidate in walk(paths, follow_links).candidates}


def _linked(home: Path, target: str | Path, name: str = "annex.txt") -> str:
    (home / "received" / name).symlink_to(target)
    return _skips(home / "received")[name]


@pytest.mark.parametrize(
    "target",
    [
        "../.ssh/id_rsa",
        "../letters/private.md",
        "./sub/../../letters/./private.md",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "/proc/thread-self/maps",
        "/etc/passwd",
    ],
)
def test_a_link_that_leaves_the_given_folder_is_named_and_left_out(home: Path, target: str) -> None:
    assert _linked(home, target) == OUTSIDE


def test_an_absolute_link_a_chain_and_one_through_a_linked_folder_are_judged_by_where_they_end(home: Path) -> None:
    received = home / "received"
    assert _linked(home, home / "letters" / "private.md", "absolute.md") == OUTSIDE
    (received / "first.md").symlink_to("second.md")
    (received / "second.md").symlink_to("sub/third.md")
    (received / "sub" / "third.md").symlink_to("../../letters/private.md")
    (received / "way").symlink_to("../letters")
    assert _linked(home, "way/private.md", "through.md") == OUTSIDE
    (received / "root").symlink_to("/")
    assert _linked(home, "root" + str(home / ".ssh" / "id_rsa"), "root.txt") == OUTSIDE
    (received / "back").symlink_to("..")
    assert _linked(home, "back/received/a.md", "and-back.md") == ""  # it ends inside
    assert {_skips(received)[name] for name in ("first.md", "second.md", "sub/third.md")} == {OUTSIDE}


@pytest.mark.parametrize("target", [".git/config.md", ".env", "sub/../.env"])
def test_a_link_to_a_hidden_file_does_not_bring_it_in(home: Path, target: str) -> None:
    assert _linked(home, target, "notes.md") == HIDDEN


def test_a_link_to_a_hidden_file_of_a_given_home_does_not_bring_it_in(home: Path) -> None:
    (home / "received" / "annex.txt").symlink_to("../.ssh/id_rsa")
    assert _skips(home)["received/annex.txt"] == HIDDEN


def test_links_to_devices_and_to_themselves_are_never_opened(home: Path) -> None:
    for name, target in {
        "null.md": "/dev/null",
        "tty.md": "/dev/tty",
        "loop.md": "loop.md",
        "in.md": "/dev/fd/0",
    }.items():
        (home / "received" / name).symlink_to(target)
    skips = _skips(home / "received")
    assert skips["null.md"] == skips["tty.md"] == "is a device, which is never opened"
    assert skips["loop.md"] == "is a link to nothing"
    assert skips["in.md"]


def test_links_inside_the_given_folders_are_read_as_files(home: Path) -> None:
    assert _linked(home, "sub/b.md", "near.md") == ""
    assert _linked(home, home / "received" / "a.md", "far.md") == ""
    (home / "received" / "other.md").symlink_to("../letters/private.md")
    assert _skips(home / "received", home / "letters")["other.md"] == ""


def test_what_the_user_names_is_the_users_choice(home: Path) -> None:
    link = home / "received" / "annex.txt"
    link.symlink_to("../letters/private.md")
    assert _skips(link) == {"annex.txt": ""}
    assert _skips(home / "received", link)["annex.txt"] == ""
    assert _skips(link, home / "received")["annex.txt"] == ""
    (home / "entry").symlink_to("received")  # the given folder is a link itself
    assert _skips(home / "entry") == {"a.md": "", "annex.txt": OUTSIDE, "sub/b.md": ""}
    hidden = write(home / ".hidden" / "docs", {"x.md": "x"})
    (hidden / "y.md").symlink_to("x.md")
    assert _skips(hidden) == {"x.md": "", "y.md": ""}


def test_follow_links_reads_files_wherever_they_lie_and_no_linked_folders(home: Path) -> None:
    received = home / "received"
    for name, target in {"annex.txt": "../.ssh/id_rsa", "env.md": ".env", "way": "../letters"}.items():
        (received / name).symlink_to(target)
    skips = _skips(received, follow_links=True)
    assert (skips["annex.txt"], skips["env.md"]) == ("", "")
    assert skips["way"].startswith("is a link to a folder, which is not followed; name the folder itself, /")
    assert "way/private.md" not in skips


def test_a_hard_link_is_a_file(home: Path) -> None:
    os.link(home / "letters" / "private.md", home / "received" / "hard.md")
    assert _skips(home / "received")["hard.md"] == ""


def test_a_folder_of_links_alone_is_a_walk_that_has_something_to_forget(home: Path) -> None:
    only = home / "only"
    only.mkdir()
    (only / "annex.txt").symlink_to("../.ssh/id_rsa")
    assert _skips(only) == {"annex.txt": OUTSIDE}
    (only / "annex.txt").unlink()
    (only / "way").symlink_to("../letters")
    with pytest.raises(NothingToIndexError):
        walk([only])


@pytest.mark.parametrize(
    ("real", "reason"),
    [
        ("/a/b/c", ""),
        ("/a/b/d/e.md", ""),
        ("/a/b", OUTSIDE),
        ("/a/bc/d", OUTSIDE),
        ("/a/x", OUTSIDE),
        ("/", OUTSIDE),
        ("pipe:[17]", OUTSIDE),
        ("", OUTSIDE),
        ("/a/b/.c", HIDDEN),
        ("/a/b/.c/d", HIDDEN),
        ("/a/b/.c/docs/d", ""),  # a folder that was given too
        ("/a/b/.c/docs/.d", HIDDEN),
        ("/x/.named", ""),
        ("/x/other", OUTSIDE),
    ],
)
def test_a_real_path_is_judged_by_whole_parts(real: str, reason: str) -> None:
    bounds = Bounds(frozenset({"/a/b", "/a/b/.c/docs"}), frozenset({"/x/.named"}))
    assert bounds.why_outside(real) == reason
    assert Bounds(follow_links=True).why_outside(real) == ""


def test_the_root_folder_can_be_given() -> None:
    bounds = Bounds(frozenset({"/"}))
    assert (bounds.why_outside("/a/b"), bounds.why_outside("/a"), bounds.why_outside("/.a/b")) == ("", "", HIDDEN)
