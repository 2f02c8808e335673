"""The ranking of a query over a collection in memory, with hand-made vectors and the sums written out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.encoders.embedding import Vectors
from indexes.search.ranking import SearchMode
from indexes.search.retrieval import Fused, Origin, RankSettings, retrieve
from indexes.segments.lexical import Scored

PLAIN = RankSettings(dense_weight=0.65, asked=0, named=0, named_by_best=0, latest=0, like_best=0)


class Table:
    """Searchable lists: what each index finds is given. A chunk is a document of its own unless told otherwise."""

    def __init__(
        self,
        lexical: Mapping[int, float],
        cosines: Mapping[int, float],
        called: Mapping[int, str] | None = None,
        document_of: Mapping[int, int] | None = None,
    ) -> None:
        self._lexical, self._cosines, self._called = lexical, cosines, called or {}
        self._document_of = document_of or {}
        self.asked: list[Mapping[str, float]] = []

    def lexical(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        self.asked.append(weights)
        return _ranked(self._lexical)[:k]

    def dense(self, vector: Vectors, k: int) -> list[Scored]:
        return _ranked(self._cosines)[:k]

    def encode_query(self, text: str) -> Vectors:
        return np.array([1, 0], dtype=np.float32)

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        cosines = np.array([self._cosines.get(i, 0.0) for i in chunk_ids])
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)

    def origins(self, chunk_ids: Sequence[int]) -> Mapping[int, Origin]:
        documents = {i: self._document_of.get(i, i) for i in chunk_ids}
        return {i: Origin(document, self._called.get(document, "")) for i, document in documents.items()}

    def text(self, chunk_id: int) -> str:
        return f"text of {chunk_id} names beta"


def _ranked(scores: Mapping[int, float]) -> list[Scored]:
    return sorted((Scored(i, s) for i, s in scores.items()), key=lambda item: (-item.score, item.chunk_id))


def _scores(found: Sequence[Fused]) -> dict[int, float]:
    return {item.chunk_id: round(item.score, 6) for item in found}


def test_both_indexes_are_divided_by_their_best_and_weighed() -> None:
    # w = 0.65. 1: 0.35·4/4 + 0.65·0.3/0.6 = 0.675;  2: 0.35·2/4 + 0.65·1 = 0.825;  3: 0.65·0.15/0.6 = 0.1625
    found = retrieve("words", Table({1: 4, 2: 2}, {2: 0.6, 1: 0.3, 3: 0.15}), SearchMode.HYBRID, 10, PLAIN)
    assert _scores(found) == {2: 0.825, 1: 0.675, 3: 0.1625}
    assert [item.chunk_id for item in found] == [2, 1, 3]
    assert replace(found[1], score=0.675) == Fused(1, 0.675, 1, 2, 4, 0.3)
    assert (found[2].lexical_rank, found[2].lexical_score) == (None, None)


def test_a_chunk_that_only_words_find_gets_its_cosine_too() -> None:
    # depth 1: the dense index names 2 alone, but 1 has the cosine 0.3: 0.35 + 0.65·0.3/0.6 = 0.675
    settings = replace(PLAIN, depth=1)
    found = retrieve("words", Table({1: 4}, {2: 0.6, 1: 0.3}), SearchMode.HYBRID, 1, settings)
    assert _scores(found) == {1: 0.675}
    assert found[0].dense_rank is None


def test_the_document_whose_name_is_asked_for_gains() -> None:
    table = Table({1: 1, 2: 1}, {}, {1: "alpha 2022", 2: "alpha 2023"})
    found = retrieve("what of Alpha in 2023", table, SearchMode.LEXICAL, 10, RankSettings(named=0, named_by_best=0))
    # of two names both hold alpha (weight ln(1.2)), one each year (ln 2): 1 holds ln 1.2 of ln 1.2 + ln 2
    share = np.log(1.2) / (np.log(1.2) + np.log(2))
    assert _scores(found) == {2: 1.3, 1: round(1 + 0.3 * float(share) ** 3, 6)}


def test_the_latest_is_the_one_that_is_asked_for_where_the_question_says_so() -> None:
    table = Table({1: 1, 2: 0.9, 3: 1}, {}, {1: "alpha 2022", 2: "alpha 2023", 3: "beta 2024"})
    best = retrieve("latest alpha figures", table, SearchMode.LEXICAL, 1)[0]
    assert best.chunk_id == 2
    assert retrieve("alpha figures", table, SearchMode.LEXICAL, 1)[0].chunk_id == 1


def test_a_document_that_the_best_passage_names_gains_and_never_its_own() -> None:
    table = Table({1: 1, 2: 0.5, 3: 0.5}, {}, {1: "names beta", 2: "beta", 3: "gamma"})
    found = retrieve("words", table, SearchMode.LEXICAL, 10)  # every text says "names beta"
    assert _scores(found) == {1: 1.0, 2: 0.9, 3: 0.5}  # 0.5 + 0.4


def test_a_small_word_of_the_question_asks_for_no_document() -> None:
    table = Table({1: 1, 2: 1}, {}, {1: "customers", 2: "Acme"})
    found = retrieve("which customers has Acme", table, SearchMode.LEXICAL, 10, RankSettings(named=0, named_by_best=0))
    assert _scores(found) == {2: 1.3, 1: 1.0}


def test_a_documents_further_passages_gain_less_and_less() -> None:
    table = Table({1: 1, 2: 0.9, 3: 0.8, 4: 0.7}, {}, {1: "Acme"}, {2: 1, 3: 1})
    found = retrieve("all of Acme", table, SearchMode.LEXICAL, 10, RankSettings(named=0, named_by_best=0))
    assert _scores(found) == {1: 1.3, 2: 0.9 + 0.15, 3: 0.8 + 0.075, 4: 0.7}


def test_a_passage_like_the_best_gains_by_a_power_of_their_cosine() -> None:
    # vectors (0.6, 0.8), (0.8, 0.6), (0, 1) and scores 0.75, 1, 0: the best is 2; cosines to it 0.96, 1, 0.6
    table = Table({}, {1: 0.6, 2: 0.8, 3: 0.0})
    found = retrieve("words", table, SearchMode.HYBRID, 10, RankSettings(dense_weight=1))
    assert _scores(found) == pytest.approx({2: 1 + 0.2, 1: 0.75 + 0.2 * 0.96**6, 3: 0.2 * 0.6**6}, abs=2e-6)


def test_dense_mode_ranks_by_cosine_alone_and_lexical_mode_asks_for_no_vector() -> None:
    table = Table({1: 1}, {2: 0.9, 3: 0.45}, {3: "words"})
    assert _scores(retrieve("words", table, SearchMode.DENSE, 10)) == {2: 1.0, 3: 0.5}
    assert table.asked == []
    assert [item.chunk_id for item in retrieve("words", table, SearchMode.LEXICAL, 10)] == [1]


def test_a_repeated_word_weighs_twice() -> None:
    table = Table({1: 1}, {})
    retrieve("cell, cells and price", table, SearchMode.LEXICAL, 1)
    assert table.asked == [{"cell": 2.0, "price": 1.0}]


def test_nothing_found_is_nothing() -> None:
    for mode in SearchMode:
        assert retrieve("words", Table({}, {}), mode, 10) == []


_SCORES = st.dictionaries(st.integers(0, 30), st.floats(0.01, 1), max_size=20)


@given(_SCORES, _SCORES, st.integers(1, 40), st.sampled_from(list(SearchMode)))
def test_ranks_fall_ids_are_distinct_and_all_come_from_an_index(
    lexical: dict[int, float], cosines: dict[int, float], depth: int, mode: SearchMode
) -> None:
    found = retrieve("latest words of 2023", Table(lexical, cosines, {1: "words 2023", 2: "a 2022"}), mode, depth)
    ids = [item.chunk_id for item in found]
    assert len(ids) == len(set(ids)) <= depth
    assert set(ids) <= lexical.keys() | cosines.keys()
    keys = [(-item.score, item.chunk_id) for item in found]
    assert keys == sorted(keys)
    assert all(item.lexical_rank is not None or item.dense_rank is not None for item in found)
