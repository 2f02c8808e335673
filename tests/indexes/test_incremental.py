"""Whatever happens to a folder between runs, its collection equals one that is made of the folder as it is now."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.collection import Collection
from indexes.documents import IndexReport
from indexes.ingest.run import RunSettings
from indexes.text.chunking import ChunkSizes
from tests.support.dumps import dump, without_copies
from tests.support.files import write

SIZES = RunSettings(sizes=ChunkSizes(60, 80, 20), processes=1)
NAMES = ["a.md", "b.txt", "z.md", "north/a.md", "north/c.txt", "south/deep/d.md", "south/e.csv", "south/f.json"]

Operation = tuple[str, int, int]


class Folder:
    """A folder of documents that changes, and its collection. Times are counted on, so that none comes twice."""

    def __init__(self, home: Path) -> None:
        self.docs = home / "docs"
        self.docs.mkdir(parents=True)
        (self.docs / "kept.md").write_text("# Kept\n\nA document that is never changed.\n")
        self.collection = Collection.open_or_create(home / ".fathom", "hash")
        self._clock = 0

    def put(self, name: str, content: bytes) -> None:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.touch(path)

    def touch(self, path: Path) -> None:
        self._clock += 1
        os.utime(path, ns=(self._clock * 10**9, self._clock * 10**9))

    def run(self) -> IndexReport:
        report = self.collection.add([self.docs], SIZES)
        listed = [*report.added, *report.updated, *report.unchanged, *report.failed, *report.skipped]
        files = sorted(path.relative_to(self.docs).as_posix() for path in self.docs.rglob("*") if path.is_file())
        assert sorted(listed) == files  # each file is told of once
        return report

    def do(self, operation: Operation) -> None:
        what, first, second = operation
        one, other = self.docs / NAMES[first % len(NAMES)], self.docs / NAMES[second % len(NAMES)]
        match what:
            case "write":
                self.put(NAMES[first % len(NAMES)], CONTENTS[second % len(CONTENTS)])
            case "run":
                self.run()
            case "touch" if one.exists():
                self.touch(one)
            case "delete" if one.exists():
                one.unlink()
            case "delete folder" if one.parent != self.docs and one.parent.exists():
                shutil.rmtree(one.parent)
            case "move" if one.exists() and one != other:
                other.parent.mkdir(parents=True, exist_ok=True)
                one.rename(other)  # with its time, as mv does
            case "copy" if one.exists() and one != other:
                self.put(other.relative_to(self.docs).as_posix(), one.read_bytes())
            case "swap" if one.exists() and other.exists():
                first_content, second_content = one.read_bytes(), other.read_bytes()
                self.put(NAMES[first % len(NAMES)], second_content)
                self.put(NAMES[second % len(NAMES)], first_content)

    def close(self) -> None:
        self.collection.close()


def _content(number: int) -> bytes:
    lots = [f"Lot {number} number {n} of cells has its price and its fire in {n % 3}." for n in range(number % 4)]
    return "\n\n".join([f"# Title {number}", *lots, f"The connector of {number}."]).encode()


CONTENTS = [*map(_content, range(5)), b"", b"\x00\x01 binary", b'{"price": 68, "name": "cells"}\n', b"x,y\n1,2\n"]

_PLACE = st.integers(0, len(NAMES) - 1)
_CONTENT = st.integers(0, len(CONTENTS) - 1)
_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), _PLACE, _CONTENT),
        st.tuples(st.sampled_from(["move", "copy", "swap"]), _PLACE, _PLACE),
        st.tuples(st.sampled_from(["touch", "delete", "delete folder", "run"]), _PLACE, st.just(0)),
    ),
    min_size=1,
    max_size=12,
)


def _check(folder: Folder, operations: Sequence[Operation]) -> None:
    """Runs after all operations, and compares with a collection that is made anew."""
    for number, name in enumerate(NAMES):
        folder.put(name, _content(number))
    folder.run()
    for operation in operations:
        folder.do(operation)
    _forget_unreadable(folder)
    folder.run()
    fresh = Collection.open_or_create(folder.docs.parent / ".fresh", "hash")
    fresh.add([folder.docs], SIZES)
    one, other = dump(folder.collection), dump(fresh)
    assert without_copies(one) == without_copies(other)
    shared = [name for _, name, _ in one["files"].values() if name]
    if len(set(shared)) == len(shared):
        assert one == other
    assert folder.collection.verify() == []
    fresh.close()


def _forget_unreadable(folder: Folder) -> None:
    """Text of a file that has become unreadable is kept on purpose; here such files are given up."""
    for path in folder.docs.rglob("*"):
        if path.is_file() and path.read_bytes() in (b"", b"\x00\x01 binary"):
            path.unlink()


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(_OPERATIONS)
def test_a_collection_that_followed_a_folder_equals_one_made_anew(operations: list[Operation]) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder = Folder(Path(home))
        try:
            _check(folder, operations)
        finally:
            folder.close()


_RUN: Operation = ("run", 0, 0)
_CASES: dict[str, list[Operation]] = {
    "an original goes and its copy elsewhere stays": [("copy", 3, 5), _RUN, ("delete", 3, 0)],
    "an original changes and its copy elsewhere stays": [("copy", 3, 5), _RUN, ("write", 3, 4)],
    "an original becomes a copy of another": [("copy", 3, 5), _RUN, ("copy", 0, 3)],
    "one of three copies goes": [("copy", 3, 5), ("copy", 3, 1), _RUN, ("delete", 5, 0)],
    "an original moves and its copy stays": [("copy", 3, 5), _RUN, ("move", 3, 7)],
    "an original moves and is copied": [("move", 3, 7), ("copy", 7, 5)],
    "a file moves and another takes its place": [("move", 3, 5), ("write", 3, 4)],
    "two files swap": [("swap", 0, 5)],
    "two files swap while copies of both stay": [("copy", 0, 4), ("copy", 5, 1), _RUN, ("swap", 0, 5)],
    "all copies go": [("copy", 3, 5), _RUN, ("delete", 3, 0), ("delete", 5, 0)],
    "a folder goes": [("delete folder", 3, 0)],
    "a folder with an original goes": [("copy", 3, 0), ("copy", 3, 5), _RUN, ("delete folder", 3, 0)],
    "files are only touched": [("touch", 0, 0), ("touch", 3, 0)],
    "a copy before its original in the walk": [("copy", 5, 0), _RUN, ("delete", 5, 0)],
    "a copy is changed while its original moves": [("copy", 3, 5), _RUN, ("write", 5, 4), ("move", 3, 7)],
}


@pytest.mark.parametrize("case", _CASES)
def test_a_collection_follows_when(case: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    _check(folder, _CASES[case])
    folder.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("another text of another length"),
    ],
    ids=["deleted", "changed"],
)
def test_a_copy_whose_original_leaves_it_is_told_by_its_own_folder(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    docs = write(tmp_path / "docs", {"north/a.md": "# One\n\nwords", "south/a.md": "# One\n\nwords"})
    collection = Collection.open_or_create(tmp_path / ".fathom", "hash")
    collection.add([docs], SIZES)
    change(docs / "north" / "a.md")
    report = collection.add([docs], SIZES)
    (document,) = [document for document in collection.documents() if document.name == "south/a.md"]
    assert [chunk.context.split(" › ")[0] for chunk in collection.chunks_of(document.id)] == ["south"]
    assert ("south/a.md" in report.updated, report.unchanged) == (True, [])
    again = collection.add([docs], SIZES)
    assert (again.added, again.updated, again.removed) == ([], [], [])
    collection.close()
