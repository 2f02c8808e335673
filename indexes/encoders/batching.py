"""Texts of any length → batches of token ids of like lengths, padded little."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WINDOW_TEXTS = 2048  # tokenized at a time; what a call holds beside its vectors does not grow with it
BATCH_TOKENS = 2048  # measured: larger batches are no faster on two cores, and take more memory
BATCH_TEXTS = 32
_STEP = 8  # lengths are rounded up to it: the runtime prepares itself for every new shape

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids and their mask (1 a token, 0 padding), both [texts, length], and where the texts stand."""

    positions: list[int]
    ids: Ids
    mask: Ids


def windows(texts: Sequence[str]) -> Iterator[list[int]]:
    """Positions of all texts, the longest first, in runs of WINDOW_TEXTS: length in characters stands for tokens."""
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    for first in range(0, len(order), WINDOW_TEXTS):
        yield order[first : first + WINDOW_TEXTS]


def batches(positions: Sequence[int], tokens: Sequence[Sequence[int]], pad_id: int) -> Iterator[Batch]:
    """Batches of at most BATCH_TEXTS texts and BATCH_TOKENS tokens, padding included, but at least one text.

    `tokens[i]` belongs to the text at `positions[i]`. A text without a token gets one of padding.
    """
    order = sorted(range(len(tokens)), key=lambda i: -len(tokens[i]))
    first = 0
    while first < len(order):
        length = -(-max(1, len(tokens[order[first]])) // _STEP) * _STEP
        chosen = order[first : first + max(1, min(BATCH_TEXTS, BATCH_TOKENS // length))]
        first += len(chosen)
        ids = np.full((len(chosen), length), pad_id, dtype=np.int64)
        mask = np.zeros((len(chosen), length), dtype=np.int64)
        for row, i in enumerate(chosen):
            ids[row, : len(tokens[i])] = tokens[i]
            mask[row, : len(tokens[i])] = 1
        yield Batch([positions[i] for i in chosen], ids, mask)
