"""Recall of gold characters by chunks, with the sums written out."""

import pytest

from evals.datasets.collections import SpanQuestion
from evals.tasks.chunking import Piece, fixed, found_spans, index, ours, recalls
from indexes.encoders.embedding import HashEncoder

TEXTS = {"cells": "Battery cells cost 68 euros. ", "fire": "A cabinet burned. " * 2}


def test_fixed_pieces_have_one_length_and_rebuild_the_text() -> None:
    pieces = fixed("fire", TEXTS["fire"], 10)
    assert [(piece.start, piece.end) for piece in pieces] == [(0, 10), (10, 20), (20, 30), (30, 36)]


def test_our_pieces_are_those_of_the_chunker_with_its_headings() -> None:
    text = "# Costs\n\n" + "cell " * 80 + "\n\n# Fire\n\n" + "cabinet " * 80
    pieces = ours("notes", text)
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    assert [piece.context for piece in pieces] == ["notes › Costs", "notes › Fire"]


def test_the_share_of_the_gold_characters_counts_and_spans_of_other_texts_do_not() -> None:
    pieces = [Piece("cells", 0, 14, "cells"), Piece("cells", 14, 29, "cells"), Piece("fire", 0, 36, "fire")]
    source = index(pieces, TEXTS, HashEncoder(), None, "made")
    # gold 8…18: all three pieces are among the first five, so both of cells count
    question = SpanQuestion("battery cells", "cells", ((8, 18),))
    assert set(found_spans(question, pieces, source)) == {(0, 14), (14, 29)}
    assert recalls([question], pieces, source) == [1.0]
    # only 8…14 is in the first piece: 6 of 10
    alone = index(pieces[:1], TEXTS, HashEncoder(), None, "made")
    assert recalls([question], pieces[:1], alone) == [pytest.approx(0.6)]
    elsewhere = SpanQuestion("battery cells", "fire", ((0, 10),))
    assert recalls([elsewhere], pieces[:2], index(pieces[:2], TEXTS, HashEncoder(), None, "made")) == [0.0]
