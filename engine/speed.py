"""Measured prefill speed of a model on a device, kept between runs, and the time it predicts for a prompt."""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

KEPT = 48  # newest observations
MIN_TOKENS = 64  # shorter prompts measure overhead


@dataclass(frozen=True, slots=True)
class Observation:
    """A prompt of `tokens` that took `seconds` to its first token."""

    tokens: int
    seconds: float


def predict_seconds(observations: Sequence[Observation], tokens: int) -> float | None:
    """Seconds of prefill for a prompt, by least squares on a·n + b·n², a and b not negative; None without data.

    The quadratic term is attention's; with a single length measured the speed is taken as constant.
    """
    if not observations:
        return None
    n = np.array([item.tokens for item in observations], dtype=float)
    t = np.array([item.seconds for item in observations], dtype=float)
    # Relative errors count, so that short prompts are predicted as well as long ones.
    linear = float(np.mean(t / n))
    if len(set(n.tolist())) > 1:
        design = np.stack([np.ones_like(n), n], axis=1)  # t/n = a + b·n
        (a, b), *_ = np.linalg.lstsq(design, t / n, rcond=None)
        if a > 0 and b > 0:
            return float(a * tokens + b * tokens**2)
        if a <= 0:
            b_only = float(np.sum(t) / np.sum(n * n))
            return b_only * tokens**2
    return linear * tokens


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
        rows = [*self.observations(), Observation(tokens, seconds)][-KEPT:]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(f".{os.getpid()}.part")
        content = {"label": self.label, "observations": [asdict(row) for row in rows]}
        aside.write_text(json.dumps(content, indent=1), encoding="utf-8")
        aside.replace(self._path)

    def predict(self, tokens: int) -> float | None:
        """Seconds to the first token of a prompt, or None where nothing was measured."""
        return predict_seconds(self.observations(), tokens)
