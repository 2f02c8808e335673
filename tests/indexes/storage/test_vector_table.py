"""Vectors by content: found again, kept in half precision, streamed by chunk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexes.encoders.embedding import HashEncoder
from indexes.storage.store import Store
from indexes.storage.vector_table import content_key
from tests.support.stores import drop_document, new_store, put_document, texts, vectors_of_chunks

HALF_PRECISION = 2**-11  # relative, of a value that is rounded to 11 binary digits


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    yield made
    made.close()


def test_a_key_stands_for_the_text_and_for_nothing_else() -> None:
    assert content_key("cells") == content_key("cells")
    keys = {content_key(text) for text in ("cells", "cells ", "Cells", "", "\ud800", "�")}
    assert (len(keys), {len(key) for key in keys}) == (6, {16})


def test_keys_are_found_whatever_their_number(store: Store) -> None:
    keys = [content_key(str(n)) for n in range(1_203)]
    store.vectors.add({key: np.full(4, n, dtype=np.float32) for n, key in enumerate(keys)})
    found = store.vectors.find([*keys, content_key("unheard")])
    assert set(found) == set(keys)
    assert len(set(found.values())) == 1_203
    assert store.vectors.find([]) == {}


def test_vectors_come_back_in_half_precision_by_chunk(store: Store) -> None:
    some = texts(700)
    document_id = put_document(store, "a.txt", some)
    chunks = store.chunks_of(document_id)
    expected = HashEncoder().encode([f"a.txt\n{text}" for text in some])
    found = vectors_of_chunks(store, [chunk.id for chunk in reversed(chunks)] + [99_999])
    assert set(found) == {chunk.id for chunk in chunks}
    stacked = np.stack([found[chunk.id] for chunk in chunks])
    assert stacked.dtype == np.float32
    np.testing.assert_allclose(stacked, expected, rtol=HALF_PRECISION)
    assert store.vectors.dimension() == 64
    assert store.vectors.chunks_without() == 0


@pytest.mark.parametrize("rows_at_once", [1, 3, 10, 11, 8_192])
def test_blocks_hold_the_vectors_of_a_range_in_order(store: Store, rows_at_once: int) -> None:
    put_document(store, "a.txt", texts(8))
    put_document(store, "b.txt", texts(6, "fire"))
    wanted = vectors_of_chunks(store, range(3, 13))
    blocks = list(store.vectors.between(3, 12, rows_at_once))
    assert all(len(block) == rows_at_once for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks), np.stack([wanted[i] for i in range(3, 13)]))
    assert list(store.vectors.between(100, 200)) == []


def test_a_vector_goes_with_the_last_chunk_that_has_it(store: Store) -> None:
    put_document(store, "a.txt", ["one", "two"])
    key = content_key("a.txt\none")
    put_document(store, "b.txt", ["three"])
    store._db.rows("UPDATE chunks SET vector_id = ? WHERE text = 'three'", (store.vectors.find([key])[key],))
    drop_document(store, "a.txt")
    store.vectors.drop_unused()
    assert set(store.vectors.find([key, content_key("a.txt\ntwo")])) == {key}
    drop_document(store, "b.txt")
    store.vectors.drop_unused()
    assert store.vectors.find([key]) == {}
    assert store.vectors.dimension() is None


def test_chunks_without_a_vector_are_counted_and_left_out(store: Store) -> None:
    put_document(store, "a.txt", ["one", "two"], vectors=False)
    put_document(store, "b.txt", ["three"])
    assert store.vectors.chunks_without() == 2
    assert set(vectors_of_chunks(store, [1, 2, 3])) == {3}
    assert [block.shape for block in store.vectors.between(1, 3)] == [(1, 64)]
