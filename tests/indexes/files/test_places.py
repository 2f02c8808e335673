"""Paths as they are stored, and back: odd names, folders that move, and what `remove` is given."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.documents import Document
from indexes.errors import NothingToRemoveError
from indexes.files.places import Places, is_stored_path
from tests.support.stores import record

HOME = Path("/home/x/work")
ODD = ["a.txt", "a b.txt", "ö.txt", "new\nline.txt", "\x1b[31m.txt", "bad\udcff.txt", "back\\x0a.txt", "\u202egnp.txt"]
_NAMES = st.text(st.characters(blacklist_characters="/\x00", blacklist_categories=["Cs"]), min_size=1, max_size=12)


def places(home: Path = HOME) -> Places:
    return Places(home / ".fathom")


def _matching(stored: Sequence[str], *paths: str, home: Path = HOME) -> list[str]:
    records = [replace(record(path, 1), name=Path(path).name) for path in stored]
    return [item.path for item in places(home).matching(records, map(Path, paths))]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("folder", [HOME, HOME / "sub", Path("/srv/elsewhere"), Path("/home/x")])
def test_a_path_comes_back_as_it_was(folder: Path, name: str) -> None:
    stored = places().stored(folder / name)
    stored.encode()  # a database of UTF-8 takes it
    assert stored.isprintable()
    assert places().real(stored) == folder / name
    assert Path(stored).is_absolute() is not folder.is_relative_to(HOME)


@given(st.lists(_NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3))
def test_any_name_comes_back_as_it_was_and_no_two_are_one(names: list[str]) -> None:
    path = HOME.joinpath(*names)
    assert places().real(places().stored(path)) == path


def test_bytes_that_are_not_utf8_come_back_as_they_were() -> None:
    for code in range(1, 256):
        if code != ord("/"):
            path = HOME / os.fsdecode(b"x" + bytes([code]) + b"y")
            assert places().real(places().stored(path)) == path


def test_what_lies_below_the_home_moves_with_it() -> None:
    stored = places().stored(HOME / "docs" / "a.txt")
    assert stored == "docs/a.txt"
    assert places(Path("/mnt")).real(stored) == Path("/mnt/docs/a.txt")


def test_a_document_is_resolved_to_a_printable_absolute_path() -> None:
    home = Path("/home/new\nline")
    document = Document(1, Places(home / ".fathom").stored(home / "a\tb.txt"), "n", "t", "text", "", 1, 0)
    assert Places(home / ".fathom").resolved(document).path == "/home/new\\x0aline/a\\x09b.txt"


STORED = ["a.txt", "docs/a.txt", "docs/sub/b.txt", "docs-old/c.txt", "/srv/d.txt", "new\\x0aline.txt"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/home/x/work/docs/a.txt", ["docs/a.txt"]),
        ("/home/x/work/docs", ["docs/a.txt", "docs/sub/b.txt"]),
        ("/home/x/work/docs/", ["docs/a.txt", "docs/sub/b.txt"]),
        ("/home/x/work/docs/../docs-old", ["docs-old/c.txt"]),
        ("/home/x/work", ["a.txt", "docs/a.txt", "docs/sub/b.txt", "docs-old/c.txt", "new\\x0aline.txt"]),
        ("/home/x", ["a.txt", "docs/a.txt", "docs/sub/b.txt", "docs-old/c.txt", "new\\x0aline.txt"]),
        ("/", STORED),
        ("/srv", ["/srv/d.txt"]),
        ("/home/x/work/new\nline.txt", ["new\\x0aline.txt"]),
        ("b.txt", ["docs/sub/b.txt"]),  # as it is listed
    ],
)
def test_a_path_chooses_the_file_the_files_below_it_or_a_listed_name(given: str, expected: list[str]) -> None:
    assert _matching(STORED, given) == expected


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        (["bad\\x5cxff.txt"], "bad\\x5cxff.txt", 0),  # as it is listed, escapes and all
        (["bidi\\u202egpj.txt"], "bidi\\u202egpj.txt", 0),
        (["a/x.txt", "b/x.txt"], "x.txt", None),  # two files are listed under it
        (["x.txt", "b/x.txt"], "/home/x/work/x.txt", 0),
    ],
)
def test_a_listed_name_chooses_the_file_that_it_names_or_none(
    stored: list[str], given: str, expected: int | None
) -> None:
    if expected is not None:
        assert _matching(stored, given) == [stored[expected]]
        return
    with pytest.raises(NothingToRemoveError, match=f"{given} may mean 2 files .*: /home/x/work/a/x.txt, ") as caught:
        _matching(stored, given)
    assert "absolute path" in caught.value.hint


def test_a_name_that_is_another_file_s_path_removes_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A file whose name holds a byte that is not UTF-8, and one whose name is how the other is listed.
    stored = ["bad\\xff.txt", "bad\\x5cxff.txt"]
    with pytest.raises(NothingToRemoveError, match="may mean 2 files"):
        _matching(stored, "bad\\xff.txt", home=tmp_path)


def test_what_two_paths_choose_is_chosen_once() -> None:
    assert _matching(STORED, "/home/x/work/docs", "/home/x/work/docs/sub") == ["docs/a.txt", "docs/sub/b.txt"]


def test_a_relative_path_is_seen_from_where_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert _matching(STORED, "sub", home=tmp_path) == ["docs/sub/b.txt"]
    assert _matching(STORED, "..", home=tmp_path) == [path for path in STORED if not path.startswith("/")]


@pytest.mark.parametrize("wrong", ["/home/x/work/doc", "/home/x/work/docs/a", "sub", "zzz\n.txt"])
def test_a_path_that_chooses_nothing_is_named(wrong: str) -> None:
    with pytest.raises(NothingToRemoveError, match=r"is not in the collection /home/x/work/\.fathom") as caught:
        _matching(STORED, "/home/x/work/docs", wrong)
    assert str(caught.value).startswith(wrong.replace("\n", "\\x0a"))
    assert "fathom status --files" in caught.value.hint


@given(st.lists(_NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3))
def test_what_is_stored_is_known_again(names: list[str]) -> None:
    assert is_stored_path(places().stored(HOME.joinpath(*names)))
    assert is_stored_path(places().stored(Path("/elsewhere").joinpath(*names)))


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", ".", "..", "../x", "a/../b", "/a/../b", "a//b", "//a", "a/", "a/.", "a\0b", "a\nb", "\u202ex"),
        *("a\\x00b", "\\x2e\\x2e/x", "a\\x41", "a\\u0041", "\\ud800", "a\\x2fb"),
    ],
)
def test_what_is_never_stored_is_told(path: str) -> None:
    assert not is_stored_path(path)
