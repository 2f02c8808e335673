"""Whether a file must be read: unchanged, copied, moved, refused and new files told apart, most by a stat alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..documents import FileRecord, FileState
from ..errors import OutsideError
from ..files.sources import Source, check_regular, open_source
from ..loaders.limits import LoadLimits, too_large
from ..storage.store import STALE, Store
from ..text.printable import printable
from .discovery import Candidate, Walk
from .writer import Incoming


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and modification time, by which the next run knows a file again.

    Times that 64 bits do not hold (before 1678, after 2261) are those at the ends.
    """

    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, size_bytes: int, mtime_ns: int) -> "Stamp":
        """The stamp of a file as the system gives it; never STALE."""
        return cls(size_bytes, min(max(mtime_ns, STALE + 1), -STALE - 1))


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file is as it was when it was last looked at."""

    record: FileRecord


@dataclass(frozen=True, slots=True)
class Refused:
    """The file is not read; without a stamp it is looked at anew in each run.

    `forgets`: what was indexed of it before came from where the user did not point, and does not stay.
    """

    state: FileState
    reason: str
    stamp: Stamp | None = None
    forgets: bool = False


@dataclass(frozen=True, slots=True)
class SameContent:
    """The file is a copy of one whose document is there, or was touched only."""

    incoming: Incoming
    document_id: int


@dataclass(frozen=True, slots=True)
class Twin:
    """The file has the content of one that is being read now: it must wait for that one."""


Decision = Incoming | Unchanged | Refused | SameContent | Twin


class Intake:
    """Decides over the candidates of a walk, by what the store knew when the run began."""

    def __init__(
        self, store: Store, walk: Walk, to_stored: Callable[[Path], str], limits: LoadLimits, retry_failed: bool
    ) -> None:
        self._store = store
        self._to_stored = to_stored
        self._bounds = walk.bounds
        self._limits = limits
        self._retry_failed = retry_failed
        self.known = {record.path: record for record in store.files()}
        self._mtimes = store.mtimes()
        self._seen = {to_stored(candidate.path) for candidate in walk.candidates}
        self._home = printable(str(store.folder.absolute().parent))
        self._roots = [PurePosixPath(printable(str(folder))) for folder in walk.folders]
        self._unsearched = [PurePosixPath(printable(str(folder))) for folder in walk.unsearched]
        self._reading: set[tuple[str, str]] = set()
        self._refused: dict[tuple[str, str], Refused] = {}

    def gone(self) -> list[FileRecord]:
        """Known files below the walked folders that the walk did not find."""
        return [record for path, record in self.known.items() if path not in self._seen and self._is_walked(path)]

    def read(self, incoming: Incoming) -> None:
        """The content has been read and committed, so that later files with it need not wait."""
        self._reading.discard(_as_read(incoming))

    def refuse(self, incoming: Incoming, state: FileState, reason: str) -> Refused:
        """The content cannot be read; a copy with the same suffix is not tried in this run."""
        refused = Refused(state, reason, Stamp(incoming.size_bytes, incoming.mtime_ns))
        self._refused[_as_read(incoming)] = refused
        return refused

    def decide(self, candidate: Candidate) -> Decision:
        """What to do with a candidate. Opens it only where size or modification time have changed.

        Where it must be read, its source is left open.
        """
        if candidate.skip:
            return Refused(FileState.SKIPPED, candidate.skip, forgets=candidate.outside)
        stored = self._to_stored(candidate.path)
        before = self.known.get(stored)
        try:
            stamp = _stamp(candidate)
            if before is not None and self._is_settled(before, stamp):
                return Unchanged(before)
            if reason := too_large(stamp.size_bytes, self._limits):
                return Refused(FileState.FAILED, reason)  # without a stamp: another limit may let it in
            source = open_source(candidate.path, self._bounds)
        except OutsideError as error:
            return Refused(FileState.SKIPPED, str(error), forgets=True)
        except OSError as error:
            return Refused(FileState.FAILED, f"cannot be opened: {error.strerror or error}")
        decision: Decision | None = None
        try:
            decision = self._decide_opened(candidate, stamp, source, before)
        except OSError as error:
            decision = Refused(FileState.FAILED, f"cannot be read: {error.strerror or error}")
        finally:
            if not isinstance(decision, Incoming):
                source.close()
        return decision

    def _decide_opened(self, candidate: Candidate, stamp: Stamp, source: Source, before: FileRecord | None) -> Decision:
        if reason := too_large(source.size_bytes, self._limits):
            return Refused(FileState.FAILED, reason)
        stored = self._to_stored(candidate.path)
        replaces = before.document_id if before else None
        incoming = Incoming(candidate.name, stored, source.sha256(), stamp.size_bytes, stamp.mtime_ns, replaces)
        if _as_read(incoming) in self._reading:
            return Twin()
        if (known := self._refused.get(_as_read(incoming))) is not None:
            return Refused(known.state, known.reason, stamp)
        if (document_id := self._same_content(incoming)) is not None:
            return SameContent(incoming, document_id)
        self._reading.add(_as_read(incoming))
        return replace(incoming, source=source)

    def _is_settled(self, before: FileRecord, stamp: Stamp) -> bool:
        if before.state is FileState.FAILED and self._retry_failed:
            return False
        return stamp == Stamp(before.size_bytes, self._mtimes[before.path])

    def _same_content(self, incoming: Incoming) -> int | None:
        """The document that holds this content and stays where it is.

        None too for a file that was moved: its document is made anew, because a chunk's context names its folder.
        """
        suffix = _suffix(incoming.stored_path)
        for document in self._store.documents_with_hash(incoming.sha256):
            if _suffix(document.path) != suffix:
                continue  # it may have been read as another kind
            if document.path == incoming.stored_path:
                if self._mtimes.get(document.path) != STALE:
                    return document.id
            elif document.path in self._seen or not self._is_walked(document.path):
                return document.id
        return None

    def _is_walked(self, stored_path: str) -> bool:
        path = PurePosixPath(self._home, stored_path)
        searched = any(path.is_relative_to(root) for root in self._roots)
        return searched and not any(path.is_relative_to(folder) for folder in self._unsearched)


def _as_read(incoming: Incoming) -> tuple[str, str]:
    """What a loader is chosen by: content, and suffix where that cannot tell."""
    return incoming.sha256, _suffix(incoming.stored_path)


def _suffix(stored_path: str) -> str:
    return PurePosixPath(stored_path).suffix.lower()


def _stamp(candidate: Candidate) -> Stamp:
    if candidate.size_bytes is not None and candidate.mtime_ns is not None:
        return Stamp.of(candidate.size_bytes, candidate.mtime_ns)
    status = candidate.path.stat()
    check_regular(status)
    return Stamp.of(status.st_size, status.st_mtime_ns)
