"""What an encoder is, and what the backends that run a model share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Progress = Callable[[int], None]

# A token of ordinary text has 3 to 6 characters. What lies beyond so many cannot come before a model's last token,
# but a hostile text of a gigabyte would be tokenized to its end.
_MAX_TOKEN_CHARACTERS = 64


class Encoder(Protocol):
    """Turns texts into vectors [len(texts), dimension], float32, each of length 1. Not shared between threads."""

    @property
    def name(self) -> str:
        """What the collection records; vectors of different names never mix."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of all that decides the vectors, and not of how they are computed: another one is another model."""
        ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Vectors of documents in the order of the texts; `progress` hears how many are done since the last call."""
        ...

    def encode_query(self, text: str) -> Vectors:
        """The vector of a question, [dimension], to be compared with those of documents."""
        ...


class Role(StrEnum):
    """What a text is: models may put another prompt before each."""

    DOCUMENT = "document"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Distinct:
    """Texts without repeats. `texts[rows[i]]` is text i, and `copies[j]` counts how often text j was given."""

    texts: list[str]
    rows: npt.NDArray[np.intp]
    copies: list[int]


class Backend(Protocol):
    """Runs one model. The texts are distinct and clean; vectors have length 1."""

    @property
    def description(self) -> str:
        """Which library computes, in which precision, and why where there was a choice."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads of a text, its own special ones included; None without a limit."""
        ...

    @property
    def truncated(self) -> int:
        """How many of the texts so far were longer than `max_tokens`."""
        ...

    def encode(self, texts: Sequence[str], role: Role, done: Callable[[Sequence[int]], None]) -> Vectors:
        """[len(texts), dimension]; `done` hears the positions of the texts of each batch."""
        ...


def distinct(texts: Sequence[str]) -> Distinct:
    """The texts without repeats, in the order in which they come first."""
    position: dict[str, int] = {}
    rows = np.fromiter((position.setdefault(text, len(position)) for text in texts), dtype=np.intp, count=len(texts))
    copies = np.bincount(rows, minlength=len(position)).tolist() if len(texts) else []
    return Distinct(list(position), rows, copies)


def clean(text: str) -> str:
    """The text without lone surrogates, which a command line of another encoding may hold and tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()


def most_characters(max_tokens: int) -> int:
    """How much of a text is looked at by a model that reads `max_tokens`."""
    return max_tokens * _MAX_TOKEN_CHARACTERS
