"""Question and passages → scores by a cross-encoder, which reads both together: slow, and off unless it is named."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Protocol

from ..documents import Hit
from ..encoders.base import clean, most_characters
from ..encoders.files import located_folder
from ..encoders.refusal import check_folder
from ..encoders.surroundings import elsewhere, go_offline
from ..errors import EncoderError
from ..text.tokens import embedding_text

RERANKED = 50  # hits that a reranker judges; the others stay behind them
_BATCH = 32
_HINT = "name a folder or hub id of a cross-encoder with one score, or leave the reranker out"


class Reranker(Protocol):
    """Judges passages for a question. Not shared between threads."""

    @property
    def name(self) -> str: ...

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score for each text, in their order; higher is better, and only texts of one call are compared."""
        ...


def reranked(query: str, hits: Sequence[Hit], reranker: Reranker) -> list[Hit]:
    """The best RERANKED hits in the reranker's order, then the rest; ties keep their order.

    A reranker's scores say nothing beside those of other questions, or beside those of the hits behind. So the hits
    share out the scores that they had: the reranker's best one gets the highest.
    """
    judged = hits[:RERANKED]
    scores = reranker.rerank(query, [embedding_text(hit.chunk.context, hit.chunk.text) for hit in judged])
    order = sorted(range(len(judged)), key=lambda row: -scores[row])
    moved = (
        replace(judged[row], score=place.score, reranker_score=scores[row])
        for row, place in zip(order, judged, strict=True)
    )
    return [*moved, *hits[RERANKED:]]


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers: a folder, or a hub id that the user named. Scores are its logits.

    A pair that is longer than the model reads is cut at its end.
    """

    def __init__(self, name: str) -> None:
        """Raises EncoderError where sentence-transformers is not installed. The model is loaded when first used."""
        if find_spec("sentence_transformers") is None:
            raise EncoderError(
                "a reranker needs sentence-transformers, which is not installed",
                "install fathom-rag[dense] (or [cpu], [gpu]), or leave the reranker out",
            )
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """As the protocol says. Raises EncoderError where the model cannot be loaded or gives no single score."""
        if not texts:
            return []
        from torch.nn import Identity

        most = most_characters(int(self._model.max_seq_length or _UNBOUNDED))
        pairs = [(clean(query)[:most], clean(text)[:most]) for text in texts]
        # Logits: a sigmoid would round the best ones to the same 1.
        scores = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False, activation_fn=Identity())
        return [float(score) for score in scores]

    @cached_property
    def _model(self) -> Any:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        folder = located_folder(self._name, "reranker", f"fetch it: fathom models pull --no-measure {self._name}")
        check_folder(self._name, folder, "reranker")
        with elsewhere():
            from sentence_transformers import CrossEncoder
            from transformers.utils import logging

            go_offline()
            logging.disable_progress_bar()
            try:
                opened = CrossEncoder(
                    str(folder),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
            except Exception as error:  # the library raises many kinds for a missing or broken model
                reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
                raise EncoderError(f"the reranker {self._name!r} cannot be loaded: {reason}", _HINT) from error
        if opened.num_labels != 1:
            raise EncoderError(f"the reranker {self._name!r} gives {opened.num_labels} scores, expected 1", _HINT)
        return opened


_UNBOUNDED = 8192  # tokens, where a model names no limit
