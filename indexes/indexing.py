"""One indexing run: new and changed files in, vanished files out, a failed file a row with its reason."""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .chunking import ChunkSizes, Span, chunk
from .documents import FileRecord, FileState, IndexReport, LoadedDocument
from .embedding import Encoder
from .errors import LoadError, UnsupportedError
from .loaders import LoadLimits, load
from .store import NewChunk, Store
from .tokens import terms
from .walking import Candidate, Walk, printable

BATCH_CHUNKS = 128  # embedded and committed as soon as so many wait; a killed run loses what waits


@dataclass(slots=True)
class IndexProgress:
    """Where a run stands; handed to the caller's callback after each step."""

    files_total: int
    files_done: int = 0
    chunks_found: int = 0
    chunks_done: int = 0
    current: str = ""


@dataclass(slots=True)
class _Pending:
    """A file that was loaded and chunked and waits for its vectors."""

    candidate: Candidate
    stored_path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    loaded: LoadedDocument
    spans: list[Span]
    replaces: int | None


@dataclass(slots=True)
class IndexRun:
    """Reads candidates into a store. `run` may be called once."""

    store: Store
    encoder: Encoder | None
    to_stored: Callable[[Path], str]
    limits: LoadLimits = field(default_factory=LoadLimits)
    sizes: ChunkSizes = field(default_factory=ChunkSizes)
    on_progress: Callable[[IndexProgress], None] = lambda _: None
    report: IndexReport = field(default_factory=IndexReport)
    _pending: list[_Pending] = field(default_factory=list)

    def run(self, walk: Walk) -> IndexReport:
        """Indexes the walk's files and forgets files below its folders that are gone.

        A file whose size and modification time are unchanged is not opened. A file that was indexed and can
        no longer be read keeps its old text and is reported as failed.
        """
        started = time.monotonic()
        known = {record.path: record for record in self.store.files()}
        mtimes = self.store.mtimes()
        progress = IndexProgress(len(walk.candidates))
        for candidate in walk.candidates:
            progress.current = candidate.name
            self.on_progress(progress)
            stored = self.to_stored(candidate.path)
            self._take(candidate, stored, known.get(stored), mtimes.get(stored), progress)
            progress.files_done += 1
            if sum(len(item.spans) for item in self._pending) >= BATCH_CHUNKS:
                self._flush(progress)
        self._flush(progress)
        self._forget(walk, known)
        self.on_progress(progress)
        self.report.chunks = self.store.chunk_count()
        self.report.seconds = time.monotonic() - started
        return self.report

    def _take(
        self,
        candidate: Candidate,
        stored: str,
        before: FileRecord | None,
        mtime_before: int | None,
        progress: IndexProgress,
    ) -> None:
        if candidate.skip:
            self._note(candidate, stored, FileState.SKIPPED, candidate.skip, before)
            return
        try:
            stat = candidate.path.stat()
            if _untouched(stat, before, mtime_before):
                self.report.unchanged.append(candidate.name)
                return
            sha256 = _sha256(candidate.path)
        except OSError as error:
            reason = f"cannot be opened: {error.strerror or error}"
            self._note(candidate, stored, FileState.FAILED, reason, before)
            return
        size, mtime_ns = stat.st_size, stat.st_mtime_ns
        same = self._same_content(sha256, progress)
        if same is not None:
            self._refer(
                candidate,
                stored,
                FileRecord(stored, candidate.name, FileState.INDEXED, "", sha256, size, same),
                mtime_ns,
                before,
            )
            return
        try:
            loaded = load(candidate.path, self.limits)
        except LoadError as error:
            state = FileState.SKIPPED if isinstance(error, UnsupportedError) else FileState.FAILED
            self._note(candidate, stored, state, str(error), before)
            return
        spans = [_in_folder(span, candidate.name) for span in chunk(loaded, self.sizes)]
        progress.chunks_found += len(spans)
        replaces = before.document_id if before else None
        self._pending.append(_Pending(candidate, stored, sha256, size, mtime_ns, loaded, spans, replaces))

    def _same_content(self, sha256: str, progress: IndexProgress) -> int | None:
        """The document that already holds this content, waiting ones included."""
        if any(item.sha256 == sha256 for item in self._pending):
            self._flush(progress)
        return self.store.document_with_hash(sha256)

    def _refer(
        self,
        candidate: Candidate,
        stored: str,
        record: FileRecord,
        mtime_ns: int,
        before: FileRecord | None,
    ) -> None:
        """Points a file at a document that is in the store already: a touched, moved or copied file."""
        with self.store.transaction():
            self.store.put_file(record, mtime_ns)
            if before and before.document_id not in (None, record.document_id):
                self.store.release_document(before.document_id or 0)
        if before and before.sha256 == record.sha256:
            self.report.unchanged.append(candidate.name)
        elif before and before.document_id is not None:
            self.report.updated.append(candidate.name)
        else:
            self.report.added.append(candidate.name)

    def _note(
        self, candidate: Candidate, stored: str, state: FileState, reason: str, before: FileRecord | None
    ) -> None:
        """Records a file that is not indexed; text that was indexed before stays."""
        kept = before.document_id if before else None
        if kept is not None:
            reason += "; the version indexed before is kept"
        size = candidate.path.stat().st_size if candidate.path.is_file() else 0
        record = FileRecord(stored, candidate.name, state, reason, "", size, kept)
        with self.store.transaction():
            self.store.put_file(record, 0)
        target = self.report.failed if state is FileState.FAILED else self.report.skipped
        target[candidate.name] = reason

    def _flush(self, progress: IndexProgress) -> None:
        """Embeds and commits what is waiting."""
        if not self._pending:
            return
        done, self._pending = self._pending, []
        texts = [f"{span.context}\n{item.loaded.text[span.start : span.end]}" for item in done for span in item.spans]

        def count(n: int) -> None:
            progress.chunks_done += n
            self.on_progress(progress)

        vectors = self.encoder.encode(texts, count) if self.encoder else None
        if vectors is None:
            count(len(texts))
        row = 0
        with self.store.transaction():
            for item in done:
                document_id = self.store.add_document(item.stored_path, item.candidate.name, item.sha256, item.loaded)
                new = []
                for span in item.spans:
                    vector = vectors[row] if vectors is not None else None
                    new.append(NewChunk(span, terms(texts[row]), vector))
                    row += 1
                self.store.add_chunks(document_id, new)
                record = FileRecord(
                    item.stored_path,
                    item.candidate.name,
                    FileState.INDEXED,
                    "",
                    item.sha256,
                    item.size_bytes,
                    document_id,
                )
                self.store.put_file(record, item.mtime_ns)
                if item.replaces is not None:
                    self.store.release_document(item.replaces)
                names = self.report.added if item.replaces is None else self.report.updated
                names.append(item.candidate.name)

    def _forget(self, walk: Walk, known: dict[str, FileRecord]) -> None:
        """Removes files that were known below one of the walked folders and are gone."""
        seen = {self.to_stored(candidate.path) for candidate in walk.candidates}
        home = printable(str(self.store.folder.absolute().parent))
        roots = [PurePosixPath(printable(str(folder))) for folder in walk.folders]
        for path, record in known.items():
            if path in seen or not any(PurePosixPath(home, path).is_relative_to(root) for root in roots):
                continue
            with self.store.transaction():
                self.store.remove_file(path)
                if record.document_id is not None:
                    self.store.release_document(record.document_id)
            self.report.removed.append(record.name)


def _untouched(stat: os.stat_result, before: FileRecord | None, mtime_before: int | None) -> bool:
    if before is None or before.state is not FileState.INDEXED:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (before.size_bytes, mtime_before)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _in_folder(span: Span, name: str) -> Span:
    """The span with the folders of its document's name before its context: they often name the subject."""
    folders = PurePosixPath(name).parts[:-1]
    return replace(span, context=" › ".join([*folders, span.context]))
