"""The comparison of backends: what is taken, what is divided, and what a difference is."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from evals.bench.embedding import (
    NAIVE,
    Speed,
    measure_quality,
    measure_speed,
    passages,
    pieces,
    question_scores,
    ratios,
)
from evals.datasets.collections import JUDGED, JudgedPassages, JudgedQuery, LabelledPassage
from indexes.encoders.embedding import HashEncoder, Vectors

COLLECTION = JudgedPassages(
    "made",
    (LabelledPassage("Cells", "from one supplier"), LabelledPassage("", "a fire"), LabelledPassage("Board", "in Oslo")),
    (JudgedQuery("1", "who supplies cells", frozenset({0})), JudgedQuery("2", "nothing", frozenset())),
)


def test_pieces_are_cut_at_spaces_and_lose_no_word() -> None:
    words = [f"word{i}" for i in range(1000)]
    found = pieces(" ".join(words))
    assert " ".join(found).split() == words
    assert all(len(piece) <= 900 for piece in found)
    assert pieces("x" * 2000) == ["x" * 900, "x" * 900, "x" * 200]
    assert pieces("") == []


def test_ratios_are_medians_of_rounds() -> None:
    speeds = {
        NAIVE: [Speed(10, 100), Speed(20, 100), Speed(10, 100)],
        "fast": [Speed(30, 50), Speed(40, 25), Speed(90, 20)],
    }
    assert ratios(speeds, "fast") == (3, 4)  # 3, 2, 9 and 2, 4, 5
    assert ratios(speeds, NAIVE) == (1, 1)


def test_every_backend_embeds_the_same_texts_in_each_round() -> None:
    seen: list[list[str]] = []

    def embed(texts: Sequence[str]) -> Vectors:
        seen.append(list(texts))
        return np.zeros((len(texts), 1), np.float32)

    found = measure_speed({NAIVE: embed, "other": embed}, ["a", "b"], rounds=3)
    assert [len(values) for values in found.values()] == [3, 3]
    assert seen == [["a", "b"]] * 8


def test_quality_is_ndcg_and_its_difference_to_naive() -> None:
    def opposite(texts: Sequence[str]) -> Vectors:
        vectors = HashEncoder().encode(texts)
        vectors[len(COLLECTION.passages) :] *= -1
        return vectors

    found = measure_quality({NAIVE: HashEncoder().encode, "opposite": opposite}, COLLECTION)
    assert found[NAIVE].ndcg == 1
    assert (found[NAIVE].difference.mean, found[NAIVE].difference.n) == (0, 1)
    # The only passage with a word of the question comes last instead of first: 1/log2(4) = 0.5.
    assert (found["opposite"].ndcg, found["opposite"].difference.mean) == (0.5, -0.5)
    assert found["opposite"].cosine_least == pytest.approx(-1)


def test_a_question_without_an_answer_has_no_score_and_ties_keep_corpus_order() -> None:
    vectors = np.ones((5, 2), np.float32)
    scores = question_scores(vectors, COLLECTION)
    assert scores[0] == 1
    assert math.isnan(scores[1])


def test_real_passages_are_taken_from_every_source() -> None:
    data = Path(__file__).parents[2].parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("../shared/data is not here")
    found = passages(data, 40)
    assert len(found) == len(set(found)) == 40
    everything = [{f"{p.title}\n{p.text}".strip() for p in read(data).passages} for read in JUDGED.values()]
    assert all(9 <= len(texts.intersection(found)) <= 10 for texts in everything)
