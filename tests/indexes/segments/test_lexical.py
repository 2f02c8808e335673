"""Both BM25 indexes against the formula written out here, against each other, and against bm25s."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.segments.lexical import InvertedIndex, LexicalIndex, LexicalPart, RankBM25Index, Scored
from indexes.segments.postings import Postings
from indexes.segments.segment import Segment

K1, B = 1.5, 0.75
TOLERANCE = 1e-9  # relative: the same float64 numbers summed in another order
BM25S_TOLERANCE = 1e-5  # relative: bm25s keeps its scores in float32
NONE_DEAD = np.zeros(0, dtype=np.int64)

Corpus = list[list[str]]
_WORDS = [f"q{x}" for x in "abcdef"]
_CORPUS = st.lists(st.lists(st.sampled_from(_WORDS), max_size=8), min_size=1, max_size=40)
_WEIGHTS = st.dictionaries(st.sampled_from([*_WORDS, "qg"]), st.floats(0.01, 10), min_size=1, max_size=5)


def oracle(weights: Mapping[str, float], corpus: Corpus) -> list[float]:
    """Σ weight · ln(1 + (N−n+½)/(n+½)) · f(k1+1) / (f + k1(1 − b + b·|d|/avg)), one score a chunk."""
    average = sum(map(len, corpus)) / len(corpus)
    scores = [0.0] * len(corpus)
    for term, weight in weights.items():
        n = sum(term in other for other in corpus)
        for row, chunk in enumerate(corpus):
            if f := chunk.count(term):
                idf = math.log(1 + (len(corpus) - n + 0.5) / (n + 0.5))
                scores[row] += weight * idf * f * (K1 + 1) / (f + K1 * (1 - B + B * len(chunk) / average))
    return scores


def ones(terms: Sequence[str]) -> dict[str, float]:
    return dict.fromkeys(terms, 1.0)


def inverted(ids: Sequence[int], corpus: Corpus, cuts: Sequence[int] = (), dead: Sequence[int] = ()) -> InvertedIndex:
    """An index in parts that begin at the cuts, some of its chunks dead."""
    edges = [0, *sorted(cuts), len(corpus)]
    gone = np.array(sorted(dead), dtype=np.int64)
    parts = []
    for start, end in itertools.pairwise(edges):
        postings = Postings.build(zip(ids[start:end], corpus[start:end], strict=True))
        parts.append(LexicalPart(postings, Segment.of(postings, None).peaks, gone))
    return InvertedIndex(parts)


def check(found: list[Scored], scores: Mapping[int, float], k: int) -> None:
    """The k best of the scores above 0, best first; order is only told where scores differ by more than rounding."""
    best = sorted((score for score in scores.values() if score > 0), reverse=True)[: max(k, 0)]
    assert [item.score for item in found] == pytest.approx(best, rel=TOLERANCE)
    assert len({item.chunk_id for item in found}) == len(found)
    for item in found:
        assert item.score == pytest.approx(scores[item.chunk_id], rel=TOLERANCE)


@settings(deadline=None)
@given(_CORPUS, _WEIGHTS, st.integers(-1, 50))
def test_rank_bm25_follows_the_formula(corpus: Corpus, weights: dict[str, float], k: int) -> None:
    ids = range(100, 100 + len(corpus))
    scores = dict(zip(ids, oracle(weights, corpus), strict=True))
    check(RankBM25Index(ids, corpus).search(weights, k), scores, k)


@settings(deadline=None, max_examples=300)
@given(_CORPUS, _WEIGHTS, st.integers(-1, 50), st.data())
def test_parts_with_dead_chunks_follow_the_formula_over_the_living(
    corpus: Corpus, weights: dict[str, float], k: int, data: st.DataObject
) -> None:
    ids = range(100, 100 + 2 * len(corpus), 2)
    cuts = data.draw(st.lists(st.integers(0, len(corpus)), max_size=3))
    dead = data.draw(st.sets(st.sampled_from(list(ids))))
    index = inverted(ids, corpus, cuts, sorted(dead))
    living = [(i, chunk) for i, chunk in zip(ids, corpus, strict=True) if i not in dead]
    scores = dict(zip([i for i, _ in living], oracle(weights, [c for _, c in living]), strict=True)) if living else {}
    assert len(index) == len(living)
    check(index.search(weights, k), scores, k)


def _zipf(seed: int, chunks: int, words: int, length: int) -> Corpus:
    """Chunks of a vocabulary in which few words are frequent, as in real text."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, words + 1)
    drawn = rng.choice(words, size=(chunks, length), p=shares / shares.sum())
    lengths = rng.integers(1, length + 1, size=chunks)
    return [[f"w{word}" for word in row[:n]] for row, n in zip(drawn.tolist(), lengths.tolist(), strict=True)]


class _Counts(np.ndarray[Any, Any]):
    """Counts of a term that note when only some of them are looked at."""

    looked_up = 0

    def __getitem__(self, key: Any) -> Any:
        _Counts.looked_up += 1
        return np.asarray(self)[key]


class _Watched(LexicalPart):
    """A part whose counts are watched: a term that is read whole is never indexed into."""

    def find(self, term: str) -> Any:
        found = super().find(term)
        return None if found is None else replace(found, counts=found.counts.view(_Counts))


def _watched(corpus: Corpus, parts: int) -> InvertedIndex:
    size = -(-len(corpus) // parts)
    made = []
    for first in range(0, len(corpus), size):
        some = corpus[first : first + size]
        postings = Postings.build(zip(range(first, first + len(some)), some, strict=True))
        made.append(_Watched(postings, Segment.of(postings, None).peaks, NONE_DEAD))
    return InvertedIndex(made)


@pytest.mark.parametrize(("parts", "k"), [(1, 10), (3, 10), (1, 1), (4, 100)])
def test_frequent_terms_are_only_looked_up_in_chunks_that_rare_ones_found_and_the_result_is_exact(
    parts: int, k: int
) -> None:
    corpus = _zipf(seed=parts, chunks=3_000, words=400, length=60)
    index, rank = _watched(corpus, parts), RankBM25Index(range(len(corpus)), corpus)
    rng = np.random.default_rng(k)
    pruned = 0
    for _ in range(20):
        frequent, rare = rng.choice(12, 3, replace=False), rng.choice(np.arange(100, 400), 2, replace=False)
        weights = {
            f"w{word}": float(weight) for word, weight in zip([*frequent, *rare], rng.uniform(0.5, 2, 5), strict=True)
        }
        before = _Counts.looked_up
        found = index.search(weights, k)
        pruned += _Counts.looked_up > before
        check(found, {item.chunk_id: item.score for item in rank.search(weights, len(corpus))}, k)
    assert pruned >= (15 if k <= 10 else 1), f"{pruned} of 20 searches"


def test_every_chunk_is_found_where_more_are_asked_than_there_are() -> None:
    corpus = _zipf(seed=5, chunks=500, words=50, length=30)
    weights = ones(["w0", "w1", "w40"])
    sharing = [i for i, chunk in enumerate(corpus) if {"w0", "w1", "w40"} & set(chunk)]
    found = inverted(range(500), corpus, [100, 350]).search(weights, 10_000)
    assert sorted(item.chunk_id for item in found) == sharing


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=8), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), min_size=2, max_size=30),
    _WEIGHTS,
    st.integers(1, 30),
    st.data(),
)
def test_equal_chunks_come_by_id_in_whatever_part_they_are(
    bags: Corpus, picks: list[int], weights: dict[str, float], k: int, data: st.DataObject
) -> None:
    corpus = [bags[pick % len(bags)] for pick in picks]
    cuts = data.draw(st.lists(st.integers(0, len(corpus)), max_size=3))
    indexes: list[LexicalIndex] = [
        RankBM25Index(range(len(corpus)), corpus),
        inverted(range(len(corpus)), corpus, cuts),
    ]
    for index in indexes:
        found = [item.chunk_id for item in index.search(weights, k)]
        for bag in bags:
            ids = [i for i, chunk in enumerate(corpus) if chunk == bag]
            ranked = [i for i in found if i in ids]
            assert ranked == ids[: len(ranked)]


def test_equal_chunks_are_equal_though_a_term_weighs_more_in_one_part() -> None:
    # qd has its peak in the second part, so that the parts by themselves would add up in different orders
    long = ["qa", "qa", "qa", "qa", "qa", "qb", "qb", "qd"]
    corpus = [["qc"], ["qc"], long, *[["qc"]] * 12, ["qd"], long]
    (first,) = inverted(range(17), corpus, [3]).search(ones(["qa", "qb", "qd"]), 1)
    assert first.chunk_id == 2


def test_the_ranking_is_that_of_bm25s() -> None:
    import bm25s  # here, because it loads numba, beside whose modules vLLM does not start

    corpus = _zipf(seed=9, chunks=2_000, words=600, length=50)
    theirs = bm25s.BM25(method="lucene", k1=K1, b=B)
    theirs.index(corpus, show_progress=False)
    indexes: list[LexicalIndex] = [RankBM25Index(range(2_000), corpus), inverted(range(2_000), corpus, [700, 1_900])]
    rng = np.random.default_rng(1)
    for _ in range(20):
        query = [f"w{word}" for word in rng.choice(600, 4, replace=False)]
        # Their variant of Lucene's formula lacks the factor k1 + 1, which no ranking depends on.
        scores = np.asarray(theirs.get_scores(query), dtype=np.float64) * (K1 + 1)
        for index in indexes:
            found = index.search(ones(query), 100)
            assert len(found) == min(100, np.count_nonzero(scores))
            ids = [item.chunk_id for item in found]
            np.testing.assert_allclose([item.score for item in found], scores[ids], rtol=BM25S_TOLERANCE)
            np.testing.assert_allclose(scores[ids], np.sort(scores)[::-1][: len(ids)], rtol=BM25S_TOLERANCE)


def test_one_score_by_hand() -> None:
    # N = 3, n = 1: idf = ln(1 + 2.5/1.5) = 0.98083. f = 2, |d| = 4, avg = 8/3:
    # 2 · 2.5 / (2 + 1.5 · (0.25 + 0.75 · 1.5)) = 5 / 4.0625 = 1.230769; weight 2
    corpus = [["cell", "cell", "price", "gap"], ["price", "gap"], ["gap", "fire"]]
    for index in (RankBM25Index([7, 8, 9], corpus), inverted([7, 8, 9], corpus, [1])):
        (found,) = index.search({"cell": 2.0}, 5)
        assert found.chunk_id == 7
        assert found.score == pytest.approx(2 * 0.98083 * 1.230769, rel=1e-5)


@pytest.mark.parametrize("corpus", [[["cell"]], [["cell"], ["fire"]], [["cell"]] * 4])
def test_a_small_collection_finds_a_term_that_most_of_it_holds(corpus: Corpus) -> None:
    for index in (RankBM25Index(range(len(corpus)), corpus), inverted(range(len(corpus)), corpus)):
        found = index.search(ones(["cell"]), 10)
        assert [item.chunk_id for item in found] == [i for i, chunk in enumerate(corpus) if "cell" in chunk]
        assert all(item.score > 0 for item in found)


@pytest.mark.parametrize("weights", [{}, {"unheard": 1.0}, {"cell": 0.0}, {"cell": -1.0}, {"": 1.0}, {"\udce9": 1.0}])
def test_a_query_without_a_known_term_of_weight_finds_nothing(weights: dict[str, float]) -> None:
    for index in (RankBM25Index([1], [["cell"]]), inverted([1], [["cell"]])):
        assert index.search(weights, 5) == []


@pytest.mark.parametrize("corpus", [[], [[]], [[], []]])
def test_an_empty_corpus_finds_nothing(corpus: Corpus) -> None:
    for index in (RankBM25Index(range(len(corpus)), corpus), inverted(range(len(corpus)), corpus)):
        assert index.search(ones(["cell"]), 5) == []


def test_an_index_whose_chunks_are_all_dead_finds_nothing() -> None:
    index = inverted([1, 2], [["cell"], ["cell"]], [1], dead=[1, 2])
    assert len(index) == 0
    assert index.search(ones(["cell"]), 5) == []


def test_ids_and_token_lists_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 chunk ids for 1 token lists"):
        RankBM25Index([1, 2], [["cell"]])
