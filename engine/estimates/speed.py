"""Measured prefill speed of a model on a device, kept between runs, and the time it predicts for a prompt."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..surroundings import write_private

KEPT = 8  # newest observations of lengths between two powers of two
MIN_TOKENS = 64  # shorter prompts measure overhead


@dataclass(frozen=True, slots=True)
class Observation:
    """A prompt of `tokens` that took `seconds` to its first token."""

    tokens: int
    seconds: float


def predict_seconds(observations: Sequence[Observation], tokens: int) -> float | None:
    """Seconds of prefill for a prompt, by least squares of relative errors on c + a·n + b·n², none of them negative;
    None without data.

    The constant is what any request takes, the quadratic term attention's. It needs three lengths to tell them all
    apart: with two the constant is left out, with one the speed is taken as constant. Beyond the longest prompt that
    was measured the time grows in proportion at least.
    """
    if not observations:
        return None
    n = np.array([item.tokens for item in observations], dtype=float)
    t = np.array([item.seconds for item in observations], dtype=float)
    powers = {1: (1,), 2: (1, 2)}.get(len(set(n.tolist())), (0, 1, 2))
    longest = float(n.max())  # powers of numbers around 1 are told apart better
    columns = {power: (n / longest) ** power / t for power in powers}
    choices = [chosen for size in range(1, len(powers) + 1) for chosen in combinations(powers, size)]
    fits = [fit for chosen in choices if (fit := _fit(columns, chosen)) is not None]
    _, factors = min(fits, key=lambda fit: fit[0])
    ratio = tokens / longest
    fitted = sum(factor * ratio**power for power, factor in factors.items())
    return float(max(fitted, sum(factors.values()) * ratio)) if ratio > 1 else float(fitted)


def _fit(columns: dict[int, NDArray[np.float64]], chosen: tuple[int, ...]) -> tuple[float, dict[int, float]] | None:
    """The squares of relative errors with these powers alone, and their factors; None where one is negative."""
    design = np.stack([columns[power] for power in chosen], axis=1)
    factors, *_ = np.linalg.lstsq(design, np.ones(len(design)), rcond=None)
    if (factors < 0).any():
        return None
    error = float(np.sum((design @ factors - 1) ** 2))
    return error, dict(zip(chosen, factors.tolist(), strict=True))


class SpeedProfile:
    """The observations of one model on one device, in a JSON file that is replaced whole."""

    def __init__(self, folder: Path, model: str, device: str, dtype: str) -> None:
        self.label = f"{model} on {device}, {dtype}"
        self._path = folder / f"{hashlib.sha256(self.label.encode()).hexdigest()[:16]}.json"

    def observations(self) -> list[Observation]:
        """What was measured, oldest first; an unreadable file counts as none."""
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))["observations"]
            found = [Observation(int(row["tokens"]), float(row["seconds"])) for row in rows]
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return []
        return found if all(item.tokens > 0 and 0 < item.seconds < math.inf for item in found) else []

    def record(self, tokens: int, seconds: float) -> None:
        """Adds an observation; prompts under MIN_TOKENS are not taken."""
        if tokens < MIN_TOKENS or seconds <= 0:
            return
        rows = _newest([*self.observations(), Observation(tokens, seconds)])
        content = {"label": self.label, "observations": [asdict(row) for row in rows]}
        write_private(self._path, json.dumps(content, indent=1).encode())

    def predict(self, tokens: int) -> float | None:
        """Seconds to the first token of a prompt, or None where nothing was measured."""
        return predict_seconds(self.observations(), tokens)


def _newest(rows: Sequence[Observation]) -> list[Observation]:
    """The newest KEPT of each octave of lengths, oldest first: many short prompts do not crowd out a long one."""
    seen: defaultdict[int, int] = defaultdict(int)
    kept = []
    for row in reversed(rows):
        octave = row.tokens.bit_length()
        seen[octave] += 1
        if seen[octave] <= KEPT:
            kept.append(row)
    return kept[::-1]
