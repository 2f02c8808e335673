"""Attacks by a received folder's `fathom.toml` on what its user trusts, types and keeps elsewhere."""

import json
import os
import pty
import shlex
import subprocess
from pathlib import Path

import pytest

from indexes.files.home import home_folder
from pipeline.config import FILE, Config, load
from pipeline.errors import ConfigError, ExitCode
from pipeline.folder_settings import FolderFile, read_folder_file, trust, trusted_files
from tests.support.commands import FATHOM, ok, run

HEX = "0x" + "f" * 5000  # more digits than Python turns into text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a document, as the current one."""
    received = tmp_path / "received"
    received.mkdir()
    (received / "a.txt").write_text("The cap is 1 million euros.\n")
    monkeypatch.chdir(received)
    return received


def _file(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder / FILE


# The user's own things


@pytest.mark.parametrize("path", [(), (".fathom",)])
def test_trusting_settings_leaves_the_users_own_collection_as_it_is(folder: Path, path: tuple[str, ...]) -> None:
    ok("index", "a.txt", "--embedding", "none")
    _file(folder, "[retrieval]\nchunks = 3\n")
    offered = json.loads(ok("trust", "--yes", "--json", *path))
    assert offered["collection"] is None
    assert "trusted by name" not in ok("doctor", "--engine", "fake://")
    assert "1 unchanged" in ok("index", "a.txt")


def test_a_trusted_file_above_counts_beneath_an_untrusted_one(folder: Path) -> None:
    above = _file(folder.parent, '[engine]\nmodel = "mine"\nurl = "http://mine"\n[index]\nmax_pages = 7\nocr = true\n')
    trust(read_folder_file(above))
    _file(folder, "")
    loaded = load(folder, environ={})
    assert (loaded.config.engine.model, loaded.config.index.max_pages, loaded.config.index.ocr) == ("mine", 7, True)
    assert not loaded.config.engine.sends_key
    _file(folder, '[engine]\nmodel = "evil"\n[index]\nmax_pages = 8\nmax_characters = 9\n')
    loaded = load(folder, environ={})
    assert loaded.config.engine.model == "mine"
    assert (loaded.config.index.max_pages, loaded.config.index.max_characters) == (7, 9)
    assert set(loaded.left_out) == {"engine.model", "index.max_pages"}
    assert load(folder, {"engine.url": "http://flag"}, {}).config.engine.sends_key
    assert str(above) in ok("doctor", "--engine", "fake://")
    _file(folder.parent, '[engine]\nmodel = "changed"\n')
    assert load(folder, environ={}).config.engine.model is None


def test_a_trusted_file_itself_hides_those_above(folder: Path) -> None:
    trust(read_folder_file(_file(folder.parent, "[index]\nmax_pages = 7\n")))
    trust(read_folder_file(_file(folder, "[index]\nmax_file_mib = 7\n")))
    assert load(folder, environ={}).config.index.max_pages == Config().index.max_pages


def test_a_custom_collection_is_trusted_by_its_own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_HOME", str(folder.parent / "sender"))
    ok("index", "a.txt", "-C", "papers", "--embedding", "none")
    monkeypatch.setenv("FATHOM_HOME", str(folder.parent / "user"))
    assert run("search", "cap", "-C", "papers").exit_code == ExitCode.ERROR
    ok("trust", "--yes", "papers")
    assert "1 million" in ok("search", "cap", "-C", "papers")


def test_an_untrusted_file_cannot_shorten_the_time_a_server_has(folder: Path) -> None:
    _file(folder, "[engine]\ntimeout_s = 1e-9\n")
    assert load(folder, environ={}).config.engine.timeout_s == Config().engine.timeout_s


# Files of somebody else


def _of_somebody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = path.stat().st_uid
    if owner == 0:
        os.chown(path, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)


@pytest.mark.parametrize("content", ["[router]\nroute = 'native'\n", "broken", "x" * 70_000, "[unknown]\n"])
def test_a_file_of_somebody_else_is_left_out_whole(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    ok("index", "a.txt", "--embedding", "none")
    _of_somebody_else(_file(folder, content), monkeypatch)
    loaded = load(folder, environ={})
    assert (loaded.config, loaded.kept) == (Config(), {})
    if os.geteuid() == 0:  # else the collection is somebody else's too
        done = run("search", "cap")
        assert done.exit_code == ExitCode.ANSWERED
        assert "belongs to somebody else" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file somebody else's")
def test_a_file_of_somebody_else_counts_once_it_is_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _of_somebody_else(_file(folder, "[router]\nroute = 'native'\n"), monkeypatch)
    assert "router.route = 'native'" in ok("trust", "--yes")
    assert load(folder, environ={}).config.router.route == "native"


@pytest.mark.parametrize("kind", ["a link", "cut off"])
def test_a_list_of_trusted_files_that_is_not_the_users_own_is_an_error(folder: Path, kind: str) -> None:
    path = _file(folder, '[engine]\nmodel = "evil"\n')
    trust(read_folder_file(path))
    [trusted] = home_folder().iterdir()
    if kind == "a link":
        trusted.rename(folder / "theirs.json")
        trusted.symlink_to(folder / "theirs.json")
    else:
        trusted.write_bytes(b"[" * 100_000)
    with pytest.raises(ConfigError, match=f"{trusted}.* cannot be read") as caught:
        load(folder, environ={})
    assert "remove it" in caught.value.hint
    path.unlink()
    assert load(folder, environ={}).config == Config()  # nothing to look up


# What is shown


def test_the_next_step_can_be_pasted_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "x; touch PWNED $(touch PWNED) `touch PWNED` '#"
    hostile.mkdir()
    monkeypatch.chdir(hostile)
    _file(hostile, '[engine]\nmodel = "evil"\n')
    done = run("doctor", "--engine", "fake://")
    steps = [line.partition(": fathom trust ")[2] for line in done.output.splitlines() if ": fathom trust " in line]
    assert len(steps) == 2
    for step in steps:
        assert shlex.split(step) == [str(hostile / FILE)]


@pytest.mark.parametrize("setting", ["[engine]\ntemperature", "[index]\nmax_pages", "[engine]\nthreads", "[index]\nx"])
@pytest.mark.parametrize("command", [("search", "cap"), ("trust", "--yes")])
def test_a_number_too_long_to_be_shown_is_one_line(folder: Path, setting: str, command: tuple[str, ...]) -> None:
    _file(folder, f"{setting} = {HEX}\n")
    done = run(*command)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert len(done.output) < 1500


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "a", "http://u:kumquat@h"),
        ("doctor", "--model", "http://u:kumquat@h"),
        ("doctor", "http://h/?key=kumquat"),
        ("search", "cap", "-C", "http://u:kumquat@h"),
        ("trust", "http://u:kumquat@h"),
        ("index", "http://u:kumquat@h"),
    ],
)
@pytest.mark.parametrize("json_flag", [(), ("--json",)])
def test_a_url_in_the_wrong_place_is_told_without_its_password(
    folder: Path, arguments: tuple[str, ...], json_flag: tuple[str, ...]
) -> None:
    done = run(*arguments, *json_flag)
    assert done.exit_code != ExitCode.ANSWERED
    assert "kumquat" not in done.output


def test_a_key_in_the_wrong_place_is_not_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_ENGINE_API_KEY", "sk-kumquat")
    done = run("doctor", "sk-kumquat")
    assert "kumquat" not in done.output
    assert "***" in done.output


def test_settings_do_not_show_a_password_where_they_are_printed() -> None:
    loaded = load(Path("/"), {"engine.url": "http://u:kumquat@h"}, {})
    file = FolderFile(Path("f"), "", {"engine": {"url": "http://u:kumquat@h"}}, True)
    assert "kumquat" not in repr(loaded) + str(loaded.config) + repr(file)


def test_trust_shows_what_would_change(folder: Path) -> None:
    _file(folder, '[engine]\nmodel = "new"\n[retrieval]\nchunks = 24\n')
    said = ok("trust", "--yes")
    assert "engine.model = 'new' (now: not set)" in said
    assert "retrieval.chunks = 24\n" in said


# On a terminal


def _on_terminal(typed: bytes, *arguments: str) -> tuple[int, str]:
    """Exit code and what was seen of `fathom` on a terminal where somebody types."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*FATHOM, *arguments], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as done:
        os.write(ours, typed)
        assert done.stdout
        seen = done.stdout.read().decode()
    os.close(ours)
    os.close(theirs)
    return done.returncode, seen


@pytest.mark.parametrize(("typed", "accepted"), [(b"y\n", True), (b"\n", False), (b"\x04", False)])
def test_only_a_yes_is_a_yes(folder: Path, typed: bytes, accepted: bool) -> None:
    _file(folder, '[engine]\nmodel = "new"\n')
    code, seen = _on_terminal(typed, "trust", "--json")
    assert "engine.model = 'new'" in seen  # whoever is asked sees what for
    assert "Traceback" not in seen
    assert (code == ExitCode.ANSWERED) == bool(trusted_files()) == accepted
