"""The folder handle: only plain files of one's own are opened, and nothing waits."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from indexes.errors import CollectionError
from indexes.files.folder import Folder, owner_name


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _hard_link(path: Path, victim: Path) -> None:
    os.link(victim, path)


def _pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, victim: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _directory(path: Path, victim: Path) -> None:
    path.mkdir()


ODD: dict[str, Callable[[Path, Path], None]] = {
    "a symbolic link": _link,
    "2 hard links": _hard_link,
    "a named pipe": _pipe,
    "a socket": _socket,
    "a folder": _directory,
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "victim").write_text("mine")
    return tmp_path / "victim"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "f").mkdir()
    return Folder.open(tmp_path / "f")


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_plain_file_is_named_and_never_opened(folder: Folder, victim: Path, kind: str) -> None:
    ODD[kind](folder.path / "x", victim)
    for use in (
        lambda: folder.check_file("x"),
        lambda: folder.read("x", 100),
        lambda: folder.open_file("x", os.O_RDWR | os.O_CREAT),
    ):
        with pytest.raises(CollectionError, match=f"f/x .*{kind}, expected a file") as caught:
            use()
        assert "\n" not in str(caught.value)
        assert "--rebuild" in caught.value.hint
    assert victim.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and gives files away")
@pytest.mark.parametrize("kind", ["a device", "belongs to nobody"])
def test_devices_and_files_of_others_are_refused(folder: Folder, kind: str) -> None:
    if kind == "a device":
        try:
            os.mknod(folder.path / "x", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("devices cannot be made here")
    else:
        (folder.path / "x").write_text("theirs")
        os.chown(folder.path / "x", 65534, 65534)
    with pytest.raises(CollectionError, match=kind):
        folder.read("x", 100)


@pytest.mark.parametrize("kind", ["a symbolic link", "a named pipe", "a socket"])
def test_a_folder_is_a_real_folder(folder: Folder, victim: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "other").mkdir()
    ODD[kind](folder.path / "segments", tmp_path / "other")
    uses: list[Callable[[], Folder]] = [
        lambda: folder.folder("segments"),
        lambda: folder.make_folder("segments"),
        lambda: Folder.open(folder.path / "segments"),
    ]
    for use in uses:
        with pytest.raises(CollectionError, match=f"{kind}, expected a folder"):
            use()


def test_what_is_made_is_for_its_owner_alone(folder: Folder) -> None:
    before = os.umask(0)
    try:
        with folder.writing("a") as stream:
            stream.write(b"x")
        with folder.path_of("b", new=True):
            pass
        folder.replace("c", b"y")
        folder.make_folder("d")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir()}
    assert modes == {"a": 0o600, "b": 0o600, "c": 0o600, "d": 0o700}


def test_a_new_file_never_goes_into_one_that_is_there(folder: Folder, victim: Path) -> None:
    (folder.path / "x").symlink_to(victim)
    with pytest.raises(FileExistsError), folder.writing("x"):
        pass
    (folder.path / "c.part").symlink_to(victim)
    folder.replace("c", b"new")
    assert (victim.read_text(), folder.read("c", 3)) == ("mine", b"new")


def test_removing_takes_a_link_and_leaves_what_it_points_to(folder: Folder, victim: Path) -> None:
    (folder.path / "x").symlink_to(victim)
    folder.remove("x")
    folder.remove("x")
    assert (folder.names(), victim.read_text()) == ([], "mine")


def test_a_long_file_is_not_read(folder: Folder) -> None:
    (folder.path / "x").write_bytes(b"1234")
    assert folder.read("x", 4) == b"1234"
    with pytest.raises(CollectionError, match="x is longer than 3 bytes"):
        folder.read("x", 3)


def test_a_missing_entry_is_none_or_an_oserror(folder: Folder) -> None:
    folder.check_file("x")
    assert (folder.has("x"), folder.status_of("x")) == (False, None)
    uses: list[Callable[[], object]] = [lambda: folder.read("x", 1), lambda: folder.folder("x")]
    for use in uses:
        with pytest.raises(FileNotFoundError):
            use()


def test_a_user_without_a_name_is_a_number() -> None:
    assert owner_name(os.geteuid()) != ""
    assert owner_name(3_999_999_999) == "user 3999999999"
