"""`fathom index --rebuild`, and what every command says of a collection that cannot be believed."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexes.adopting import adopt
from indexes.collection import Collection
from indexes.storage.schema import DATABASE, SCHEMA
from pipeline.errors import ExitCode
from tests.support.commands import indexed, ok, run, told
from tests.support.files import write


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of documents with a collection that somebody else sent along."""
    write(tmp_path / "sent" / "docs", {"a.md": "# Cells\n\nCells cost 68 euros.\n"})
    with closing(Collection.open_or_create(tmp_path / "sent" / ".fathom", "none")) as collection:
        collection.add([tmp_path / "sent" / "docs"])
    shutil.copytree(tmp_path / "sent", tmp_path / "room")
    monkeypatch.chdir(tmp_path / "room")
    return tmp_path / "room"


COMMANDS = [
    ("search", "cells"),
    ("status",),
    ("index", "docs"),
    ("remove", "docs"),
    ("ask", "x", "--engine", "fake://"),
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_collection_that_was_sent_is_refused_with_both_ways_on(room: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == ExitCode.ERROR
    message, hint = told(result.stderr)
    assert message.startswith(f"the collection {room / '.fathom'} was not made here by you")
    assert "fathom index FOLDER --rebuild" in hint
    assert "fathom trust FOLDER" in hint


def test_the_doctor_shows_it(room: Path) -> None:
    findings = json.loads(run("doctor", "--json", "--engine", "fake://").stdout)["findings"]
    (found,) = [finding for finding in findings if finding["name"] == "collection"]
    assert (found["health"], "not made here by you" in found["found"]) == ("problem", True)
    assert "--rebuild" in found["hint"]
    adopt(room / ".fathom")
    findings = json.loads(run("doctor", "--json", "--engine", "fake://").stdout)["findings"]
    (found,) = [finding for finding in findings if finding["name"] == "collection"]
    assert (found["health"], "made elsewhere and trusted by name" in found["found"]) == ("warning", True)
    ok("index", str(room))
    findings = json.loads(run("doctor", "--json", "--engine", "fake://").stdout)["findings"]
    assert [finding["health"] for finding in findings if finding["name"] == "collection"] == ["ok"]


def _pipe(place: Path) -> None:
    (place / DATABASE).unlink()
    os.mkfifo(place / DATABASE)


def _old(place: Path) -> None:
    shutil.rmtree(place)
    place.mkdir()
    with closing(sqlite3.connect(place / DATABASE)) as connection:
        connection.executescript(SCHEMA)


def _link(place: Path) -> None:
    place.rename(place.parent / "elsewhere")
    place.symlink_to(place.parent / "elsewhere")


def _dangling(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(place.parent / "nothing")


def _sent(place: Path) -> None:
    pass


@pytest.mark.parametrize("make", [_sent, _pipe, _old, _link, _dangling])
def test_a_rebuild_moves_whatever_is_there_and_indexes_anew(room: Path, make: object) -> None:
    assert callable(make)
    make(room / ".fathom")
    assert run("index", "docs", "--embedding", "none").exit_code == ExitCode.ERROR
    result = run("index", "docs", "--rebuild", "--embedding", "none", "--json")
    assert result.exit_code == ExitCode.ANSWERED, result.output
    report = json.loads(result.stdout)
    (aside,) = [path for path in room.iterdir() if ".fathom.old-" in path.name]
    assert (report["moved_aside"], report["added"]) == (str(aside), ["a.md"])
    assert f"{room / '.fathom'} is now {aside}" in result.stderr
    assert indexed(room) == [("a.md", "# Cells\n\nCells cost 68 euros.\n")]


def test_a_rebuild_of_nothing_is_an_ordinary_run(room: Path) -> None:
    shutil.rmtree(room / ".fathom")
    assert json.loads(ok("index", "docs", "--rebuild", "--embedding", "none", "--json"))["moved_aside"] == ""
    assert [path.name for path in room.iterdir() if "old" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rebuild",), "name the files and folders to read"),
        (("--rebuild", "--retry-failed"), "name the files and folders to read"),
        (("--rebuild", "nowhere"), "nowhere does not exist"),
        (("--rebuild", "docs", "-C", "docs"), "docs is not a collection, so it is not moved aside"),
    ],
)
def test_a_mistake_moves_nothing(room: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run("index", *arguments, "--embedding", "none")
    assert result.exit_code != ExitCode.ANSWERED
    assert words in result.stderr
    assert sorted(path.name for path in room.iterdir()) == [".fathom", "docs"]


def test_a_rebuild_keeps_the_model_of_the_users_own_collection(room: Path) -> None:
    ok("index", str(room), "--embedding", "hash", "--rebuild")
    ok("index", str(room), "--rebuild")
    assert json.loads(ok("status", "--json"))["embedding"] == "hash"


def test_a_model_that_is_refused_leaves_no_collection(room: Path, tmp_path: Path) -> None:
    shutil.rmtree(room / ".fathom")
    model = tmp_path / "evilmodel"
    write(model, {"config.json": '{"auto_map": {"AutoModel": "x.Y"}}', "model.safetensors": "x"})
    assert run("index", str(room), "--embedding", str(model)).exit_code == ExitCode.ERROR
    assert not (room / ".fathom").exists()
    ok("index", str(room), "--embedding", "none")


def test_the_texts_of_a_trusted_collection_are_said_to_be_its_sender_s(room: Path) -> None:
    adopt(room / ".fathom")
    for command in (("search", "cap"), ("status",), ("ask", "What is the cap?", "--engine", "fake://")):
        assert "came with the collection" in run(*command).stderr
    assert "came with it" in run("doctor").stdout
    ok("index", str(room))
    assert "came with" not in run("search", "cap").stderr


def test_the_list_of_what_is_trusted_tells_what_counts_no_longer(room: Path) -> None:
    assert "nothing is trusted" in run("trust", "--list").stderr
    adopt(room / ".fathom")
    (room / "fathom.toml").write_text("[retrieval]\nchunks = 5\n")
    ok("trust", str(room / "fathom.toml"), "--yes")
    assert ok("trust", "--list").splitlines() == [
        f"settings: {room}/fathom.toml",
        f"collections: {room}/.fathom",
    ]
    (room / "fathom.toml").write_text("[retrieval]\nchunks = 6\n")
    ok("index", str(room), "--rebuild", "--embedding", "none")
    assert all(
        line.endswith("(changed or gone, so it counts no longer)") for line in ok("trust", "--list").splitlines()
    )


def test_a_run_says_how_hidden_text_is_found(room: Path) -> None:
    write(room, {"page.html": '<p>Seen.</p><p style="display:none">Nine million.</p>'})
    assert 'fathom search "…" --hidden' in ok("index", str(room), "--rebuild", "--embedding", "none")
