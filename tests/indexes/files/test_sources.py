"""Files swapped between walk, hashing and reading: what was judged is what is read, and nothing is waited for."""

import hashlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from indexes.documents import FileState
from indexes.errors import OutsideError
from indexes.files.bounds import OUTSIDE, Bounds, real_path
from indexes.files.places import Places
from indexes.files.sources import Source, open_source
from indexes.ingest.changes import Intake, Refused
from indexes.ingest.discovery import Candidate, Walk, walk, walk_again
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool
from tests.support.files import write
from tests.support.misbehaving import COMMAND, TIGHT
from tests.support.stores import new_store

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    write(tmp_path, {"secret/a.md": "private", "docs/a.md": "alpha", "docs/sub/a.md": "beta"})
    return tmp_path / "docs"


def _decided(found: Walk, name: str = "a.md") -> Refused | Source:
    """What a run decides over a file that was walked before it was swapped."""
    store = new_store(found.candidates[0].path.parent / ".fathom")
    try:
        intake = Intake(store, found, Places(store.folder).stored, LoadLimits(), retry_failed=True)
        decision = intake.decide(next(candidate for candidate in found.candidates if candidate.name == name))
    finally:
        store.close()
    if isinstance(decision, Refused):
        return decision
    source = getattr(decision, "source", None)
    assert isinstance(source, Source)
    return source


def _content(source: Refused | Source) -> bytes:
    assert isinstance(source, Source)
    content = os.pread(source.descriptor, 1000, 0)
    source.close()
    return content


def _swap(path: Path, make: Callable[[Path], object]) -> None:
    """Size and time of the walk stay what they were, so that only one who opens can tell."""
    path.unlink()
    make(path)


def test_a_file_swapped_for_a_link_after_the_walk_is_not_read(docs: Path) -> None:
    found = walk([docs])
    _swap(docs / "a.md", lambda path: path.symlink_to("../secret/a.md"))
    assert _decided(found) == Refused(FileState.SKIPPED, OUTSIDE, forgets=True)


def test_a_folder_swapped_for_a_link_after_the_walk_is_not_read(docs: Path) -> None:
    found = walk([docs])
    (docs / "sub").rename(docs / "moved")
    (docs / "sub").symlink_to("../secret")
    assert _decided(found, "sub/a.md") == Refused(FileState.SKIPPED, OUTSIDE, forgets=True)


def test_a_link_turned_elsewhere_after_the_walk_is_not_read(docs: Path) -> None:
    (docs / "link.md").symlink_to("a.md")
    found = walk([docs])
    _swap(docs / "link.md", lambda path: path.symlink_to("../secret/a.md"))
    assert _decided(found, "link.md") == Refused(FileState.SKIPPED, OUTSIDE, forgets=True)


def test_a_file_saved_anew_after_the_walk_is_read(docs: Path) -> None:
    found = walk([docs])
    write(docs, {"new": "ALPHA"})
    (docs / "new").rename(docs / "a.md")  # as editors do
    assert _content(_decided(found)) == b"ALPHA"


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/dev/tty")],
    ids=["pipe", "folder", "device", "terminal"],
)
def test_what_is_no_file_any_more_is_neither_opened_nor_waited_for(docs: Path, make: Callable[[Path], object]) -> None:
    found = walk([docs])
    _swap(docs / "a.md", make)
    assert _decided(found) == Refused(FileState.FAILED, "cannot be opened: it is no longer a regular file")
    with LoaderPool(TIGHT, 1, COMMAND) as pool:
        (outcome,) = pool.load([docs / "a.md"])
    assert outcome.reason == "cannot be opened: it is no longer a regular file"


def test_a_socket_is_not_opened(docs: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(docs / "socket.md"))
        with pytest.raises(OSError, match="no longer a regular file"):
            open_source(docs / "socket.md")


@LINUX
@pytest.mark.parametrize("name", ["/proc/self/pagemap", "/proc/self/mem"])
def test_an_endless_file_is_hashed_and_read_as_long_as_it_says_it_is(name: str) -> None:
    source = open_source(Path(name))
    assert (source.size_bytes, source.sha256()) == (0, hashlib.sha256().hexdigest())
    with LoaderPool(TIGHT, 1) as pool:
        (outcome,) = pool.load([source])
    assert outcome.reason == "is empty"


def test_a_growing_file_is_hashed_and_read_to_where_it_ended(docs: Path) -> None:
    source = open_source(docs / "a.md")
    with (docs / "a.md").open("a") as stream:
        stream.write(" and more")
    assert source.sha256() == hashlib.sha256(b"alpha").hexdigest()
    with LoaderPool(TIGHT, 1, COMMAND) as pool:
        (outcome,) = pool.load([source])
    assert outcome.document
    assert outcome.document.text == "alpha"
    assert source.descriptor == -1


def test_what_is_read_is_what_was_hashed_whatever_lies_at_its_path_by_then(docs: Path) -> None:
    source = open_source(docs / "a.md", Bounds(frozenset({real_path(str(docs))})))
    _swap(docs / "a.md", lambda path: path.symlink_to("../secret/a.md"))
    with LoaderPool(TIGHT, 1, COMMAND) as pool:
        (outcome,) = pool.load([source])
    assert outcome.document
    assert outcome.document.text == "alpha"


def test_a_file_that_is_read_at_once_is_closed_where_it_is_left_out(docs: Path) -> None:
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208
    with pytest.raises(OutsideError):
        open_source(docs / "a.md", Bounds(frozenset({"/elsewhere"})))
    assert set(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_files_that_are_tried_again_are_judged_by_the_folder_that_they_were_found_in(docs: Path) -> None:
    (docs / "out.md").symlink_to("../secret/a.md")
    (docs / "in.md").symlink_to("a.md")
    write(docs, {".named.md": "named by the user"})
    names = {"a.md", "sub/a.md", "out.md", "in.md"}
    again = walk_again([(docs / name, name) for name in names] + [(docs / ".named.md", ".named.md")])
    assert _decided(again, "out.md") == Refused(FileState.SKIPPED, OUTSIDE, forgets=True)
    assert [_content(_decided(again, name)) for name in ("a.md", "sub/a.md", "in.md", ".named.md")] == [
        b"alpha",
        b"beta",
        b"alpha",
        b"named by the user",
    ]
    (docs / "sub").rename(docs / "moved")
    (docs / "sub").symlink_to("../secret")
    again = walk_again([(docs / "sub" / "a.md", "sub/a.md")])
    assert _decided(Walk((*again.candidates, Candidate(docs / "a.md", "a.md")), (), (), again.bounds), "sub/a.md") == (
        Refused(FileState.SKIPPED, OUTSIDE, forgets=True)
    )
