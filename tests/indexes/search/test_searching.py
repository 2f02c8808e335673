"""One state of a collection as ranking sees it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexes.encoders.embedding import HashEncoder
from indexes.search.retrieval import Origin
from indexes.search.searching import CollectionSearch
from indexes.search.view import open_view
from indexes.segments.compaction import Compaction
from indexes.storage.store import Store
from tests.support.stores import new_store, put_document, texts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    put_document(made, "a.txt", texts(6, "cells"))
    Compaction(made).settle()
    put_document(made, "b.txt", texts(3, "zeppelin"))
    yield made
    made.close()


@pytest.fixture
def search(store: Store) -> CollectionSearch:
    return CollectionSearch(store, open_view(store, last_try=False), HashEncoder())


def test_both_indexes_are_read_to_the_depth_that_is_asked(search: CollectionSearch) -> None:
    assert [item.chunk_id for item in search.lexical({"zeppelin": 1.0}, 2)] == [7, 8]
    vector = search.encode_query("b.txt " + texts(3, "zeppelin")[1])
    assert [item.chunk_id for item in search.dense(vector, 1)] == [8]
    assert len(search.dense(vector, 100)) == 9


def test_vectors_origins_and_texts_are_those_of_the_chunks(search: CollectionSearch, store: Store) -> None:
    vectors = search.vectors([8, 1])
    wanted = HashEncoder().encode([f"b.txt\n{texts(3, 'zeppelin')[1]}", f"a.txt\n{texts(1)[0]}"])
    np.testing.assert_allclose(vectors, wanted, rtol=2**-11)
    origins = search.origins([8, 1, 99])
    assert set(origins) == {8, 1}
    assert origins[8] == Origin(store.document_of("b.txt") or 0, "b.txt")
    assert search.text(8) == texts(3, "zeppelin")[1]
    assert search.documents([1, 2, 1]) == store.documents_of([1, 2])


def test_nothing_asked_gives_nothing(search: CollectionSearch) -> None:
    assert len(search.vectors([])) == 0
    assert len(search.origins([])) == 0
