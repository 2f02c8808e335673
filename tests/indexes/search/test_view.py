"""The reader's side: one state of the collection whatever a writer does to the files meanwhile."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.encoders.embedding import HashEncoder
from indexes.errors import CollectionBrokenError
from indexes.search.ranking import SearchMode
from indexes.search.view import IndexView, StaleError, open_view
from indexes.segments.compaction import SEGMENT_CHUNKS, Compaction
from indexes.segments.dense import best
from indexes.segments.lexical import SMALL_CHUNKS, InvertedIndex, RankBM25Index
from indexes.segments.segment import FOLDER
from indexes.storage.store import Store
from tests.support.stores import drop_document, new_store, put_document, texts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    yield made
    made.close()


def _settle(store: Store) -> None:
    Compaction(store).settle()


def _found(view: IndexView, text: str) -> list[tuple[list[int], list[int]]]:
    """What both indexes rank for a text, one pair."""
    lexical = view.lexical.search(dict.fromkeys(text.split(), 1.0), 100)
    dense = best(view.dense, HashEncoder().encode_query(text), 100)
    return [([item.chunk_id for item in lexical], [item.chunk_id for item in dense])]


def test_what_has_no_segment_is_found(store: Store) -> None:
    put_document(store, "a.txt", texts(10, "cell"))
    _settle(store)
    put_document(store, "b.txt", texts(3, "zeppelin"))
    view = open_view(store, last_try=False)
    assert (len(view.lexical), sum(part.chunks for part in view.dense)) == (13, 13)
    assert [item.chunk_id for item in view.lexical.search({"zeppelin": 1.0}, 9)] == [11, 12, 13]
    assert view.generation == store.generation


def test_the_dead_are_not_found(store: Store) -> None:
    put_document(store, "a.txt", texts(10, "cell"))
    put_document(store, "b.txt", texts(2, "zeppelin"))
    _settle(store)
    drop_document(store, "b.txt")
    view = open_view(store, last_try=False)
    assert (len(view.lexical), sum(part.chunks for part in view.dense)) == (10, 10)
    assert view.lexical.search({"zeppelin": 1.0}, 9) == []


def test_small_collections_are_ranked_by_rank_bm25_and_large_ones_by_the_inverted_index(store: Store) -> None:
    put_document(store, "a.txt", texts(SMALL_CHUNKS, "cell"))
    small = open_view(store, last_try=False)
    put_document(store, "b.txt", texts(1, "zeppelin"))
    large = open_view(store, last_try=False)
    assert isinstance(small.lexical, RankBM25Index)
    assert isinstance(large.lexical, InvertedIndex)
    assert [item.chunk_id for item in large.lexical.search({"zeppelin": 1.0}, 9)] == [SMALL_CHUNKS + 1]


def test_a_view_keeps_answering_while_its_files_are_replaced(store: Store) -> None:
    put_document(store, "a.txt", texts(1_100, "cell"))
    _settle(store)
    view = open_view(store, last_try=False)
    before = _found(view, "cell 17 lot 3")
    put_document(store, "b.txt", texts(900, "cell"))
    drop_document(store, "a.txt")
    _settle(store)
    assert _found(view, "cell 17 lot 3") == before
    shutil.rmtree(store.folder / FOLDER)
    assert _found(view, "cell 17 lot 3") == before


def test_a_segment_that_vanished_is_stale_and_on_the_last_try_indexed_in_memory(store: Store) -> None:
    put_document(store, "a.txt", texts(30, "cell"))
    _settle(store)
    expected = _found(open_view(store, last_try=False), "cell 17 lot 3")
    shutil.rmtree(store.folder / FOLDER)
    with pytest.raises(StaleError):
        open_view(store, last_try=False)
    assert _found(open_view(store, last_try=True), "cell 17 lot 3") == expected


def test_a_snapshot_from_before_a_join_is_taken_again(store: Store) -> None:
    """A reader that read the list of segments just before a writer replaced them."""
    put_document(store, "a.txt", texts(10, "cell"))
    _settle(store)
    reader = Store.open(store.folder)
    with reader.snapshot():
        assert len(reader.segments.all()) == 1
        put_document(store, "b.txt", texts(10, "zeppelin"))
        _settle(store)
        with pytest.raises(StaleError):
            open_view(reader, last_try=False)
    with reader.snapshot():
        assert len(open_view(reader, last_try=False).lexical) == 20
    reader.close()


def test_an_open_collection_searches_on_where_every_index_file_is_deleted(store: Store) -> None:
    put_document(store, "a.txt", texts(30, "cell"))
    _settle(store)
    reader = Collection.open(store.folder)
    expected = {mode: [hit.chunk.id for hit in reader.search("cell 17", mode=mode).hits] for mode in SearchMode}
    shutil.rmtree(store.folder / FOLDER)
    for collection in (reader, Collection.open(store.folder)):
        for mode in SearchMode:
            assert [hit.chunk.id for hit in collection.search("cell 17", mode=mode).hits] == expected[mode]
        collection.close()


def test_more_than_a_reader_indexes_in_memory_says_what_to_do(store: Store) -> None:
    put_document(store, "a.txt", ["x"] * (4 * SEGMENT_CHUNKS + 1), vectors=False)
    with pytest.raises(CollectionBrokenError, match=r"index files of .* are missing or damaged") as caught:
        open_view(store, last_try=True)
    assert "run `fathom index` on its documents again" in caught.value.hint
    _settle(store)
    assert len(open_view(store, last_try=False).lexical) == 4 * SEGMENT_CHUNKS + 1


def test_an_empty_collection_has_an_empty_view(store: Store) -> None:
    view = open_view(store, last_try=False)
    assert (len(view.lexical), view.dense, view.lexical.search({"x": 1.0}, 5)) == (0, (), [])
