"""The cross-encoder: its scores are those of the model's own forward pass."""

import sys
from pathlib import Path

import pytest

from indexes.errors import EncoderError
from indexes.reranking import CrossEncoderReranker, Reranker
from tests.indexes.models import MAX_TOKENS, cross_encoder

TEXTS = ["the cat sat on the mat", "", "a dog", "\udce9 cells in oslo", "fire " * 500]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random cross-encoder with one score."""
    return cross_encoder(tmp_path_factory.mktemp("reranker"))


def forward(folder: Path, query: str, text: str) -> float:
    """The logit of one pair, by transformers alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)(
        [query], [text], truncation="longest_first", max_length=MAX_TOKENS, return_tensors="pt"
    )
    with torch.no_grad():
        return float(AutoModelForSequenceClassification.from_pretrained(folder).eval()(**inputs).logits[0, 0])


def test_scores_are_the_model_s_logits_in_the_order_of_the_texts(model: Path) -> None:
    reranker: Reranker = CrossEncoderReranker(str(model))
    query = "who sat in oslo ?"
    expected = [forward(model, query, text.encode("utf-8", "replace").decode()) for text in TEXTS]
    assert reranker.rerank(query, TEXTS) == pytest.approx(expected, abs=1e-4)
    assert len(set(expected)) == len(expected)
    assert reranker.rerank(query, []) == []


def test_a_model_with_several_scores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="gives 3 scores, expected 1"):
        CrossEncoderReranker(str(cross_encoder(tmp_path / "three", labels=3))).rerank("one", ["two"])


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded") as caught:
        CrossEncoderReranker(str(tmp_path)).rerank("one", ["two"])
    assert "leave the reranker out" in caught.value.hint


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EncoderError, match="needs sentence-transformers"):
        CrossEncoderReranker("some/model")
