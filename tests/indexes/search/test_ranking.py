"""Queries that are refused, and documents ranked by their chunks."""

import pytest

from indexes.documents import Chunk, Document, Hit
from indexes.errors import QueryError
from indexes.search.ranking import MAX_QUERY_CHARACTERS, check_query, rank_documents


def _hit(chunk: int, document: int, score: float) -> Hit:
    place = Document(document, f"/{document}", f"{document}", "T", "text", "", 10, 0)
    return Hit(Chunk(chunk, document, 0, 0, 1, "x", "", "T"), place, score)


def test_a_document_scores_its_best_chunk_half_the_second_and_a_quarter_of_the_third() -> None:
    # 1: 0.8 + 0.4/2 + 0.4/4 = 1.1 (the fourth counts nothing);  2: 1.0
    hits = [_hit(1, 2, 1.0), _hit(2, 1, 0.8), _hit(3, 1, 0.4), _hit(4, 1, 0.4), _hit(5, 1, 0.4)]
    found = rank_documents(hits)
    assert [(item.document.id, round(item.score, 9)) for item in found] == [(1, 1.1), (2, 1.0)]
    assert [len(item.hits) for item in found] == [4, 1]


def test_equal_documents_keep_the_order_of_their_hits() -> None:
    assert [item.document.id for item in rank_documents([_hit(1, 7, 0.5), _hit(2, 3, 0.5)])] == [7, 3]
    assert rank_documents([]) == ()


@pytest.mark.parametrize("query", ["", " \n", "?!", "x" * (MAX_QUERY_CHARACTERS + 1)])
def test_a_query_without_a_word_or_without_end_is_refused_with_a_next_step(query: str) -> None:
    with pytest.raises(QueryError) as caught:
        check_query(query)
    assert caught.value.hint


def test_a_query_at_the_limit_is_taken() -> None:
    check_query("x" * MAX_QUERY_CHARACTERS)
