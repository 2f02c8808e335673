"""Generated documents into a collection, through the code that an indexing run uses, timed by phase."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evals.bench.scale.vectors import DIMENSION, chunk_vectors, query_vectors
from evals.datasets.generated import DOCUMENT_CHUNKS, GeneratedDocument, blocks, documents, queries
from indexes.documents import IndexReport
from indexes.encoders.embedding import Vectors
from indexes.ingest.writer import Incoming, IndexProgress, Ingest
from indexes.segments.compaction import SEGMENT_CHUNKS, Compaction
from indexes.storage.store import Store
from indexes.text.chunking import ChunkSizes

EMBEDDING = "generated"
FOLDER = ".fathom"


@dataclass(slots=True)
class PhaseClock:
    """Seconds by phase, and those of the processor, of all threads together."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Adds the block's time to a phase."""
        started, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started
            self.cpu_seconds[phase] = self.cpu_seconds.get(phase, 0.0) + time.process_time() - cpu


class KnownVectors:
    """An encoder that was told the vectors of texts before; `seconds` is the time that it took to look them up."""

    name = fingerprint = EMBEDDING
    dimension = DIMENSION

    def __init__(self) -> None:
        self._known: dict[str, Vectors] = {}
        self.seconds = 0.0

    def expect(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Remembers the vectors [n, d] of texts until they are asked for."""
        self._known.update(zip(texts, vectors, strict=True))

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """Vectors of chunks that are whole paragraphs. Raises KeyError for any other text."""
        started = time.perf_counter()
        vectors = np.stack([self._known.pop(text.partition("\n")[2].strip()) for text in texts])
        if progress:
            progress(len(texts))
        self.seconds += time.perf_counter() - started
        return vectors

    def encode_query(self, text: str) -> Vectors:
        """Questions have an encoder of their own. Always raises KeyError."""
        raise KeyError(text)


def build_collection(folder: Path, start: int, chunks: int, seed: int) -> dict[str, Any]:
    """Puts the generated chunks from number `start` up to `chunks` into the collection of a folder, new or not.

    Generating texts and vectors is not in the times.
    """
    clock, encoder = PhaseClock(), KnownVectors()
    place = folder / FOLDER
    store = Store.open(place) if start else Store.create(place, EMBEDDING)
    ingest = Ingest(store, encoder, ChunkSizes(), IndexReport(), IndexProgress(0), lambda _: None)
    compaction = Compaction(store)
    first, last = start // DOCUMENT_CHUNKS, chunks // DOCUMENT_CHUNKS
    for some in blocks(last, seed, first):
        vectors = chunk_vectors(some, seed)
        for at, document in enumerate(documents(some, seed)):
            if not first <= document.number < last:
                continue
            encoder.expect(document.paragraphs, vectors[at * DOCUMENT_CHUNKS : (at + 1) * DOCUMENT_CHUNKS])
            incoming, loaded = _incoming(document), document.loaded()
            with clock("ingest"):
                ingest.take(incoming, loaded)
            if compaction.uncovered() >= SEGMENT_CHUNKS:
                with clock("cover"):
                    compaction.cover()
                with clock("join"):
                    compaction.join_equals()
    with clock("ingest"):
        ingest.flush()
    with clock("settle"):
        compaction.settle()
    held, segments = store.chunk_count(), len(store.segments.all())
    with clock("close"):
        store.close()
    clock.seconds["ingest"] -= encoder.seconds
    if held != chunks:
        raise RuntimeError(f"the collection {place} holds {held:,} chunks, expected {chunks:,}")
    total = sum(clock.seconds.values())
    return {
        "chunks": chunks - start,
        "seconds": {phase: round(seconds, 3) for phase, seconds in clock.seconds.items()},
        "cpu_seconds": {phase: round(seconds, 3) for phase, seconds in clock.cpu_seconds.items()},
        "chunks_per_s": round((chunks - start) / total, 1),
        "segments": segments,
        "bytes": sizes(place),
    }


def sizes(collection: Path) -> dict[str, int]:
    """Bytes on the disk by part: the database, the lexical and the dense index files."""
    parts = {"database": 0, "lexical": 0, "dense": 0}
    for path in collection.rglob("*"):
        if path.is_file():
            index = "dense" if path.stem.startswith(("vectors", "codes")) else "lexical"
            parts["database" if path.parent == collection else index] += path.stat().st_size
    return parts


def write_questions(folder: Path, chunks: int, count: int, seed: int) -> None:
    """Questions about the first chunks, and their vectors."""
    asked = queries(count, chunks // DOCUMENT_CHUNKS, seed)
    (folder / "questions.json").write_text(json.dumps([query.text for query in asked]), encoding="utf-8")
    np.save(folder / "questions.npy", query_vectors(asked, seed), allow_pickle=False)


def _incoming(document: GeneratedDocument) -> Incoming:
    return Incoming(document.name, document.name, document.sha256, len(document.text), document.number + 1, None)
