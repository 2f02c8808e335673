"""The write lock between processes."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexes.errors import CollectionBusyError
from indexes.files.folder import Folder
from indexes.files.locking import writing

ROOT = Path(__file__).parents[3]
_HOLD = """
import sys
from pathlib import Path
from indexes.files.folder import Folder
from indexes.files.locking import writing
with writing(Folder.open(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the write lock of a folder until the block ends."""
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder
        finally:
            holder.kill()


def test_a_second_writer_is_told_which_process_writes(tmp_path: Path) -> None:
    with held_by_another(tmp_path) as holder:
        expected = rf"^another process \(number {holder.pid}\) is writing to {tmp_path}$"
        with pytest.raises(CollectionBusyError, match=expected) as caught, writing(Folder.open(tmp_path)):
            pass
        assert caught.value.hint == "wait until it is done, then run this again"


def test_a_killed_writer_lets_the_lock_go(tmp_path: Path) -> None:
    with held_by_another(tmp_path) as holder:
        holder.kill()
        holder.wait()
        with writing(Folder.open(tmp_path)):
            assert (tmp_path / "write.lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_lock_is_free_after_the_block_however_it_ends(tmp_path: Path, error: type[BaseException]) -> None:
    for _ in range(2):
        with pytest.raises(error), writing(Folder.open(tmp_path)):
            raise error


@pytest.mark.parametrize("content", ["", "not a number", "9" * 100])
def test_a_lock_without_a_number_is_still_a_lock(tmp_path: Path, content: str) -> None:
    (tmp_path / "write.lock").write_text(content)
    with (tmp_path / "write.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CollectionBusyError, match=r"^another process "), writing(Folder.open(tmp_path)):
            pass


def test_processes_that_a_writer_starts_do_not_hold_its_lock(tmp_path: Path) -> None:
    with writing(Folder.open(tmp_path)):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with writing(Folder.open(tmp_path)):
            pass
    finally:
        child.kill()
        child.wait()
