"""Runs a model by sentence-transformers: any that it can load, as it defines them, and the measure of the others."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import EncoderError
from .base import Role, Vectors, most_characters
from .files import HINT, ModelFolder
from .surroundings import elsewhere, go_offline

_BATCH = 32


class TorchBackend:
    """The model in float32 on a processor, in its own precision on a GPU."""

    def __init__(self, model: ModelFolder, reason: str) -> None:
        """`reason` says why torch computes. Raises EncoderError where the model cannot be loaded."""
        self.model = _open(model)
        self.description = f"sentence-transformers on {self.model.device.type} ({reason})"
        self._prompts = {role: model.prompt(role) for role in Role}
        self._truncated = 0

    @property
    def dimension(self) -> int:
        return int(self.model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int | None:
        length = self.model.max_seq_length
        return None if length is None else int(length)

    @property
    def truncated(self) -> int:
        return self._truncated

    def encode(self, texts: Sequence[str], role: Role, done: Callable[[Sequence[int]], None]) -> Vectors:
        encode = self.model.encode_query if role is Role.QUERY else self.model.encode_document
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        # Batches of like lengths waste little on padding.
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            vectors[batch] = encode(
                [self._bounded(texts[i], role) for i in batch],
                prompt=self._prompts[role],
                batch_size=_BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            done(batch)
        return vectors

    def _bounded(self, text: str, role: Role) -> str:
        """What of the text can come before the model's last token; counts the text if that is not all."""
        from transformers import PreTrainedTokenizerBase

        if self.max_tokens is None:
            return text
        most = most_characters(self.max_tokens)
        longer = len(text) > most
        tokenizer = self.model.tokenizer
        if not longer and isinstance(tokenizer, PreTrainedTokenizerBase):
            longer = len(tokenizer(self._prompts[role] + text, verbose=False)["input_ids"]) > self.max_tokens
        self._truncated += longer
        return text[:most]


def _open(model: ModelFolder) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with elsewhere():
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        go_offline()
        logging.disable_progress_bar()
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()  # what it says of a model's training does not concern whoever indexes
        try:
            opened = SentenceTransformer(
                str(model.folder),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except Exception as error:  # the library raises many kinds for a broken model
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise EncoderError(f"the embedding model {model.name!r} cannot be loaded: {reason}", HINT) from error
        finally:
            logging.set_verbosity(verbosity)
    return opened.float() if opened.device.type == "cpu" else opened
