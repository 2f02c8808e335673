"""Whose a collection is: the key, the signature of id and folder, and the list of those trusted by name."""

import hashlib
import hmac
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from indexes.errors import CollectionError
from indexes.files.birth import born_ns
from indexes.files.folder import Folder
from indexes.files.home import home_folder, read_private
from indexes.storage.origin import (
    ORIGIN,
    Origin,
    is_own,
    is_trusted,
    new_id,
    read_origin,
    require_key,
    trust,
    write_origin,
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "c").mkdir()
    return Folder.open(tmp_path / "c")


def test_the_signature_is_an_hmac_of_id_inode_and_birth_under_the_key(folder: Folder) -> None:
    name = new_id()
    write_origin(folder, name)
    key = (home_folder() / "key").read_bytes()
    said = f"{name} {folder.path.stat().st_ino} {born_ns(folder.descriptor)}".encode()
    expected = hmac.new(key, said, hashlib.sha256).hexdigest()
    assert json.loads((folder.path / ORIGIN).read_text()) == {"id": name, "mac": expected}
    assert read_origin(folder) == Origin(name, expected)
    assert is_own(folder, Origin(name, expected))


def test_the_key_is_made_once_for_its_owner_alone(folder: Folder) -> None:
    require_key()
    path = home_folder() / "key"
    key = path.read_bytes()
    require_key()
    assert (path.read_bytes(), len(key), path.stat().st_mode & 0o777) == (key, 32, 0o600)
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        keys = pool.map(_key, range(8))
    assert len(set(keys)) == 1


def _key(_: int) -> bytes:
    require_key()
    return (home_folder() / "key").read_bytes()


def test_asking_makes_no_key(folder: Folder) -> None:
    assert not is_own(folder, Origin(new_id(), ""))
    assert not is_own(folder, Origin(new_id(), "00"))
    assert not home_folder().exists()


def test_a_signature_holds_for_one_folder_and_one_id(folder: Folder, tmp_path: Path) -> None:
    write_origin(folder, new_id())
    origin = read_origin(folder)
    assert origin is not None
    (tmp_path / "d").mkdir()
    assert not is_own(Folder.open(tmp_path / "d"), origin)
    assert not is_own(folder, Origin(new_id(), origin.mac))
    folder.path.rename(tmp_path / "e")
    assert is_own(Folder.open(tmp_path / "e"), origin)


def test_trust_is_by_path_and_id(folder: Folder, tmp_path: Path) -> None:
    name = new_id()
    trust(folder, name)
    assert is_trusted(folder, Origin(name, ""))
    assert not is_trusted(folder, Origin(new_id(), ""))
    (tmp_path / "d").mkdir()
    assert not is_trusted(Folder.open(tmp_path / "d"), Origin(name, ""))
    trust(Folder.open(tmp_path / "d"), new_id())
    assert is_trusted(folder, Origin(name, ""))  # both are listed
    assert (home_folder() / "trusted-collections.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"{", b"[]", b"7", b"[" * 100_000])
def test_a_list_that_is_none_is_named(folder: Folder, content: bytes) -> None:
    require_key()
    (home_folder() / "trusted-collections.json").write_bytes(content)
    with pytest.raises(CollectionError, match=r"trusted-collections\.json is not the list of trusted collections"):
        is_trusted(folder, Origin(new_id(), ""))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(folder: Folder, length: int) -> None:
    require_key()
    (home_folder() / "key").write_bytes(b"x" * length)
    with pytest.raises(CollectionError, match=r"/key (holds|cannot be used)"):
        write_origin(folder, new_id())


def test_a_key_that_is_a_pipe_or_link_is_refused_and_waits_for_no_one(folder: Folder, tmp_path: Path) -> None:
    home_folder().mkdir(parents=True)
    os.mkfifo(home_folder() / "key")
    with pytest.raises(CollectionError, match="/key cannot be used"):
        require_key()
    (home_folder() / "key").unlink()
    (tmp_path / "k").write_bytes(b"x" * 32)
    (home_folder() / "key").symlink_to(tmp_path / "k")
    with pytest.raises(CollectionError, match="/key cannot be used"):
        require_key()


def test_a_file_of_the_users_own_is_read_to_its_limit(tmp_path: Path) -> None:
    assert read_private(tmp_path / "x", 3) is None
    (tmp_path / "x").write_bytes(b"123")
    assert read_private(tmp_path / "x", 3) == b"123"
    with pytest.raises(OSError, match="at most 2 bytes"):
        read_private(tmp_path / "x", 2)


def test_a_folder_with_the_inode_of_a_deleted_one_is_not_ones_own(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    with closing(Folder.open(tmp_path / "c")) as first:
        inode, born = first.status.st_ino, born_ns(first.descriptor)
        write_origin(first, new_id())
        origin = (first.path / ORIGIN).read_bytes()
    shutil.rmtree(tmp_path / "c")
    for number in range(50):  # ext4 gives it to one of the next
        again = tmp_path / str(number)
        again.mkdir()
        if again.stat().st_ino == inode:
            break
    else:
        pytest.skip("the file system gives no inode number twice")
    if not born:
        pytest.skip("the file system knows no birth times")
    (again / ORIGIN).write_bytes(origin)
    found = Folder.open(again)
    unpacked = read_origin(found)
    assert unpacked is not None
    assert not is_own(found, unpacked)


@pytest.mark.skipif(sys.platform != "linux", reason="the command is Linux's")
def test_a_birth_time_is_the_one_that_stat_shows(folder: Folder) -> None:
    shown = subprocess.run(["stat", "-c", "%W", folder.path], capture_output=True, text=True, check=True).stdout
    assert born_ns(folder.descriptor) // 10**9 == int(shown)
