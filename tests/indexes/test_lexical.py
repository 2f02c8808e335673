"""BM25 against its formula, written out here."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.lexical import RankBM25Index

K1, B = 1.5, 0.75
_CORPUS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8).map(lambda t: [f"q{x}" for x in t]), min_size=1)


def bm25(query: list[str], corpus: list[list[str]]) -> list[float]:
    """Σ over query terms of ln(1 + (N−n+½)/(n+½)) · f(k1+1) / (f + k1(1 − b + b·|d|/avg)), one score a document."""
    average = sum(map(len, corpus)) / len(corpus)
    scores = []
    for document in corpus:
        score = 0.0
        for term in query:
            n = sum(term in other for other in corpus)
            f = document.count(term)
            if f:
                idf = math.log(1 + (len(corpus) - n + 0.5) / (n + 0.5))
                score += idf * f * (K1 + 1) / (f + K1 * (1 - B + B * len(document) / average))
        scores.append(score)
    return scores


@settings(deadline=None)
@given(
    _CORPUS, st.lists(st.sampled_from("abcdefgh").map(lambda x: f"q{x}"), min_size=1, max_size=5), st.integers(1, 40)
)
def test_scores_and_order_follow_the_formula(corpus: list[list[str]], query: list[str], k: int) -> None:
    found = RankBM25Index(range(100, 100 + len(corpus)), corpus).search(" ".join(query), k)
    oracle = bm25(query, corpus)
    sharing = [i for i, document in enumerate(corpus) if set(document) & set(query)]
    assert len(found) == min(k, len(sharing))
    assert [item.score for item in found] == pytest.approx(sorted((oracle[i] for i in sharing), reverse=True)[:k])
    for item in found:
        assert item.score == pytest.approx(oracle[item.chunk_id - 100])


def test_one_score_by_hand() -> None:
    # N = 3, n = 1: idf = ln(1 + 2.5/1.5) = 0.98083. f = 2, |d| = 4, avg = 8/3:
    # 2 · 2.5 / (2 + 1.5 · (0.25 + 0.75 · 1.5)) = 5 / 4.0625 = 1.230769
    corpus = [["cell", "cell", "price", "gap"], ["price", "gap"], ["gap", "fire"]]
    found = RankBM25Index([7, 8, 9], corpus).search("cell", 5)
    assert [item.chunk_id for item in found] == [7]
    assert found[0].score == pytest.approx(0.98083 * 1.230769, rel=1e-5)


def test_equal_scores_keep_corpus_order() -> None:
    index = RankBM25Index([5, 3, 9], [["cell", "x"], ["cell", "y"], ["cell", "z"]])
    assert [item.chunk_id for item in index.search("cell", 3)] == [5, 3, 9]
    assert [item.chunk_id for item in index.search("cell", 2)] == [5, 3]


@pytest.mark.parametrize("corpus", [[["cell"]], [["cell"], ["fire"]], [["cell"]] * 4])
def test_a_small_collection_finds_a_term_that_most_of_it_holds(corpus: list[list[str]]) -> None:
    found = RankBM25Index(range(len(corpus)), corpus).search("cells", 10)
    assert [item.chunk_id for item in found] == [i for i, document in enumerate(corpus) if "cell" in document]
    assert all(item.score > 0 for item in found)


@pytest.mark.parametrize("query", ["", "?", "the of and", "unheard", "x" * 50_000])
def test_a_query_without_a_known_term_finds_nothing(query: str) -> None:
    assert RankBM25Index([1], [["cell"]]).search(query, 5) == []


@pytest.mark.parametrize("k", [0, -1])
def test_no_results_asked_gives_none(k: int) -> None:
    assert RankBM25Index([1], [["cell"]]).search("cell", k) == []


@pytest.mark.parametrize("corpus", [[], [[]], [[], []]])
def test_an_empty_corpus_finds_nothing(corpus: list[list[str]]) -> None:
    assert RankBM25Index(range(len(corpus)), corpus).search("cell", 5) == []


def test_ids_and_token_lists_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 chunk ids for 1 token lists"):
        RankBM25Index([1, 2], [["cell"]])
