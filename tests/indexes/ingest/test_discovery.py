"""Walking: which files are candidates, against a walk by brute force, and paths that lead nowhere."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.errors import NothingToIndexError
from indexes.ingest.discovery import walk
from indexes.loaders import readable_suffixes
from tests.support.files import open_folder, unprivileged, write

_PART = st.sampled_from(["a", "b", ".git", "ünder", "two words", "~tmp"])
_FILE = st.sampled_from(["x.md", "X.PDF", ".hidden.md", "~$lock.docx", "photo.png", "README", "y.html"])
_TREE = st.lists(st.tuples(st.lists(_PART, max_size=3), _FILE), min_size=1, max_size=12)


@settings(deadline=None)
@given(_TREE)
def test_a_walk_finds_what_brute_force_finds_in_a_stable_order(tree: list[tuple[list[str], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, {"/".join([*parts, name]): "x" for parts, name in tree} | {"always.md": "x"})
        found = walk([root])
        oracle = {
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
            and not path.name.startswith("~$")
        }
        assert {candidate.name for candidate in found.candidates} == oracle
        assert len(found.candidates) == len(oracle)
        for candidate in found.candidates:
            assert bool(candidate.skip) != (candidate.path.suffix.lower() in readable_suffixes())
            status = candidate.path.stat()
            assert (candidate.size_bytes, candidate.mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert found == walk([root])
        assert (found.folders, found.unsearched) == ((root,), ())


def test_each_file_comes_once_however_often_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.md": "x"})
    found = walk([tmp_path, tmp_path / "a", tmp_path / "a" / "x.md", tmp_path / "a" / ".." / "a"])
    assert [candidate.path for candidate in found.candidates] == [tmp_path / "a" / "x.md"]


def test_a_file_that_is_named_itself_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    write(tmp_path, {"notes.unknown": "x", ".hidden": "x"})
    found = walk([tmp_path / "notes.unknown", tmp_path / ".hidden"])
    assert [candidate.skip for candidate in found.candidates] == ["", ""]
    assert found.folders == ()


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"docs/x.md": "x"})
    monkeypatch.chdir(tmp_path / "docs")
    assert [candidate.path for candidate in walk([Path()]).candidates] == [tmp_path / "docs" / "x.md"]
    assert [candidate.path for candidate in walk([Path("../docs/x.md")]).candidates] == [tmp_path / "docs" / "x.md"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nowhere/at/all.md", r"^/nowhere/at/all\.md does not exist$"),
        ("/tmp/" + "x" * 5000, r"cannot be looked up: File name too long$"),
        ("~nobody-of-that-name/x.md", r"^~nobody-of-that-name/x\.md cannot be looked up: "),
        ("nul\x00byte", "does not exist"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(path: str, reason: str) -> None:
    with pytest.raises(NothingToIndexError, match=reason) as caught:
        walk([Path(path)])
    assert caught.value.hint == "check the spelling, or give another path"
    caught.value.args[0].encode()


def test_one_missing_path_stops_the_walk_of_all(tmp_path: Path) -> None:
    write(tmp_path, {"x.md": "x"})
    with pytest.raises(NothingToIndexError, match="does not exist"):
        walk([tmp_path, tmp_path / "gone"])


def test_no_paths_and_folders_without_documents_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingToIndexError, match=r"^no readable documents in the given paths$") as caught:
        walk([])
    assert ".pdf" in caught.value.hint
    write(tmp_path, {"photo.png": "x", ".hidden.md": "x"})
    with pytest.raises(NothingToIndexError, match=r"^no readable documents in /"):
        walk([tmp_path])


def test_a_folder_that_cannot_be_entered_is_named() -> None:
    with open_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0)
        with unprivileged(), pytest.raises(NothingToIndexError, match=r"the folder .* cannot be read"):
            walk([closed])
