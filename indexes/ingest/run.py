"""One indexing run: new and changed files in, vanished files out, a file that cannot be read a row with its reason."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..documents import FileRecord, FileState, IndexReport
from ..encoders.embedding import Encoder
from ..files.sources import Source
from ..loaders.limits import LoadLimits
from ..sandbox.pool import LoaderPool, Outcome
from ..segments.compaction import SEGMENT_CHUNKS, Compaction
from ..storage.store import STALE, Store
from ..text.chunking import ChunkSizes
from ..text.printable import printable
from .changes import Intake, Refused, SameContent, Twin, Unchanged
from .discovery import Candidate, Walk
from .writer import Incoming, IndexProgress, Ingest


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How files are read and cut.

    `retry_failed`: files that failed before are tried again though unchanged. `follow_links`: links to files that
    the user did not give are read.
    """

    limits: LoadLimits = field(default_factory=LoadLimits)
    sizes: ChunkSizes = field(default_factory=ChunkSizes)
    processes: int | None = None
    retry_failed: bool = False
    follow_links: bool = False


class IndexRun:
    """Reads candidates into a store. `run` may be called once; its caller holds the write lock."""

    def __init__(
        self,
        store: Store,
        encoder: Encoder | None,
        to_stored: Callable[[Path], str],
        settings: RunSettings,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._to_stored = to_stored
        self._settings = settings
        self._on_progress = on_progress
        self.report = IndexReport()
        self._progress = IndexProgress(0)
        self._ingest = Ingest(store, encoder, settings.sizes, self.report, self._progress, on_progress)
        self._compaction = Compaction(store, self._stage)

    def run(self, walk: Walk) -> IndexReport:
        """Indexes the walk's files and forgets files below its folders that are gone.

        A file whose size and modification time are unchanged is not opened. A file that was indexed and can
        no longer be read keeps its old text and is reported as failed. On KeyboardInterrupt the run stops, keeps
        what is committed and returns a report that says so.
        """
        started = time.monotonic()
        self._compaction.clear()
        self._progress.files_total = len(walk.candidates)
        try:
            with LoaderPool(self._settings.limits, self._settings.processes) as pool:
                self.report.limited = pool.limited
                intake = self._intake(walk)
                self._read(pool, intake, walk.candidates)
                for record in intake.gone():
                    self.report.removed.append(record.name)
                    forget(self._store, record)
                self._renew(pool, walk)
                if walk.folders:
                    self._drop_shipped()
                if pool.confinement is not None:
                    self.report.confined = bool(pool.confinement.landlock)
                    self.report.confinement = str(pool.confinement)
            self._stage("writing the index")
            if self.report.updated or self.report.removed:
                with self._store.transaction():
                    self._store.vectors.drop_unused()
            self._compaction.settle()
        except KeyboardInterrupt:
            self.report.interrupted = True
            self._compaction.cover()
        self._stage("")
        self.report.chunks = self._store.chunk_count()
        self.report.seconds = time.monotonic() - started
        return self.report

    def _intake(self, walk: Walk) -> Intake:
        return Intake(self._store, walk, self._to_stored, self._settings.limits, self._settings.retry_failed)

    def _stage(self, text: str) -> None:
        self._progress.stage = text
        self._on_progress(self._progress)

    def _read(self, pool: LoaderPool, intake: Intake, candidates: Iterable[Candidate]) -> None:
        """Takes candidates; those with the content of one that is being read wait until that is done."""
        waiting = list(candidates)
        while waiting:
            jobs: deque[tuple[Candidate, Incoming]] = deque()
            twins: list[Candidate] = []
            read: list[Incoming] = []
            for outcome in pool.load(self._jobs(intake, waiting, jobs, twins)):
                candidate, incoming = jobs.popleft()
                read.append(incoming)
                self._take(intake, candidate, incoming, outcome)
                if self._compaction.uncovered() >= SEGMENT_CHUNKS:
                    self._compaction.cover()
                    self._compaction.join_equals()
            self._ingest.flush()
            for incoming in read:
                intake.read(incoming)
            waiting = twins

    def _renew(self, pool: LoaderPool, walk: Walk) -> None:
        """Makes documents anew that their file has left to a copy elsewhere; the copy is reported as updated."""
        stale = self._store.stale()
        again = [candidate for candidate in walk.candidates if self._to_stored(candidate.path) in stale]
        if not again:
            return
        for candidate in again:
            for names in (self.report.added, self.report.updated, self.report.unchanged):
                if candidate.name in names:
                    names.remove(candidate.name)
                    break
        self._progress.files_total += len(again)
        self._read(pool, self._intake(walk), again)

    def _drop_shipped(self) -> None:
        """Forgets what came with a collection that was accepted, and lies where this run did not look: nobody knows
        whether there is such a file."""
        for record in self._store.shipped():
            self.report.removed.append(record.name)
            forget(self._store, record)

    def _jobs(
        self,
        intake: Intake,
        candidates: Iterable[Candidate],
        jobs: deque[tuple[Candidate, Incoming]],
        twins: list[Candidate],
    ) -> Iterator[Source]:
        """The files that must be read, opened, each appended to `jobs` too. All others are dealt with here."""
        for candidate in candidates:
            self._progress.current = candidate.name
            match intake.decide(candidate):
                case Incoming(source=Source() as source) as incoming:
                    jobs.append((candidate, incoming))
                    yield source
                    continue
                case Twin():
                    twins.append(candidate)
                    continue
                case Unchanged(record):
                    self._unchanged(candidate, record)
                case Refused() as refused:
                    self._note(candidate, refused, intake.known.get(self._to_stored(candidate.path)))
                case SameContent(incoming, document_id):
                    self._refer(incoming, document_id, intake.known.get(incoming.stored_path))
            self._advance()

    def _take(self, intake: Intake, candidate: Candidate, incoming: Incoming, outcome: Outcome) -> None:
        self._progress.current = candidate.name
        if outcome.document is None:
            state = FileState.SKIPPED if outcome.unsupported else FileState.FAILED
            refused = intake.refuse(incoming, state, outcome.reason)
            self._note(candidate, refused, intake.known.get(incoming.stored_path))
        else:
            self._ingest.take(incoming, outcome.document)
        self._advance()

    def _advance(self) -> None:
        self._progress.files_done += 1
        self._on_progress(self._progress)

    def _unchanged(self, candidate: Candidate, record: FileRecord) -> None:
        if record.state is FileState.INDEXED:
            self.report.unchanged.append(candidate.name)
        else:
            self._tell(candidate, record.state, record.reason)

    def _tell(self, candidate: Candidate, state: FileState, reason: str) -> None:
        """Puts a reason into the report, under the file's path where another root has its name already."""
        told = self.report.failed if state is FileState.FAILED else self.report.skipped
        told[candidate.name if candidate.name not in told else printable(str(candidate.path))] = reason

    def _refer(self, incoming: Incoming, document_id: int, before: FileRecord | None) -> None:
        """Points a file at a document that is in the store already: a touched or copied file."""
        with self._store.transaction():
            self._store.put_file(incoming.record(document_id), incoming.mtime_ns)
        if before and before.sha256 == incoming.sha256:
            self.report.unchanged.append(incoming.name)
        elif before and before.document_id is not None:
            self.report.updated.append(incoming.name)
        else:
            self.report.added.append(incoming.name)

    def _note(self, candidate: Candidate, refused: Refused, before: FileRecord | None) -> None:
        """Records a file that is not indexed; text that was indexed before stays where it was the user's to give."""
        stored = self._to_stored(candidate.path)
        kept = self._store.own_document_of(stored)
        if refused.forgets and kept is not None:
            self.report.removed.append(candidate.name)
            kept = None
        reason = refused.reason + ("; the version indexed before is kept" if kept is not None else "")
        size, mtime_ns = (refused.stamp.size_bytes, refused.stamp.mtime_ns) if refused.stamp else (0, STALE)
        record = FileRecord(stored, candidate.name, refused.state, reason, "", size, kept)
        if record != before or refused.stamp:
            with self._store.transaction():
                self._store.put_file(record, mtime_ns)
        self._tell(candidate, refused.state, reason)


def forget(store: Store, record: FileRecord) -> None:
    """Takes a file out of a store, and its document unless other files have it."""
    with store.transaction():
        store.remove_file(record.path)
