"""Loaded documents → rows of the database: chunked, embedded once per content, committed in portions."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..documents import FileRecord, FileState, IndexReport, LoadedDocument
from ..encoders.embedding import Encoder
from ..files.sources import Source
from ..storage.store import NewChunk, Store
from ..storage.vector_table import content_key
from ..text.chunking import ChunkSizes, Span, chunk, document_name
from ..text.tokens import embedding_text

BATCH_CHUNKS = 512  # so many chunks wait before they are embedded together; a killed run loads their files again
_VECTORS_AT_ONCE = 256  # embedded and committed together; a killed run embeds at most so many again


@dataclass(slots=True)
class IndexProgress:
    """Where a run stands; handed to the caller's callback after each step. `stage` is work on the whole index."""

    files_total: int
    files_done: int = 0
    pages_done: int = 0
    chunks_found: int = 0
    chunks_done: int = 0
    current: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file to be read: where it is, what its record will say, the document that it replaces, and the opened file.

    `source` is None where its content is in the store already; whoever reads it closes it.
    """

    name: str
    stored_path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    replaces: int | None
    source: Source | None = field(default=None, compare=False)

    def record(self, document_id: int) -> FileRecord:
        """The record of the file once it is indexed."""
        return FileRecord(self.stored_path, self.name, FileState.INDEXED, "", self.sha256, self.size_bytes, document_id)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A document that was chunked and waits for its vectors."""

    file: Incoming
    loaded: LoadedDocument
    spans: list[Span]

    def texts(self) -> list[str]:
        return [self.loaded.text[span.start : span.end] for span in self.spans]


@dataclass(slots=True)
class Ingest:
    """Takes loaded documents and commits them. `flush` must be called at the end."""

    store: Store
    encoder: Encoder | None
    sizes: ChunkSizes
    report: IndexReport
    progress: IndexProgress
    on_progress: Callable[[IndexProgress], None]
    _waiting: list[_Waiting] = field(default_factory=list)
    _prepared: bool = False

    def take(self, file: Incoming, loaded: LoadedDocument) -> None:
        """Chunks a document and commits what waits once it is enough."""
        spans = [_named(span, file.name, loaded.title) for span in chunk(loaded, self.sizes)]
        self._waiting.append(_Waiting(file, loaded, spans))
        self.progress.pages_done += len(loaded.pages)
        self.progress.chunks_found += len(spans)
        if sum(len(item.spans) for item in self._waiting) >= BATCH_CHUNKS:
            self.flush()

    def flush(self) -> None:
        """Embeds and commits what is waiting, each document whole or not at all."""
        if not self._waiting:
            return
        done, self._waiting = self._waiting, []
        texts = [item.texts() for item in done]
        wanted = [
            [content_key(embedding_text(span.context, text)) for span, text in zip(item.spans, some, strict=True)]
            for item, some in zip(done, texts, strict=True)
        ]
        rows = self._vector_rows(done, texts, wanted) if self.encoder is not None else {}
        with self.store.transaction():
            for item, some, keys in zip(done, texts, wanted, strict=True):
                self._put(item, some, [rows.get(key) for key in keys])
        if self.encoder is None:
            self._count(sum(map(len, texts)))

    def _vector_rows(self, done: list[_Waiting], texts: list[list[str]], wanted: list[list[bytes]]) -> dict[bytes, int]:
        """Rows of the vectors of all waiting chunks; those that no earlier text has are made and committed."""
        assert self.encoder is not None
        keys = [key for some in wanted for key in some]
        known = self.store.vectors.find(keys)
        self._count(sum(key in known for key in keys))
        missing: dict[bytes, str] = {}
        for item, some, their in zip(done, texts, wanted, strict=True):
            for span, text, key in zip(item.spans, some, their, strict=True):
                if key not in known:
                    missing[key] = embedding_text(span.context, text)
        self._count(len(keys) - sum(key in known for key in keys) - len(missing))  # equal texts in this batch
        if missing and not self._prepared:
            self._prepare()
        order = sorted(missing, key=lambda key: len(missing[key]))  # batches of like lengths waste little on padding
        for first in range(0, len(order), _VECTORS_AT_ONCE):
            some_keys = order[first : first + _VECTORS_AT_ONCE]
            vectors = self.encoder.encode([missing[key] for key in some_keys], self._count)
            with self.store.transaction():
                self.store.vectors.add(dict(zip(some_keys, vectors, strict=True)))
        return self.store.vectors.find(keys)

    def _prepare(self) -> None:
        """Loads the encoder, whose model is converted on its first use on a machine; that takes its time."""
        assert self.encoder is not None
        self.progress.stage = "preparing the embedding model"
        self.on_progress(self.progress)
        _ = self.encoder.dimension
        self.progress.stage, self._prepared = "", True

    def _put(self, item: _Waiting, texts: list[str], vector_ids: list[int | None]) -> None:
        file = item.file
        document_id = self.store.add_document(file.stored_path, file.name, file.sha256, item.loaded)
        self.store.add_chunks(document_id, map(NewChunk, item.spans, texts, vector_ids))
        self.store.put_file(file.record(document_id), file.mtime_ns)
        names = self.report.added if file.replaces is None else self.report.updated
        names.append(file.name)
        if item.loaded.notes:
            self.report.notes[file.name] = list(item.loaded.notes)

    def _count(self, chunks: int) -> None:
        self.progress.chunks_done += chunks
        self.on_progress(self.progress)


def _named(span: Span, name: str, title: str) -> Span:
    """The span with its document's whole name in its context: folders and file often name the subject."""
    return replace(span, context=document_name(name, title) + span.context.removeprefix(title))
