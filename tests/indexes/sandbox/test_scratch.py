"""Scratch folders: private, gone with their process whatever it made in them, and swept when their run was killed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from indexes.sandbox.pool import LoaderPool
from indexes.sandbox.scratch import Scratch, sweep
from tests.support.files import open_folder, unprivileged, write
from tests.support.misbehaving import COMMAND, TIGHT, written


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, this user's alone."""
    made = tmp_path / "tmp"
    made.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def _left(place: Path, name: str = "fathom-loader-abcd_123") -> Path:
    """What a killed run leaves."""
    folder = place / name
    folder.mkdir(mode=0o700)
    return write(folder, {"file/x.md": "x", "fathom-q/attachment.pdf": "x"})


def test_a_scratch_folder_is_this_users_alone_and_goes_with_all_that_is_in_it(place: Path) -> None:
    scratch = Scratch()
    assert scratch.folder.parent == place
    assert scratch.folder.stat().st_mode & 0o777 == 0o700
    write(scratch.folder, {"a/b/c.md": "x", "d.md": "x"})
    scratch.remove()
    scratch.remove()
    assert list(place.iterdir()) == []


def test_what_killed_runs_left_is_swept_and_what_lives_is_not(place: Path) -> None:
    live = Scratch()
    write(live.folder, {"file/x.md": "x"})
    left = _left(place)
    sweep()
    assert not left.exists()
    assert (live.folder / "file" / "x.md").exists()
    live.remove()


def test_only_what_is_ours_by_name_kind_and_mode_is_swept(place: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"x.md": "x"})
    outside.chmod(0o700)
    kept = [
        _left(place, "fathom-loader-"),
        _left(place, "fathom-loader-toolongtobeours"),
        _left(place, "fathom-loader-UPPER_CA"),
        _left(place, "my-fathom-loader-abcd_123"),
        _left(place, "fathom-loader-othermod"),
    ]
    kept[-1].chmod(0o755)
    (place / "fathom-loader-linkedto").symlink_to(outside)
    write(place, {"fathom-loader-isa_file": "x"})
    sweep()
    assert all((folder / "file" / "x.md").exists() for folder in kept)
    assert (outside / "x.md").exists()
    assert (place / "fathom-loader-linkedto").is_symlink()
    assert (place / "fathom-loader-isa_file").exists()


def test_links_inside_are_removed_and_not_followed(place: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"x.md": "x", "sub/y.md": "y"})
    for number, folder in enumerate((_left(place), Scratch().folder)):
        (folder / "folder").symlink_to(outside)
        (folder / "file" if number else folder / "file.md").symlink_to(outside / "x.md")
    left, scratch = _left(place, "fathom-loader-efgh_456"), Scratch()
    for folder in (left, scratch.folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "link").symlink_to(outside / "sub")
    sweep()
    scratch.remove()
    assert (outside / "x.md").exists()
    assert (outside / "sub" / "y.md").exists()
    assert not left.exists()
    assert not scratch.folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to another user")
def test_what_belongs_to_another_user_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as place:
        place.chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        folder = _left(place)
        with unprivileged():
            sweep()
        assert (folder / "file" / "x.md").exists()
        os.chown(folder, 65534, 65534)
        sweep()
        assert (folder / "file" / "x.md").exists()


def test_where_others_may_rename_things_nothing_is_swept(place: Path) -> None:
    left = _left(place)
    place.chmod(0o777)
    sweep()
    assert left.exists()
    place.chmod(0o1777)
    sweep()
    assert not left.exists()


def test_no_depth_and_no_mode_keeps_a_folder_from_being_removed(place: Path) -> None:
    scratch = Scratch()
    here = os.open(scratch.folder, os.O_RDONLY)
    for depth in range(1200):  # deeper than Python's stack, and longer than a path may be
        os.mkdir("d" * 10, dir_fd=here)
        below = os.open("d" * 10, os.O_RDONLY, dir_fd=here)
        if depth % 100 == 0:
            os.mkdir("closed", mode=0, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    scratch.remove()
    assert list(place.iterdir()) == []


_PARENT = """
import sys, tempfile
from pathlib import Path
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool

with LoaderPool(LoadLimits(), 1, sys.argv[1:4]) as pool:
    for outcome in pool.load(map(Path, sys.argv[4:])):
        print(outcome.document.text if outcome.document else outcome.reason, flush=True)
"""


def test_the_folder_of_a_killed_run_is_swept_by_the_next_one(place: Path, tmp_path: Path) -> None:
    paths = written(tmp_path, "write 1000", "sleep 600")
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, *COMMAND, *map(str, paths)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    with parent:
        assert parent.stdout
        left = Path(parent.stdout.readline().strip()).parent
        assert (left / "scratch").exists()
        with LoaderPool(TIGHT, 1, COMMAND) as pool:
            assert next(iter(pool.load(paths))).document  # another run, while the first one lives
        assert (left / "scratch").exists()
        parent.send_signal(signal.SIGKILL)
    assert left.exists()
    with LoaderPool(TIGHT, 1, COMMAND) as pool:
        assert next(iter(pool.load(paths))).document
    assert list(place.iterdir()) == []
