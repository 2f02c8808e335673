"""The user's own folder: where it is, and that only its owner can read what is written there."""

from pathlib import Path

import pytest

from indexes.files.home import home_folder, write_private


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FATHOM_HOME", str(tmp_path / "mine"))
    assert home_folder() == tmp_path / "mine"


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "mine" / "key", b"secret")
    assert (tmp_path / "mine" / "key").read_bytes() == b"secret"
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "mine" / "key").stat().st_mode & 0o777 == 0o600


def test_writing_again_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "key").symlink_to(tmp_path / "other")
    write_private(tmp_path / "key", b"secret")
    assert (tmp_path / "other").read_text() == "kept"
    assert not (tmp_path / "key").is_symlink()
