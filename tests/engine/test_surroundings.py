"""What models' libraries are surrounded by: another working folder, no network, files of one owner, and limits."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.estimates.speed import SpeedProfile
from engine.models.conversion import sweep
from engine.models.names import is_hub_id, is_path
from engine.quiet import captured
from engine.surroundings import (
    OFFLINE,
    child_environment,
    elsewhere,
    fetching_environment,
    go_offline,
    private_folder,
    write_private,
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def _open_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_elsewhere_is_an_empty_folder_and_afterwards_all_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with elsewhere() as empty:
        assert Path.cwd() == empty.resolve()
        assert list(empty.iterdir()) == []
        assert _mode(empty) == 0o700
        (empty / "left").touch()
    assert (Path.cwd(), empty.exists()) == (tmp_path, False)
    with pytest.raises(ZeroDivisionError), elsewhere():
        raise ZeroDivisionError
    assert Path.cwd() == tmp_path


def test_a_child_has_no_relative_part_in_its_path_of_imports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}here{os.pathsep}/there{os.pathsep}")
    found = child_environment()
    assert found["PYTHONPATH"] == f"{tmp_path / 'here'}{os.pathsep}/there"
    assert found["PYTHONSAFEPATH"] == "1"
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    assert "PYTHONPATH" not in child_environment()


def test_offline_holds_for_a_client_that_was_loaded_before_and_not_for_the_process_that_fetches() -> None:
    program = (
        "import os, huggingface_hub.constants as constants\n"
        "from engine.surroundings import fetching_environment, go_offline\n"
        "go_offline(); go_offline()\n"
        "print(constants.HF_HUB_OFFLINE, os.environ['HF_HUB_OFFLINE'], fetching_environment().get('HF_HUB_OFFLINE'))"
    )
    for given, kept in (({}, "None"), ({OFFLINE: "1"}, "1")):
        surroundings = {key: value for key, value in os.environ.items() if key != OFFLINE} | given
        done = subprocess.run(
            [sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["True", "1", kept]


@pytest.mark.usefixtures("_open_mask")
def test_what_is_made_in_the_cache_is_its_owner_s_alone(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with captured(cache / "logs" / "engine.log"):
        pass
    SpeedProfile(cache / "profiles", "a", "cpu", "auto").record(1000, 2.0)
    write_private(cache / "models" / "x" / "file", b"content")
    found = {path.relative_to(cache).as_posix(): _mode(path) for path in cache.rglob("*")}
    assert {mode for name, mode in found.items() if (cache / name).is_dir()} == {0o700}
    assert {mode for name, mode in found.items() if (cache / name).is_file()} == {0o600}
    assert _mode(cache) == 0o700


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_folder(tmp_path / "a" / "b")
    assert [_mode(path) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o700, 0o700]


def test_no_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    write_private(tmp_path / "file", b"new")
    assert ((tmp_path / "victim").read_text(), (tmp_path / "file").read_text()) == ("kept", "new")
    (tmp_path / "engine.log").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"), captured(tmp_path / "engine.log"):
        pass
    assert (tmp_path / "victim").read_text() == "kept"


def test_what_killed_processes_left_is_swept_and_what_running_ones_write_is_not(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for name in (f"gguf-a.{done.pid}.part", f"gguf-b.{os.getpid()}.part", "gguf-c", "notes.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / f"link.{done.pid}.part").symlink_to(tmp_path / "gguf-c")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"gguf-b.{os.getpid()}.part",
        "gguf-c",
        "notes.part",
        "outside",
    }
    assert (tmp_path / "gguf-c" / "model.safetensors").exists()


@pytest.mark.parametrize(
    "name", ["./a", "../a", "/a", "~/a", "~", ".", "..", "a/", "o/n/", "a/b/c", "x.gguf", "o/x.gguf", "config.json"]
)
def test_what_begins_or_ends_like_a_path_is_one(name: str) -> None:
    assert is_path(name)
    assert not is_hub_id(name)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "bge-small", "smollm2-135m-instruct", "a/b.c"])
def test_a_name_of_the_hub_is_none(name: str) -> None:
    assert not is_path(name)
    assert is_hub_id(name) == ("/" in name)


def test_the_user_s_own_choice_reaches_the_process_that_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.surroundings._GIVEN", {})
    monkeypatch.setenv(OFFLINE, "1")
    go_offline()
    assert fetching_environment()[OFFLINE] == "1"
