"""Runs a converted model by OpenVINO and its tokenizer by `tokenizers`: neither torch nor transformers is loaded."""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import Role, Vectors, most_characters
from .batching import batches, windows
from .processor import Precision, openvino, threads

MODEL = "model.blob"
TOKENIZER = "tokenizer.json"


def settings(precision: Precision) -> dict[str, Any]:
    """How OpenVINO compiles and runs. To run a compiled model by another hint than it was made with corrupts memory.

    Eight-bit products are in the model itself; the hint is for what is around them.
    """
    hint = "bf16" if precision is Precision.BFLOAT16 else "f32"
    return {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads(), "PERFORMANCE_HINT": "LATENCY"}


class CompiledBackend:
    """A folder of the cache as `conversion` made it, and the facts that it left there."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Raises RuntimeError where OpenVINO does not take the model."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else it warns whenever a process forks later
        library = openvino()
        precision = Precision(facts["precision"])
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._content = io.BytesIO((folder / MODEL).read_bytes())  # kept as long as the model that may point into it
        self._model = library.Core().import_model(self._content, "CPU", settings(precision))
        self._request = self._model.create_infer_request()
        self._dimension = int(facts["dimension"])
        self._max_tokens = int(facts["max_tokens"])
        self._pad_id = int(facts["pad_id"])
        self._prompts = {role: str(facts["prompts"][role.value]) for role in Role}
        self._truncated = 0
        self.description = (
            f"OpenVINO {precision}, cosine to float32 of sentence-transformers"
            f" {facts['cosine_mean']:.4f} (least {facts['cosine_least']:.4f})"
        )

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def truncated(self) -> int:
        return self._truncated

    def encode(self, texts: Sequence[str], role: Role, done: Callable[[Sequence[int]], None]) -> Vectors:
        vectors = np.empty((len(texts), self._dimension), dtype=np.float32)
        for window in windows(texts):
            tokens = [self._tokens(texts[i], role) for i in window]
            for batch in batches(window, tokens, self._pad_id):
                results = self._request.infer({"input_ids": batch.ids, "attention_mask": batch.mask})
                vectors[batch.positions] = results[0]
                done(batch.positions)
        return vectors

    def _tokens(self, text: str, role: Role) -> list[int]:
        most = most_characters(self._max_tokens)
        encoding = self._tokenizer.encode(self._prompts[role] + text[:most])
        self._truncated += len(text) > most or bool(encoding.overflowing)
        ids: list[int] = encoding.ids
        return ids
