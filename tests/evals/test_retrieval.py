"""Scores of rankings on a made collection, with the means written out."""

import math

import pytest

from evals.datasets.collections import JudgedPassages, JudgedQuery, LabelledPassage
from evals.tasks.retrieval import BASELINE, FATHOM, Indexed, grid, index, leave_one_out, rankers, score
from indexes.encoders.embedding import HashEncoder
from indexes.search.retrieval import RankSettings

COLLECTION = JudgedPassages(
    "made",
    (
        LabelledPassage("Cells", "battery cells cost 68 euros"),
        LabelledPassage("Cabinet", "a cabinet burned in Taunton"),
        LabelledPassage("Cash", "cash and runway are short"),
    ),
    (
        JudgedQuery("1", "battery cells", frozenset({0})),
        JudgedQuery("2", "burned cabinet", frozenset({1, 2})),
        JudgedQuery("3", "nothing relevant", frozenset()),
    ),
)


def _source() -> Indexed:
    return index(COLLECTION, HashEncoder())


def test_means_leave_out_questions_without_relevant_passages() -> None:
    perfect = {"1": [0], "2": [1, 2], "3": [0]}
    half = {"1": [0], "2": [0, 1], "3": [0]}
    by_text = {query.text: query.id for query in COLLECTION.queries}
    rankings = {
        BASELINE: lambda text: half[by_text[text]],
        "perfect": lambda text: perfect[by_text[text]],
    }
    low, high = score(COLLECTION, rankings)
    # query 2 of half: rank 2 of two relevant, (1/log2 3) / (1 + 1/log2 3); recall ½; reciprocal rank ½
    second = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    assert (low.ndcg, low.recall, low.mrr) == pytest.approx(((1 + second) / 2, 0.75, 0.75))
    assert (high.ndcg, high.recall, high.mrr) == (1, 1, 1)
    assert (low.gain.mean, low.gain.n) == (0, 2)
    assert high.gain.mean == pytest.approx((1 - second) / 2)


def test_every_ranking_finds_the_passage_that_holds_the_words() -> None:
    for name, rank in rankers(_source()).items():
        assert rank("battery cells")[0] == 0, name
        assert rank("burned cabinet")[0] == 1, name


def test_the_setting_is_chosen_by_the_other_collections() -> None:
    first = JudgedPassages("first", COLLECTION.passages, COLLECTION.queries[:1])
    second = JudgedPassages("second", COLLECTION.passages, COLLECTION.queries[1:])
    good, bad = RankSettings(), RankSettings(dense_weight=1, asked=0, named=0, like_best=0, named_by_best=0)
    found = leave_one_out([(first, _source().fathom), (second, _source().fathom)], [good, bad])
    assert [item.collection for item in found] == ["first", "second"]
    assert found[0].ndcg == 1


def test_the_grid_holds_the_default_setting() -> None:
    assert RankSettings() in grid()
    assert len(set(grid())) == 9
    assert FATHOM in rankers(_source())


def test_the_plain_index_weighs_titles_no_heavier_than_text() -> None:
    source = _source()
    once, twice = (part.lexical({"cash": 1.0}, 1)[0].score for part in (source.plain, source.fathom))
    # "Cash" is title and word of the text: 2 and 3 times of 5 and 6 terms
    assert once < twice
