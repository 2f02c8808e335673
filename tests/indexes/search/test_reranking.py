"""The cross-encoder: its scores are those of the model's own forward pass."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import Chunk, Document, Hit
from indexes.errors import EncoderError
from indexes.search.reranking import RERANKED, CrossEncoderReranker, Reranker, reranked
from tests.support.models import MAX_TOKENS, cross_encoder

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


class _ByLength:
    """Likes short texts."""

    name = "short"

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        self.asked.append((query, list(texts)))
        return [-float(len(text)) for text in texts]


def _hits(lengths: Sequence[int]) -> list[Hit]:
    of = Document(1, "/docs/a.md", "a.md", "A", "text", "", 100, 0)
    chunks = [Chunk(i, 1, i, 0, 1, "x" * length, "", "A", None, None) for i, length in enumerate(lengths)]
    return [Hit(chunk, of, 1 / (1 + chunk.id)) for chunk in chunks]


def test_hits_get_the_order_of_the_reranker_and_share_out_their_scores() -> None:
    judge = _ByLength()
    found = reranked("who?", _hits([30, 10, 20, 10]), judge)
    assert [hit.chunk.id for hit in found] == [1, 3, 2, 0]  # equals keep their order
    assert [hit.score for hit in found] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert [hit.reranker_score for hit in found] == [-12, -12, -22, -32]  # the context is read too
    assert judge.asked == [("who?", [f"A\n{'x' * length}" for length in (30, 10, 20, 10)])]


def test_hits_that_are_not_judged_stay_behind_as_they_were() -> None:
    hits = _hits(range(RERANKED + 20, 0, -1))
    found = reranked("who?", hits, _ByLength())
    assert found[:RERANKED] != hits[:RERANKED]
    assert {hit.chunk.id for hit in found[:RERANKED]} == set(range(RERANKED))
    assert found[RERANKED:] == hits[RERANKED:]
    assert reranked("who?", [], _ByLength()) == []


def test_a_collection_ranks_passages_and_documents_as_its_reranker_does(collection: Collection) -> None:
    plain = collection.search("cells")
    found = collection.search("cells", reranker=_ByLength())
    lengths = [len(f"{hit.chunk.context}\n{hit.chunk.text}") for hit in found.hits]
    assert lengths == sorted(lengths)
    assert [hit.chunk.id for hit in found.hits] != [hit.chunk.id for hit in plain.hits]
    assert found.documents[0].document == found.hits[0].document
