"""What must be read: told by a stat, by content, by place; nothing is opened without need."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from indexes.documents import FileState
from indexes.files.places import Places
from indexes.ingest.changes import Decision, Intake, Refused, SameContent, Stamp, Twin, Unchanged
from indexes.ingest.discovery import Candidate, Walk, walk
from indexes.ingest.writer import Incoming
from indexes.loaders.limits import LoadLimits
from indexes.storage.store import STALE
from tests.support.files import write
from tests.support.stores import new_store


class Home:
    """A folder with documents, and what a run would decide over them."""

    def __init__(self, home: Path) -> None:
        self.docs = write(home / "docs", {"a.md": "alpha", "b.md": "beta", "sub/c.md": "gamma"})
        self.store = new_store(home / ".fathom")
        self.places = Places(self.store.folder)

    def intake(self, found: Walk, retry_failed: bool = False, limits: LoadLimits | None = None) -> Intake:
        return Intake(self.store, found, self.places.stored, limits or LoadLimits(), retry_failed)

    def decide(self, *paths: Path, retry_failed: bool = False, limits: LoadLimits | None = None) -> dict[str, Decision]:
        """Decisions by name, over the given paths or all of the documents; what is to be read is not read yet."""
        found = walk(paths or [self.docs])
        intake = self.intake(found, retry_failed, limits)
        return {candidate.name: intake.decide(candidate) for candidate in found.candidates}

    def index(self, *paths: Path) -> None:
        """As if a run had read all that must be read."""
        found = walk(paths or [self.docs])
        intake = self.intake(found)
        for candidate in found.candidates:
            match intake.decide(candidate):
                case Incoming() as incoming:
                    with self.store.transaction():
                        self.store.put_file(incoming.record(self._document(incoming)), incoming.mtime_ns)
                    intake.read(incoming)
                case SameContent(incoming, document_id):
                    self.store.put_file(incoming.record(document_id), incoming.mtime_ns)

    def _document(self, incoming: Incoming) -> int:
        from indexes.documents import LoadedDocument

        loaded = LoadedDocument("text", incoming.name, "words")
        return self.store.add_document(incoming.stored_path, incoming.name, incoming.sha256, loaded)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.store.close()


def _kinds(decisions: dict[str, Decision]) -> dict[str, str]:
    return {name: type(decision).__name__ for name, decision in decisions.items()}


def _replace_unnoticed(path: Path, content: bytes) -> None:
    """Other content with the size and time of the old: only one who opens the file can tell."""
    status = path.stat()
    assert len(content) == status.st_size
    path.write_bytes(content)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def test_new_files_are_read(home: Home) -> None:
    decisions = home.decide()
    assert _kinds(decisions) == dict.fromkeys(["a.md", "b.md", "sub/c.md"], "Incoming")
    incoming = decisions["sub/c.md"]
    assert isinstance(incoming, Incoming)
    assert (incoming.stored_path, incoming.size_bytes, incoming.replaces) == ("docs/sub/c.md", 5, None)


def test_an_unchanged_file_is_not_opened(home: Home) -> None:
    home.index()
    _replace_unnoticed(home.docs / "a.md", b"ALPHA")
    assert _kinds(home.decide()) == dict.fromkeys(["a.md", "b.md", "sub/c.md"], "Unchanged")


@pytest.mark.parametrize("step", [-(10**9), -1, 1, 10**9])
def test_a_file_of_another_time_is_opened_and_one_with_the_same_content_is_not_read(home: Home, step: int) -> None:
    home.index()
    path = home.docs / "a.md"
    time = path.stat().st_mtime_ns + step * 1_000
    os.utime(path, ns=(time, time))
    decision = home.decide()["a.md"]
    assert isinstance(decision, SameContent)
    assert decision.document_id == home.store.document_of("docs/a.md")
    assert decision.incoming.mtime_ns == time


def test_a_changed_file_replaces_its_document(home: Home) -> None:
    home.index()
    write(home.docs, {"a.md": "alpha and more"})
    decision = home.decide()["a.md"]
    assert isinstance(decision, Incoming)
    assert decision.replaces == home.store.document_of("docs/a.md")


def test_a_copy_takes_the_document_of_its_original(home: Home) -> None:
    home.index()
    shutil.copy(home.docs / "a.md", home.docs / "sub" / "copy.md")
    decision = home.decide()["sub/copy.md"]
    assert isinstance(decision, SameContent)
    assert decision.document_id == home.store.document_of("docs/a.md")


def test_a_copy_with_another_suffix_is_read_for_itself(home: Home) -> None:
    home.index()
    shutil.copy(home.docs / "a.md", home.docs / "copy.json")
    assert isinstance(home.decide()["copy.json"], Incoming)


def test_a_moved_file_is_read_for_its_new_place(home: Home) -> None:
    home.index()
    (home.docs / "a.md").rename(home.docs / "sub" / "a.md")
    assert isinstance(home.decide()["sub/a.md"], Incoming)


def test_an_original_outside_of_the_walk_stays_where_it_is(home: Home) -> None:
    home.index()
    (home.docs / "sub" / "copy.md").write_text("alpha")
    (home.docs / "a.md").unlink()  # which this run does not look at
    assert isinstance(home.decide(home.docs / "sub")["copy.md"], SameContent)


def test_a_file_whose_document_is_stale_is_read_whatever_its_time(home: Home) -> None:
    os.utime(home.docs / "a.md", ns=(0, 0))
    home.index()
    assert isinstance(home.decide()["a.md"], Unchanged)
    record = next(record for record in home.store.files() if record.path == "docs/a.md")
    home.store.put_file(record, STALE)
    assert isinstance(home.decide()["a.md"], Incoming)


# Twins


def test_a_twin_waits_and_is_then_the_same_content(home: Home) -> None:
    write(home.docs, {"d.md": "alpha", "e.MD": "alpha", "f.txt": "alpha"})
    assert _kinds(home.decide()) == {
        "a.md": "Incoming",
        "b.md": "Incoming",
        "d.md": "Twin",
        "e.MD": "Twin",
        "f.txt": "Incoming",
        "sub/c.md": "Incoming",
    }
    home.index(home.docs / "a.md")
    assert isinstance(home.decide()["d.md"], SameContent)


def test_a_twin_of_a_file_that_cannot_be_read_is_refused_with_the_same_reason(home: Home) -> None:
    write(home.docs, {"d.md": "alpha", "f.txt": "alpha"})
    found = walk([home.docs])
    intake = home.intake(found)
    decisions = [intake.decide(candidate) for candidate in found.candidates]
    first = decisions[0]
    assert isinstance(first, Incoming)
    assert isinstance(decisions[2], Twin)
    intake.refuse(first, FileState.FAILED, "is broken")
    intake.read(first)
    again = intake.decide(found.candidates[2])
    status = (home.docs / "d.md").stat()
    assert again == Refused(FileState.FAILED, "is broken", Stamp(status.st_size, status.st_mtime_ns))


# Refused


def _fail(home: Home, path: Path) -> None:
    stamp = path.stat()
    record = Incoming("a.md", home.places.stored(path), "x", stamp.st_size, stamp.st_mtime_ns, None).record(0)
    fields = (record.path, record.name, FileState.FAILED, "is broken", "", stamp.st_size, None)
    home.store.put_file(type(record)(*fields), stamp.st_mtime_ns)


def test_a_file_that_failed_is_tried_again_when_it_has_changed_or_is_asked_for(home: Home) -> None:
    _fail(home, home.docs / "a.md")
    unchanged = home.decide()["a.md"]
    assert isinstance(unchanged, Unchanged)
    assert unchanged.record.reason == "is broken"
    assert isinstance(home.decide(retry_failed=True)["a.md"], Incoming)
    write(home.docs, {"a.md": "alpha, repaired"})
    assert isinstance(home.decide()["a.md"], Incoming)


def test_indexed_files_are_not_tried_again_with_the_failed_ones(home: Home) -> None:
    home.index()
    assert set(_kinds(home.decide(retry_failed=True)).values()) == {"Unchanged"}


def test_a_file_over_the_limit_is_refused_unopened_until_the_limit_allows_it(home: Home) -> None:
    write(home.docs, {"large.md": "x" * (2**20 + 1)})
    small = home.decide(limits=LoadLimits(max_file_mib=1))["large.md"]
    assert isinstance(small, Refused)
    assert (small.state, small.stamp) == (FileState.FAILED, None)
    assert small.reason.startswith("is 1 MiB, over the limit of 1 MiB")
    assert isinstance(home.decide()["large.md"], Incoming)


def test_what_the_walk_skips_is_skipped_with_its_reason(home: Home) -> None:
    write(home.docs, {"program.exe": "MZ"})
    decision = home.decide()["program.exe"]
    assert isinstance(decision, Refused)
    assert (decision.state, decision.stamp) == (FileState.SKIPPED, None)


def test_a_file_that_is_gone_since_the_walk_is_refused(home: Home) -> None:
    found = walk([home.docs])
    (home.docs / "a.md").unlink()
    decision = home.intake(found).decide(found.candidates[0])
    assert decision == Refused(FileState.FAILED, "cannot be opened: No such file or directory")


def test_a_path_that_became_a_named_pipe_is_not_waited_for(home: Home) -> None:
    os.mkfifo(home.docs / "pipe.md")
    found = Walk((Candidate(home.docs / "pipe.md", "pipe.md"),), ())
    decision = home.intake(found, retry_failed=True).decide(found.candidates[0])
    assert decision == Refused(FileState.FAILED, "cannot be opened: it is no longer a regular file")


# Gone


@pytest.mark.parametrize(
    ("walked", "expected"),
    [
        ([], ["docs/a.md", "docs/sub/c.md"]),
        (["sub"], ["docs/sub/c.md"]),
        (["b.md"], []),
        (["b.md", "sub"], ["docs/sub/c.md"]),
    ],
)
def test_what_is_not_found_below_the_walked_folders_is_gone(
    home: Home, walked: Sequence[str], expected: list[str]
) -> None:
    home.index()
    (home.docs / "a.md").unlink()
    (home.docs / "sub" / "c.md").unlink()
    write(home.docs, {"sub/d.md": "delta"})
    intake = home.intake(walk([home.docs / name for name in walked] or [home.docs]))
    assert [record.path for record in intake.gone()] == expected


def test_what_lies_in_a_folder_that_was_not_searched_is_not_gone(home: Home) -> None:
    home.index()
    found = walk([home.docs])
    unsearched = Walk(found.candidates[:2], found.folders, (home.docs / "sub",))
    assert home.intake(unsearched).gone() == []
    assert [record.path for record in home.intake(Walk(found.candidates[:2], found.folders)).gone()] == [
        "docs/sub/c.md"
    ]


def test_a_folder_named_alike_is_not_below(home: Home) -> None:
    write(home.docs.parent, {"docs-old/x.md": "old"})
    home.index(home.docs, home.docs.parent / "docs-old")
    (home.docs.parent / "docs-old" / "x.md").unlink()
    assert home.intake(walk([home.docs])).gone() == []
