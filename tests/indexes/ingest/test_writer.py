"""Loaded documents into the database: embedded once per content, committed whole, counted right."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexes.documents import Heading, IndexReport, LoadedDocument, Page
from indexes.encoders.embedding import Vectors
from indexes.ingest.writer import BATCH_CHUNKS, Incoming, IndexProgress, Ingest
from indexes.storage.store import Store
from indexes.text.chunking import ChunkSizes
from tests.support.encoders import CountingEncoder
from tests.support.stores import new_store, vectors_of_chunks

SIZES = ChunkSizes(60, 80, 20)


class Run:
    """An ingest into a store with a counting encoder, and what its progress said."""

    def __init__(self, store: Store, encoder: CountingEncoder | None) -> None:
        self.store, self.encoder = store, encoder
        self.report, self.said = IndexReport(), [(0, 0)]
        self.progress = IndexProgress(0)
        self.ingest = Ingest(store, encoder, SIZES, self.report, self.progress, self._note)

    def _note(self, progress: IndexProgress) -> None:
        self.said.append((progress.chunks_done, progress.chunks_found))

    def take(self, name: str, text: str, **parts: Any) -> None:
        replaces = self.store.document_of(name)
        incoming = Incoming(name, name, f"sha of {text}", len(text), 1, replaces)
        self.ingest.take(incoming, LoadedDocument("text", "Title", text, **parts))

    def texts(self) -> list[str]:
        assert self.encoder is not None
        return self.encoder.texts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    yield made
    made.close()


@pytest.fixture
def run(store: Store) -> Run:
    return Run(store, CountingEncoder())


def _text(word: str, paragraphs: int) -> str:
    return "\n\n".join(f"The {word} paragraph number {n} speaks of cells and of price {n}." for n in range(paragraphs))


def test_a_document_is_stored_whole_with_its_parts(run: Run) -> None:
    text = "# One\n\nFirst words.\n\n# Two\n\nSecond words.\n"
    run.take(
        "a/b/c.txt",
        text,
        pages=(Page(1, 0, 20), Page(2, 20, len(text))),
        headings=(Heading(1, "One", 0), Heading(1, "Two", 22)),
        notes=("page 3 is scanned",),
    )
    run.ingest.flush()
    (document,) = run.store.documents()
    assert run.store.text(document.id) == text
    assert run.store.structure(document.id)[0] == [Page(1, 0, 20), Page(2, 20, len(text))]
    chunks = run.store.chunks_of(document.id)
    assert all(chunk.context.startswith("a › b › ") for chunk in chunks)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert run.report.notes == {"a/b/c.txt": ["page 3 is scanned"]}
    assert run.report.added == ["a/b/c.txt"]
    assert run.progress.pages_done == 2


def test_nothing_is_stored_before_the_flush_and_nothing_twice(run: Run) -> None:
    run.take("a.txt", _text("first", 3))
    assert run.store.documents() == []
    run.ingest.flush()
    run.ingest.flush()
    assert len(run.store.documents()) == 1


def test_a_full_batch_is_committed_at_once(run: Run) -> None:
    run.take("a.txt", _text("first", BATCH_CHUNKS - 1))
    assert run.store.documents() == []
    run.take("b.txt", _text("second", 1))
    assert len(run.store.documents()) == 2
    assert run.progress.chunks_done == run.progress.chunks_found == BATCH_CHUNKS


def test_each_chunk_has_the_vector_of_its_own_text(run: Run) -> None:
    for name in ("a.txt", "b.txt"):
        run.take(name, _text(name, 20))
    run.ingest.flush()
    for document in run.store.documents():
        chunks = run.store.chunks_of(document.id)
        vectors = vectors_of_chunks(run.store, [chunk.id for chunk in chunks])
        wanted = CountingEncoder().encode([f"{chunk.context}\n{chunk.text}" for chunk in chunks])
        np.testing.assert_allclose(np.stack([vectors[chunk.id] for chunk in chunks]), wanted, rtol=2**-11)


def test_equal_texts_are_embedded_once_in_a_batch_and_across_batches(run: Run) -> None:
    for _ in range(2):  # written again while it waited
        run.take("title.txt", _text("same", 10))
    run.ingest.flush()
    run.take("title.txt", _text("same", 10))
    run.ingest.flush()
    assert set(Counter(run.texts()).values()) == {1}
    assert len(run.texts()) == 10
    assert run.store.chunk_count() == 10
    assert run.store.vectors.chunks_without() == 0


def test_only_the_changed_chunks_of_a_changed_file_are_embedded(run: Run) -> None:
    run.take("a.txt", _text("first", 12))
    run.ingest.flush()
    before = len(run.texts())
    run.take("a.txt", _text("first", 12).replace("price 7", "price 77"))
    run.ingest.flush()
    (changed,) = run.texts()[before:]
    assert "price 77" in changed
    assert len(run.store.documents()) == 1
    assert (run.report.added, run.report.updated) == (["a.txt"], ["a.txt"])


def test_texts_are_embedded_in_the_order_of_their_lengths(run: Run) -> None:
    run.take("a.txt", "A short one.\n\n" + "word " * 14 + "\n\n" + _text("other", 5))
    run.ingest.flush()
    lengths = [len(text) for text in run.texts()]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 2


def test_progress_adds_up_and_never_falls(run: Run) -> None:
    for name, word in (("a.txt", "one"), ("b.txt", "one"), ("c.txt", "two")):
        run.take(name, _text(word, 300))
    run.ingest.flush()
    run.take("d.txt", _text("one", 300))
    run.ingest.flush()
    assert run.said == sorted(run.said)
    assert run.said[-1] == (1_200, 1_200)
    assert all(done <= found for done, found in run.said)


def test_without_an_encoder_chunks_have_no_vectors_and_progress_adds_up(store: Store) -> None:
    run = Run(store, None)
    run.take("a.txt", _text("first", 10))
    run.ingest.flush()
    assert (store.vectors.chunks_without(), store.vectors.dimension()) == (10, None)
    assert run.said[-1] == (10, 10)


class _Interrupted(CountingEncoder):
    """Ctrl-C in the middle of the embedding, once."""

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        if self.texts and "stopped" not in self.texts:
            self.texts.append("stopped")
            raise KeyboardInterrupt
        return super().encode(texts, progress)


def test_what_was_embedded_before_an_interruption_is_not_embedded_again(store: Store) -> None:
    encoder = _Interrupted()
    broken = Run(store, encoder)
    broken.take("a.txt", _text("first", BATCH_CHUNKS - 1))
    with pytest.raises(KeyboardInterrupt):
        broken.ingest.flush()
    assert store.documents() == []  # whole or not at all
    embedded = [text for text in encoder.texts if text != "stopped"]
    assert 0 < len(embedded) < BATCH_CHUNKS - 1
    again = Run(store, CountingEncoder())
    again.take("a.txt", _text("first", BATCH_CHUNKS - 1))
    again.ingest.flush()
    assert not set(again.texts()) & set(embedded)
    assert len(again.texts()) + len(embedded) == BATCH_CHUNKS - 1
    assert store.vectors.chunks_without() == 0
