"""The collection in memory: BM25 by hand and against rank-bm25, exact vectors, kept files."""

import math
from pathlib import Path

import numpy as np
import pytest

from evals.memory import MemoryIndex, Passage, cached_vectors
from indexes.encoders.embedding import HashEncoder
from indexes.segments.lexical import RankBM25Index
from indexes.text.tokens import index_terms

TEXTS = ["cells cost money", "cells cells burn", "a cabinet burned down in town", "cash"]
PASSAGES = [Passage(i, "", text) for i, text in enumerate(TEXTS)]
ENCODER = HashEncoder()
INDEX = MemoryIndex(PASSAGES, ENCODER.encode(TEXTS), ENCODER.encode_query)


def test_bm25_by_hand() -> None:
    # lengths 3, 3, 4, 1, mean 2.75; cash is in one of four: idf ln(1 + 3.5/1.5); tf 1 of 1 term
    found = INDEX.lexical({"cash": 2.0}, 5)
    score = 2 * math.log(1 + 3.5 / 1.5) * 2.5 / (1 + 1.5 * (0.25 + 0.75 / 2.75))
    assert [item.chunk_id for item in found] == [3]
    assert found[0].score == pytest.approx(score)


@pytest.mark.parametrize("weights", [{"cell": 1.0}, {"cell": 2.0, "burn": 1.0, "nowhere": 3.0}, {"town": 0.5}])
def test_scores_equal_those_of_rank_bm25(weights: dict[str, float]) -> None:
    oracle = RankBM25Index(range(4), [index_terms("", text) for text in TEXTS]).search(weights, 4)
    found = INDEX.lexical(weights, 4)
    assert [item.chunk_id for item in found] == [item.chunk_id for item in oracle]
    assert [item.score for item in found] == pytest.approx([item.score for item in oracle])


def test_dense_scores_are_inner_products_in_falling_order() -> None:
    vector = ENCODER.encode_query("cells burn")
    found = INDEX.dense(vector, 3)
    oracle = sorted(((-float(np.dot(ENCODER.encode([text])[0], vector)), i) for i, text in enumerate(TEXTS)))[:3]
    assert [item.chunk_id for item in found] == [i for _, i in oracle]
    assert [-item.score for item in found] == pytest.approx([score for score, _ in oracle])
    np.testing.assert_array_equal(INDEX.vectors([2, 0]), ENCODER.encode([TEXTS[2], TEXTS[0]]))


def test_vectors_are_kept_until_a_text_changes(tmp_path: Path) -> None:
    made = cached_vectors(tmp_path / "new", "x", PASSAGES, ENCODER)
    (kept,) = (tmp_path / "new").iterdir()
    np.save(kept, made * 2)
    np.testing.assert_array_equal(cached_vectors(tmp_path / "new", "x", PASSAGES, ENCODER), made * 2)
    cached_vectors(tmp_path / "new", "x", PASSAGES[1:], ENCODER)
    assert len(list((tmp_path / "new").iterdir())) == 2
    np.testing.assert_array_equal(cached_vectors(None, "x", PASSAGES, ENCODER), made)
