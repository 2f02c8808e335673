"""Token ids of texts, and how far two runs of an engine agree in theirs."""

from collections.abc import Sequence
from typing import Any


def ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text, without special tokens around it."""
    return [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]


def agreement(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> tuple[float, float]:
    """The share of answers that are the same, and the share of tokens before two answers part."""
    alike, tokens = 0, 0
    for left, right in zip(one, other, strict=True):
        same = next(
            (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
        )
        alike += list(left) == list(right)
        tokens += same
    return alike / len(one), tokens / sum(map(len, one))
