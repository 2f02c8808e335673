"""What surrounds loader processes: what they see, how they are started, and that they end with their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.errors import IndexesError
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool
from tests.support.files import write
from tests.support.misbehaving import COMMAND, TIGHT, WITH_CHILD, about, written

ROOT = str(Path(__file__).resolve().parents[3])


@pytest.fixture
def pool() -> Iterator[LoaderPool]:
    with LoaderPool(TIGHT, processes=1, command=COMMAND) as pool:
        yield pool


def _gone(pid: int) -> bool:
    """Whether a process has ended, waiting up to 20 s for it; one that waits to be reaped has."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.1)
    return False


def test_what_a_late_process_started_ends_with_it(tmp_path: Path) -> None:
    with LoaderPool(TIGHT, 1, WITH_CHILD) as pool:
        child, late = pool.load(written(tmp_path, "child", "sleep 600"))
        assert late.reason == "took longer than 2 s (--max-seconds)"
        assert child.document
        assert _gone(int(child.document.text))


def test_a_process_sees_little_of_its_surroundings(
    tmp_path: Path, pool: LoaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["relative", "", str(tmp_path), ROOT]))
    said = about(next(iter(pool.load(written(tmp_path, "about")))))
    assert said["variables"].keys() >= {"PATH", "OMP_NUM_THREADS"}
    assert not said["variables"].keys() & {"OPENAI_API_KEY", "HOME", "FATHOM_CACHE"}
    assert said["variables"]["PYTHONPATH"] == os.pathsep.join([str(Path("relative").absolute()), str(tmp_path), ROOT])
    assert said["variables"]["PYTHONSAFEPATH"] == "1"
    assert (said["folder"], said["safe_path"], said["core"], said["own_session"]) == ("/", True, 0, True)
    assert said["umask"] == 0o077
    assert said["descriptors"] == 7  # 0 to 2, requests, answers, its own size, and the listing itself


def test_loading_works_from_a_folder_with_modules_of_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = "raise SystemExit('imported from the working folder')\n"
    write(tmp_path, {"indexes/__init__.py": trap, "json.py": trap, "docs/x.md": "# Ants\n\nAn ant walks.\n"})
    monkeypatch.chdir(tmp_path)
    with LoaderPool(LoadLimits()) as pool:
        (outcome,) = pool.load([Path("docs/x.md")])
    assert outcome.document
    assert outcome.path == Path("docs/x.md")


def test_a_name_of_any_bytes_reaches_the_process(tmp_path: Path, pool: LoaderPool) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/new\nline \xff \xc3\xa4.txt"))
    path.write_text("good", encoding="utf-8")
    (outcome,) = pool.load([path])
    assert outcome.document
    assert outcome.path == path


def test_a_command_that_does_not_start_is_an_error_with_its_words(tmp_path: Path) -> None:
    paths = written(tmp_path, "good")
    for command, message in [
        ((sys.executable, "-c", "raise SystemExit('no such module')"), "exit code 1: no such module"),
        ((str(tmp_path / "nothing"),), "cannot be started: No such file or directory"),
        ((sys.executable, "-c", "import os, sys; os.write(int(sys.argv[-1]), b'x' * 99)"), "sent a frame of"),
    ]:
        with LoaderPool(TIGHT, command=command) as pool, pytest.raises(IndexesError, match=message) as caught:
            list(pool.load(paths))
        assert caught.value.hint.startswith("check that ")


def test_a_pool_needs_a_process_and_says_whether_memory_is_limited() -> None:
    with pytest.raises(ValueError, match="processes must be at least 1, got 0"):
        LoaderPool(TIGHT, processes=0)
    with LoaderPool(TIGHT) as pool:
        assert pool.limited == (sys.platform == "linux")


_PARENT = """
import sys
from pathlib import Path
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool

try:
    with LoaderPool(LoadLimits(), 2, sys.argv[1:4]) as pool:
        for outcome in pool.load(map(Path, sys.argv[4:])):
            print(outcome.document.text if outcome.document else outcome.reason, flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_loader_processes_end_with_their_parent_however_it_ends(tmp_path: Path, number: int) -> None:
    paths = written(tmp_path, "about", "about", "sleep 600", "spin")
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, *COMMAND, *map(str, paths)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # one that is killed cleans nothing up
    )
    with parent:
        assert parent.stdout
        pids = {json.loads(parent.stdout.readline())["pid"] for _ in range(2)}
        time.sleep(0.5)  # the others are begun
        os.killpg(parent.pid, number)  # as a terminal does on Ctrl-C: to the group
        rest = parent.stdout.read()
        assert parent.wait(timeout=20) == (0 if number == signal.SIGINT else -number)
    assert rest == ("stopped\n" if number == signal.SIGINT else "")
    assert all(_gone(pid) for pid in pids)
