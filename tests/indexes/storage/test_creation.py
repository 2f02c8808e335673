"""Making a collection: whole or not at all, for its owner alone; and moving one aside."""

import fcntl
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.errors import CollectionBusyError, CollectionError
from indexes.files.folder import Folder
from indexes.files.locking import LOCK, writing
from indexes.storage.creation import create, move_aside
from indexes.storage.schema import DATABASE
from indexes.storage.store import Store
from tests.support.damaging import made, snapshot
from tests.support.rooms import ONE

NOW = datetime(2026, 11, 28, 4, 5, 6)
PART = ".fathom.part-0123abcd"


@pytest.mark.parametrize("mask", [0, 0o022])
def test_everything_is_for_its_owner_alone(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "a.md").write_text("# Cells\n\nSixty-eight euros.\n")
        with closing(Collection.open_or_create(tmp_path / ".fathom", "hash")) as collection:
            collection.add([tmp_path / "docs"], ONE)
            names = {path: path.stat().st_mode & 0o777 for path in (tmp_path / ".fathom").rglob("*")}
            assert (tmp_path / ".fathom" / f"{DATABASE}-wal") in names
    finally:
        os.umask(before)
    names[tmp_path / ".fathom"] = (tmp_path / ".fathom").stat().st_mode & 0o777
    assert {mode for path, mode in names.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in names.items() if not path.is_dir()} == {0o600}


def _stop_at(call: int, path: Path) -> None:
    """Kills this process at the n-th fsync, mkdir, rename or open of the making of a collection."""
    left = [call]

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def stop(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return stop

    for name in ("open", "mkdir", "fsync", "rename"):
        setattr(os, name, counted(getattr(os, name)))
    create(path, "hash")


def test_a_killed_process_leaves_nothing_half(tmp_path: Path) -> None:
    folder, finished, killed = tmp_path / "home" / ".fathom", False, 0
    context = multiprocessing.get_context("fork")
    for call in range(1, 60):
        process = context.Process(target=_stop_at, args=(call, folder))
        process.start()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        if folder.exists():
            Store.open(folder).close()  # whole
        if finished := process.exitcode == 0:
            break
    assert finished
    assert killed > 5
    assert [path.name for path in folder.parent.iterdir()] == [".fathom"]  # leftovers are swept


def test_only_leftovers_of_killed_processes_are_swept(tmp_path: Path) -> None:
    used = tmp_path / ".fathom.part-00000001"
    for name in (PART, used.name, ".fathom.part-0000000g", ".fathom.part-00000002"):
        (tmp_path / name).mkdir()
    for path in (tmp_path / PART / DATABASE, tmp_path / ".fathom.part-00000002" / "mine.txt"):
        path.write_text("x")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / DATABASE).write_text("mine")
    (tmp_path / ".fathom.part-00000003").symlink_to(tmp_path / "victim")
    folder = Folder.open(used)
    fcntl.flock(folder.descriptor, fcntl.LOCK_EX)
    create(tmp_path / ".fathom", "hash")
    left = sorted(path.name for path in tmp_path.iterdir() if "part" in path.name)
    assert left == [used.name, ".fathom.part-00000002", ".fathom.part-00000003", ".fathom.part-0000000g"]
    assert (tmp_path / "victim" / DATABASE).read_text() == "mine"


def test_what_stands_in_the_place_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    makes: dict[str, Callable[[Path], object]] = {
        "link": lambda path: path.symlink_to(tmp_path / "victim"),
        "dangling": lambda path: path.symlink_to(tmp_path / "nothing"),
        "file": lambda path: path.write_text("mine"),
        "pipe": os.mkfifo,
    }
    for name, make in makes.items():
        make(tmp_path / name)
        with pytest.raises(CollectionError, match=f"{name} is .*, expected a folder"):
            create(tmp_path / name, "hash")
    assert list((tmp_path / "victim").iterdir()) == []
    assert not (tmp_path / "nothing").exists()


def test_a_home_that_cannot_be_written_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FATHOM_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(CollectionError, match="cannot be used: Not a directory") as caught:
        create(tmp_path / ".fathom", "hash")
    assert "set FATHOM_HOME to a folder that you can write to" in caught.value.hint
    assert not (tmp_path / ".fathom").exists()


# Aside


@pytest.mark.parametrize("kind", ["ours", "damaged", "link", "dangling", "file", "loop"])
def test_whatever_is_in_the_place_is_renamed_and_nothing_is_lost(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "home" / ".fathom"
    folder = made(tmp_path / ("home" if kind in ("ours", "damaged") else "other"))
    before = snapshot(folder)
    if kind == "damaged":
        (folder / DATABASE).unlink()
        os.mkfifo(folder / DATABASE)
    elif kind != "ours":
        place.parent.mkdir()
        targets = {"link": folder, "dangling": tmp_path / "nothing", "loop": Path(".fathom")}
        place.symlink_to(targets[kind]) if kind in targets else place.write_text("mine")
    aside = move_aside(place, NOW)
    assert aside == place.with_name(".fathom.old-20261128-040506")
    assert os.path.lexists(aside)
    assert not os.path.lexists(place)
    if kind in ("ours", "link"):
        assert snapshot(folder if kind == "link" else aside) == before
    create(place, "hash")
    assert move_aside(place, NOW) == place.with_name(".fathom.old-20261128-040506-2")


def test_nothing_in_the_place_is_nothing_to_move(tmp_path: Path) -> None:
    assert move_aside(tmp_path / ".fathom", NOW) is None


def test_what_is_no_collection_is_not_moved(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "report.pdf").write_text("mine")
    for name in ("letters", "report.pdf"):
        with pytest.raises(CollectionError, match=f"{name} is not a collection, so it is not moved aside"):
            move_aside(tmp_path / name, NOW)


def test_a_collection_that_is_written_to_is_not_moved(tmp_path: Path) -> None:
    folder = made(tmp_path / "home")
    with writing(Folder.open(folder)), pytest.raises(CollectionBusyError):
        move_aside(folder, NOW)
    (folder / LOCK).unlink()
    (folder / LOCK).symlink_to(tmp_path / "victim")
    assert move_aside(folder, NOW) is not None
    assert not (tmp_path / "victim").exists()
