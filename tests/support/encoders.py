"""Encoders for tests: one that counts what it reads, and one whose model has changed."""

from collections.abc import Callable, Sequence

from indexes.encoders.embedding import HashEncoder, Vectors


class CountingEncoder(HashEncoder):
    """Hashed terms; `texts` are all passages that it was given, in order."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        self.texts.extend(texts)
        return super().encode(texts, progress)

    def encode_query(self, text: str) -> Vectors:
        return HashEncoder().encode_query(text)


class ChangedEncoder(HashEncoder):
    """The same name over another model."""

    fingerprint = "another model"
