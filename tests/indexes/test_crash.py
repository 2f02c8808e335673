"""Runs that are killed at any moment: the next one goes on, and ends where an unbroken one ends."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from indexes.collection import Collection
from indexes.errors import CollectionMissingError
from indexes.files.folder import Folder
from indexes.storage.origin import read_origin, write_origin
from tests.support.crashing import SETTINGS, index
from tests.support.dumps import dump, without_copies
from tests.support.encoders import CountingEncoder
from tests.support.files import write

ROOT = Path(__file__).parents[2]
SEED = 20_261_122
KILLS = 50
KILLS_IN_A_ROW = 5
FILES = 24


@dataclass
class Runs:
    """Runs in processes of a server's, each of which can be killed; `mark` is in the surroundings of all of them."""

    mark: str
    _server: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        Path(self.mark).mkdir()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": self.mark, "OMP_NUM_THREADS": "1"},
        )

    def run(self, home: Path, kill_after: float | None = None) -> tuple[int, float]:
        """Indexes `home/docs`; exit code, negative for a signal, and seconds."""
        _say(self._server, f"{home / '.fathom'}\t{home / 'docs'}")
        child, started = int(_said(self._server.stdout).readline()), time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)  # if it has ended, it is still there until the server is told to wait
        _say(self._server, "wait")
        return int(_said(self._server.stdout).readline()), time.monotonic() - started

    def left_over(self) -> list[str]:
        """Command lines of processes that runs have left behind."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"TMPDIR={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended, or it is another user's
            if marked and int(folder.name) != self._server.pid and command:
                found.append(command)
        return found

    def close(self) -> None:
        _said(self._server.stdin).close()
        _said(self._server.stdout).close()
        self._server.wait()


def _say(server: "subprocess.Popen[str]", line: str) -> None:
    _said(server.stdin).write(f"{line}\n")
    _said(server.stdin).flush()


def _said(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(str(tmp_path / "mark"))
    yield made
    made.close()


def _paragraphs(number: int, word: str) -> str:
    lines = (f"{word} {n} of file {number} speaks of lot {n % 7} and the price of cells." for n in range(60))
    return f"# File {number}\n\n" + "\n\n".join(lines) + "\n"


def _before(docs: Path) -> None:
    """A folder as it was when it was indexed for the first time."""
    write(docs, {f"part{n % 3}/f{n:02}.md": _paragraphs(n, "Paragraph") for n in range(FILES)})
    write(docs, {"part0/copy.md": _paragraphs(4, "Paragraph"), "bad.pdf": b"%PDF-1.4 cut"})
    for number, path in enumerate(sorted(path for path in docs.rglob("*") if path.is_file())):
        os.utime(path, ns=(number * 10**9, number * 10**9))


def _change(docs: Path) -> None:
    """What happens to it then: files changed, moved, copied, deleted, new, and an original that leaves its copy."""
    for number in (1, 2, 7):
        (docs / f"part{number % 3}" / f"f{number:02}.md").write_text(_paragraphs(number, "Changed"))
    (docs / "part1" / "f04.md").unlink()  # part0/copy.md is its copy
    (docs / "part2").rename(docs / "moved")
    shutil.rmtree(docs / "part0", ignore_errors=False)
    write(docs, {f"new/g{n}.md": _paragraphs(n, "New") for n in range(6)})
    write(docs, {"new/copy.md": _paragraphs(2, "New"), "part0/copy.md": _paragraphs(4, "Paragraph")})


def _clone(source: Path, home: Path) -> Path:
    """A copy of a home with the times of its files, which a run knows them by."""
    shutil.copytree(source, home)  # copies times too
    if (home / ".fathom").exists():  # a copy is not believed to be this user's own
        folder = Folder.open(home / ".fathom")
        origin = read_origin(folder)
        assert origin is not None
        write_origin(folder, origin.id)
    return home


def _dump(home: Path) -> dict[str, Any]:
    collection = Collection.open(home / ".fathom")
    try:
        assert collection.verify() == []
        return without_copies(dump(collection)) if _has_copies(home) else dump(collection)
    finally:
        collection.close()


def _has_copies(home: Path) -> bool:
    contents = [path.read_bytes() for path in (home / "docs").rglob("*") if path.is_file()]
    return len(set(contents)) < len(contents)


def _first_run(home: Path) -> None:
    _before(home / "docs")


def _second_run(home: Path) -> None:
    _before(home / "docs")
    index(home / ".fathom", home / "docs")
    _change(home / "docs")


@pytest.mark.parametrize("prepare", [_first_run, _second_run], ids=["a new collection", "a changed folder"])
def test_runs_killed_at_random_moments_end_as_an_unbroken_one(
    tmp_path: Path, runs: Runs, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path / "source")
    whole = _clone(tmp_path / "source", tmp_path / "whole")
    code, seconds = runs.run(whole)
    assert code == 0
    expected = _dump(whole)
    chance, killed, trial = random.Random(SEED), 0, 0
    while killed < KILLS // 2:
        home, trial = _clone(tmp_path / "source", tmp_path / f"trial{trial}"), trial + 1
        for _ in range(KILLS_IN_A_ROW):
            code, _ = runs.run(home, chance.uniform(0, seconds))
            assert code in (0, -signal.SIGKILL)
            _look_at(home)
            if code == 0:
                break
            killed += 1
        assert runs.run(home)[0] == 0
        assert _dump(home) == expected
        shutil.rmtree(home)
    _wait_until(lambda: not runs.left_over())
    assert runs.left_over() == []


def _look_at(home: Path) -> None:
    """A collection that a killed run has left can be read, searched and checked as it is."""
    if not (home / ".fathom" / "collection.sqlite").exists():
        return
    try:
        collection = Collection.open(home / ".fathom")
    except CollectionMissingError:  # killed before it was made
        return
    chunks = sum(len(collection.chunks_of(document.id)) for document in collection.documents())
    assert collection.stats().chunks == chunks
    collection.search("price of cells")
    assert collection.verify() == []
    collection.close()


def _wait_until(done: Callable[[], bool]) -> None:
    for _ in range(100):
        if done():
            return
        time.sleep(0.1)


def test_what_a_killed_run_committed_is_not_embedded_again(tmp_path: Path, runs: Runs) -> None:
    home = tmp_path / "home"
    _before(home / "docs")
    _, seconds = runs.run(_clone(home, tmp_path / "whole"))
    chunks = _chunks(tmp_path / "whole")
    code = 0
    for tenth in range(9, 0, -1):
        shutil.rmtree(home / ".fathom", ignore_errors=True)
        code, _ = runs.run(home, seconds * tenth / 10)
        if code and (done := _chunks(home)):
            break
    else:
        pytest.fail("no run was killed between its first commit and its end")
    encoder = CountingEncoder()
    collection = Collection.open(home / ".fathom", lambda _: encoder)
    collection.add([home / "docs"], SETTINGS)
    assert len(encoder.texts) <= chunks - done
    assert collection.stats().chunks == chunks
    collection.close()


def _chunks(home: Path) -> int:
    try:
        collection = Collection.open(home / ".fathom")
    except CollectionMissingError:
        return 0
    chunks = collection.stats().chunks
    collection.close()
    return chunks
