"""The folder of converted models: whole or not there, whatever kills the process or damages a file."""

import os
from pathlib import Path
from typing import Any

import pytest

from indexes.encoders import cache


def filled(folder: Path, content: str = "weights") -> dict[str, Any]:
    """What a conversion does: a file, and facts about it."""
    (folder / "model").write_text(content)
    return {"dimension": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `write` leaves it."""
    made = tmp_path / "encoders" / "made"
    cache.write(made, filled)
    return made


def test_the_cache_is_named_by_the_same_variable_as_the_engine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_CACHE", "/somewhere")
    assert cache.cache_folder() == Path("/somewhere/encoders")
    monkeypatch.delenv("FATHOM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache.cache_folder() == Path("/elsewhere/fathom/encoders")


def test_what_was_written_is_read(folder: Path) -> None:
    assert cache.read(folder) == {"dimension": 3}
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_a_file_of_another_time_is_hashed_and_found_whole(folder: Path) -> None:
    os.utime(folder / "model", (1, 1))
    assert cache.read(folder) == {"dimension": 3}


@pytest.mark.parametrize("content", ["", "weight", "Weights"])
def test_a_damaged_file_is_seen_and_written_anew(folder: Path, content: str) -> None:
    (folder / "model").write_text(content)
    os.utime(folder / "model", (1, 1))
    assert cache.read(folder) is None
    cache.write(folder, filled)
    assert cache.read(folder) == {"dimension": 3}


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": {}, "facts": 3}'])
def test_a_manifest_that_says_nothing_is_no_manifest(folder: Path, manifest: str) -> None:
    (folder / cache.MANIFEST).write_text(manifest)
    assert cache.read(folder) is None


def test_a_missing_file_is_seen(folder: Path) -> None:
    (folder / "model").unlink()
    assert cache.read(folder) is None
    assert cache.read(folder / "nowhere") is None


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> dict[str, Any]:
        filled(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write(tmp_path / "made", broken)
    assert list(tmp_path.glob("made*")) == []


def test_what_another_process_made_meanwhile_is_kept(folder: Path) -> None:
    cache.write(folder, lambda aside: filled(aside, "of the slower process"))
    assert (folder / "model").read_text() == "weights"


def test_a_hash_is_of_the_content_and_follows_its_changes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    # The example of the standard: FIPS 180-2, appendix B.1.
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert [cache.sha256_of(path), cache.sha256_of(path)] == [known, known]
    path.write_bytes(b"abcd")
    assert cache.sha256_of(path) != known
    (cache.cache_folder() / "hashes.json").write_text("[")
    path.write_bytes(b"abc")
    assert cache.sha256_of(path) == known
