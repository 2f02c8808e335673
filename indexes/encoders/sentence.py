"""A sentence-transformers model as an encoder: which backend runs it, and what that backend is told."""

import os
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property

from ..errors import EncoderError
from .base import Backend, Progress, Role, Vectors, clean, distinct
from .files import BUNDLED, ModelFolder, locate
from .processor import Precision, cpu_flags, fast_precisions

VARIABLE = "FATHOM_ENCODER"


class Choice(StrEnum):
    """Who computes: AUTO takes the fastest that gives the model's vectors; the others are taken or refused."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"
    OPENVINO_FLOAT32 = "openvino-float32"
    OPENVINO_BFLOAT16 = "openvino-bfloat16"
    OPENVINO_INT8 = "openvino-int8"


class SentenceEncoder:
    """A sentence-transformers model: the bundled one, a folder, or a hub id that the user named.

    Nothing is read before it is needed. Every property but `name` raises EncoderError where the model cannot be used.
    """

    def __init__(self, name: str = BUNDLED, choice: Choice | None = None) -> None:
        """Without a `choice`, the environment variable FATHOM_ENCODER is asked, and AUTO holds where it is not set."""
        self._name = name
        self._choice = choice or chosen()

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._model.fingerprint

    @property
    def dimension(self) -> int:
        return self._backend.dimension

    @property
    def description(self) -> str:
        """Which library computes, in which precision, and why."""
        return self._backend.description

    @property
    def truncated(self) -> int:
        """How many distinct texts of each call so far were longer than the model reads; their ends had no say."""
        return self._backend.truncated

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        found = distinct([clean(text) for text in texts])

        def done(positions: Sequence[int]) -> None:
            if progress:
                progress(sum(found.copies[i] for i in positions))

        return self._backend.encode(found.texts, Role.DOCUMENT, done)[found.rows]

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self._backend.encode([clean(text)], Role.QUERY, lambda _: None)[0]
        return vector

    @cached_property
    def _model(self) -> ModelFolder:
        return locate(self._name)

    @cached_property
    def _backend(self) -> Backend:
        return _open(self._model, self._choice)


def chosen() -> Choice:
    """What FATHOM_ENCODER says. Raises EncoderError for a value that is no Choice."""
    given = os.environ.get(VARIABLE) or Choice.AUTO.value
    try:
        return Choice(given)
    except ValueError:
        names = ", ".join(Choice)
        raise EncoderError(
            f"{VARIABLE} = {given!r} names no way to compute vectors", f"set it to one of: {names}"
        ) from None


def _open(model: ModelFolder, choice: Choice) -> Backend:
    from .reference import TorchBackend

    if choice is Choice.TORCH:
        return TorchBackend(model, "chosen")
    from .conversion import converted

    reasons = []
    for precision in _precisions(choice):
        try:
            return converted(model, precision)
        except EncoderError as error:
            if choice is not Choice.AUTO:
                raise
            reasons.append(str(error))
    return TorchBackend(model, "; ".join(reasons))


def _precisions(choice: Choice) -> tuple[Precision, ...]:
    if choice in (Choice.AUTO, Choice.OPENVINO):
        return fast_precisions(cpu_flags())
    return (Precision(choice.removeprefix(f"{Choice.OPENVINO}-")),)
