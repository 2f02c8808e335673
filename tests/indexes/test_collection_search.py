"""Searching a collection: each mode against its own oracle, and one state while others write."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import Chunk, Document, Hit
from indexes.encoders.embedding import HashEncoder, Vectors
from indexes.errors import EncoderError, QueryError
from indexes.search.ranking import MAX_QUERY_CHARACTERS, SearchMode, check_query, rank_documents
from indexes.segments.lexical import RankBM25Index
from indexes.text.tokens import index_terms, terms
from tests.support.files import write
from tests.support.rooms import ONE

HALF_PRECISION = 1e-3  # of a cosine over 64 numbers of 11 binary digits


def _chunks(collection: Collection) -> list[Chunk]:
    return [chunk for document in collection.documents() for chunk in collection.chunks_of(document.id)]


def test_lexical_scores_are_those_of_bm25(collection: Collection) -> None:
    chunks = _chunks(collection)
    index = RankBM25Index([chunk.id for chunk in chunks], [index_terms(c.context, c.text) for c in chunks])
    expected = index.search(dict.fromkeys(terms("price of cells"), 1.0), 10)
    found = collection.search("price of cells", mode=SearchMode.LEXICAL)
    scores = {item.chunk_id: item.score for item in expected}
    assert {hit.chunk.id: hit.lexical_score for hit in found.hits} == pytest.approx(scores)
    assert {hit.dense_rank for hit in found.hits} == {None}


def test_dense_scores_are_those_of_brute_force(collection: Collection) -> None:
    encoder, query = HashEncoder(), "who sells cells"
    scores = {
        chunk.id: float(encoder.encode([f"{chunk.context}\n{chunk.text}"])[0] @ encoder.encode_query(query))
        for chunk in _chunks(collection)
    }
    found = collection.search(query, mode=SearchMode.DENSE)
    assert {hit.chunk.id: hit.dense_score for hit in found.hits} == pytest.approx(scores, abs=HALF_PRECISION)
    assert [hit.chunk.id for hit in found.hits] == sorted(scores, key=lambda i: (-scores[i], i))
    assert {hit.lexical_rank for hit in found.hits} == {None}


def test_a_hybrid_search_finds_what_either_finds_and_says_what_each_said(collection: Collection) -> None:
    query = "cells in Taunton"
    lexical = {hit.chunk.id: hit for hit in collection.search(query, mode=SearchMode.LEXICAL).hits}
    dense = {hit.chunk.id: hit for hit in collection.search(query, mode=SearchMode.DENSE).hits}
    found = collection.search(query)
    assert found.mode is SearchMode.HYBRID
    assert {hit.chunk.id for hit in found.hits} == lexical.keys() | dense.keys()
    for hit in found.hits:
        assert hit.lexical_score == (lexical[hit.chunk.id].lexical_score if hit.chunk.id in lexical else None)
        assert hit.dense_score == dense[hit.chunk.id].dense_score
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)


def test_hits_carry_their_text_and_document(collection: Collection, docs: Path) -> None:
    best = collection.search("Taunton", k=1).hits
    assert len(best) == 1
    assert best[0].document.path == str(docs / "fire.md")
    text = collection.text(best[0].document.id)
    assert best[0].chunk.text == text[best[0].chunk.start : best[0].chunk.end]


def test_more_results_than_there_are_gives_all(collection: Collection) -> None:
    assert len(collection.search("cells", k=1_000_000).hits) == 3
    assert len(collection.search("cells", k=1_000_000, mode=SearchMode.LEXICAL).hits) == 2


def test_a_collection_of_one_chunk_can_be_searched_by_words(tmp_path: Path) -> None:
    write(tmp_path, {"only.md": "Cells cost 68 euros."})
    single = Collection.open_or_create(tmp_path / ".fathom", "none")
    single.add([tmp_path / "only.md"], ONE)
    assert [hit.document.name for hit in single.search("cells").hits] == ["only.md"]
    single.close()


def test_an_empty_collection_finds_nothing(tmp_path: Path) -> None:
    empty = Collection.open_or_create(tmp_path / ".fathom", "hash")
    for mode in SearchMode:
        assert empty.search("cells", mode=mode).hits == ()
    empty.close()


@pytest.mark.parametrize("query", ["", " \n\t"])
def test_an_empty_query_is_refused(collection: Collection, query: str) -> None:
    with pytest.raises(QueryError, match=r"^the question is empty$"):
        collection.search(query)


@pytest.mark.parametrize("query", ["?", "… — !?", "\x00"])
def test_a_query_without_a_word_is_refused(collection: Collection, query: str) -> None:
    with pytest.raises(QueryError, match="holds no word"):
        collection.search(query)


def test_a_query_over_the_limit_is_refused_and_one_at_it_is_not(collection: Collection) -> None:
    with pytest.raises(QueryError, match=r"^the question has 50,000 characters; at most 4,000 are taken$"):
        collection.search("x" * 50_000)
    check_query("x" * MAX_QUERY_CHARACTERS)
    assert len(collection.search("cells " * (MAX_QUERY_CHARACTERS // 6)).hits) == 3


@pytest.mark.parametrize("query", ["of the and", "' OR 1=1; --", "\udce9 cells", "🌊 a\x00b", 'NEAR(a*) "', "漢字"])
@pytest.mark.parametrize("mode", list(SearchMode))
def test_odd_queries_are_searched(collection: Collection, query: str, mode: SearchMode) -> None:
    assert len(collection.search(query, mode=mode).hits) <= 3


@pytest.mark.parametrize("k", [0, -1])
def test_no_results_asked_is_refused(collection: Collection, k: int) -> None:
    with pytest.raises(QueryError, match=rf"^k must be at least 1, got {k}$"):
        collection.search("cells", k)


@pytest.mark.parametrize("mode", [SearchMode.DENSE, SearchMode.HYBRID])
def test_a_mode_that_needs_vectors_is_refused_without_them(tmp_path: Path, docs: Path, mode: SearchMode) -> None:
    plain = Collection.open_or_create(tmp_path / "plain", "none")
    plain.add([docs], ONE)
    assert plain.default_mode() is SearchMode.LEXICAL
    with pytest.raises(EncoderError, match="was indexed without vectors") as caught:
        plain.search("cells", mode=mode)
    assert "--mode lexical" in caught.value.hint
    plain.close()


def test_documents_rank_by_their_best_three_chunks() -> None:
    def hit(document_id: int, chunk_id: int, score: float) -> Hit:
        document = Document(document_id, "p", "n", "t", "text", "", 1, 0)
        return Hit(Chunk(chunk_id, document_id, 0, 0, 1, "x", "", ""), document, score)

    # 1: 0.8 + 0.5/2 + 0.4/4 = 1.15, its fourth not counted;  2: 1.0;  3: 0.75 + 0.5/2 = 1.0, after 2 in the hits
    rows = [(2, 1, 1.0), (1, 2, 0.8), (3, 3, 0.75), (1, 4, 0.5), (3, 5, 0.5), (1, 6, 0.4), (1, 7, 0.3)]
    ranked = rank_documents([hit(*row) for row in rows])
    assert [(item.document.id, item.score) for item in ranked] == [(1, pytest.approx(1.15)), (2, 1.0), (3, 1.0)]
    assert [item.chunk.id for item in ranked[0].hits] == [2, 4, 6, 7]
    assert rank_documents([]) == ()


# While others write


def test_a_search_sees_what_another_connection_has_written(collection: Collection, docs: Path) -> None:
    assert not collection.search("zeppelin", mode=SearchMode.LEXICAL).hits
    other = Collection.open(collection.folder)
    (docs / "cells.md").unlink()
    write(docs, {"zeppelin.md": "A zeppelin came by."})
    other.add([docs], ONE)
    other.close()
    for mode in SearchMode:
        names = [hit.document.name for hit in collection.search("zeppelin", mode=mode).hits]
        assert names[0] == "zeppelin.md"
        assert "cells.md" not in names


class _Interrupting(HashEncoder):
    """Runs something while a query is encoded, between the lexical and the dense search."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        self._meanwhile()
        return super().encode(texts, progress)


def test_a_search_sees_one_state_while_the_collection_changes(collection: Collection, docs: Path) -> None:
    expected = collection.search("cells")
    calls: list[int] = []

    def rewrite() -> None:
        calls.append(1)
        if len(calls) == 1:
            (docs / "cells.md").unlink()
            write(docs, {"cells2.md": "Cells, cells and more cells."})
            other = Collection.open(collection.folder)
            other.add([docs], ONE)
            other.close()

    reading = Collection.open(collection.folder, lambda _: _Interrupting(rewrite))
    assert reading.search("cells") == expected
    assert {hit.document.name for hit in reading.search("cells").hits} == {"sub/board.md", "cells2.md", "fire.md"}
    reading.close()


def test_a_search_by_words_opens_no_vectors_and_one_by_meaning_does(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = collection.search("cells", mode=SearchMode.LEXICAL)
    by_meaning = collection.search("cells", mode=SearchMode.DENSE)
    reading = Collection.open(collection.folder)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "faiss", None)
        assert reading.search("cells", mode=SearchMode.LEXICAL) == expected
        with pytest.raises(ImportError):
            reading.search("cells", mode=SearchMode.DENSE)
    assert reading.search("cells", mode=SearchMode.DENSE) == by_meaning
    assert reading.search("cells", mode=SearchMode.LEXICAL) == expected
    reading.close()
