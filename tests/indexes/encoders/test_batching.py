"""Batches of token ids: every text once, bounded, padded with nothing that is seen."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexes.encoders.base import clean, distinct
from indexes.encoders.batching import BATCH_TEXTS, BATCH_TOKENS, batches, windows

PAD = 7


@given(st.lists(st.lists(st.integers(10, 99), max_size=600), max_size=80))
def test_every_text_is_in_one_batch_and_its_tokens_are_unmasked(tokens: list[list[int]]) -> None:
    positions = [100 + i for i in range(len(tokens))]
    found = {}
    for batch in batches(positions, tokens, PAD):
        assert batch.ids.shape == batch.mask.shape == (len(batch.positions), batch.ids.shape[1])
        assert len(batch.positions) <= BATCH_TEXTS
        assert batch.ids.size <= BATCH_TOKENS or len(batch.positions) == 1
        for position, ids, mask in zip(batch.positions, batch.ids, batch.mask, strict=True):
            assert position not in found
            found[position] = ids[mask == 1].tolist()
            assert set(ids[mask == 0].tolist()) <= {PAD}
    assert found == dict(zip(positions, tokens, strict=True))


def test_a_batch_is_as_long_as_its_longest_text_rounded_up() -> None:
    (batch,) = batches([0, 1], [[1] * 3, [1] * 9], PAD)
    assert batch.ids.shape == (2, 16)  # 9 tokens, in steps of 8
    assert batch.positions == [1, 0]  # the longest first


@given(st.lists(st.text(max_size=20), max_size=50))
def test_windows_hold_every_position_once_the_longest_first(texts: list[str]) -> None:
    order = [position for window in windows(texts) for position in window]
    assert sorted(order) == list(range(len(texts)))
    lengths = [len(texts[position]) for position in order]
    assert lengths == sorted(lengths, reverse=True)


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=20))
def test_repeats_are_counted_and_can_be_put_back(texts: list[str]) -> None:
    found = distinct(texts)
    assert len(set(found.texts)) == len(found.texts)
    assert [found.texts[row] for row in found.rows] == texts
    assert dict(zip(found.texts, found.copies, strict=True)) == {text: texts.count(text) for text in texts}


def test_lone_surrogates_become_question_marks() -> None:
    assert clean("\udce9 cells 🌊") == "? cells 🌊"
    assert np.array_equal(distinct([]).rows, [])
