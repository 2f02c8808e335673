"""Predicted and measured seconds to the first token, at lengths between those that the prediction was made from.

    python -m evals.bench.serving.prefill --model MODEL [--kv-cache fp8] [--json FILE]

The embedded engine is measured as `fathom models pull` does it, into a profile of its own; then prompts between each
two of those lengths are read, each several times, and the median is compared with what was predicted before.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from engine.base import Engine
from engine.embedded import EmbeddedEngine
from engine.estimates.speed import SpeedProfile
from engine.models.resolution import cache_folder, locate
from engine.preview import EmbeddedSettings
from evals.context import run_context
from pipeline.measuring import measure_speed, reading_seconds

GOAL = 0.2  # how far a prediction may be off


@dataclass(frozen=True, slots=True)
class Predicted:
    """A prompt's tokens, the median of its measured seconds, all of them, and the seconds that were predicted."""

    tokens: int
    measured_s: float
    readings_s: tuple[float, ...]
    predicted_s: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_s / self.measured_s


def between(lengths: Sequence[int]) -> list[int]:
    """The geometric means of neighbouring lengths."""
    return [round(math.sqrt(low * high)) for low, high in pairwise(sorted(set(lengths)))]


def compared(engine: Engine, profile: SpeedProfile, times: int) -> list[Predicted]:
    """Predictions from a profile against readings that it does not get."""
    found = []
    for length in between([item.tokens for item in profile.observations()]):
        readings = [reading_seconds(engine, length) for _ in range(times)]
        tokens = readings[0].tokens
        seconds = tuple(item.seconds for item in readings)
        found.append(Predicted(tokens, median(seconds), seconds, profile.predict(tokens) or 0.0))
        sys.stderr.write(f"{tokens:,} tokens: {found[-1].measured_s:.3f} s, {found[-1].predicted_s:.3f} s predicted\n")
    return found


def table(found: Sequence[Predicted]) -> list[str]:
    """Markdown."""
    lines = ["| tokens | measured, s | predicted, s | ratio |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {item.tokens:,} | {item.measured_s:.3f} | {item.predicted_s:.3f} | {item.ratio:.2f} |" for item in found
    ]
    within = sum(abs(item.ratio - 1) <= GOAL for item in found)
    return [*lines, "", f"{within} of {len(found)} predictions are within {GOAL:.0%}."]


def main() -> None:
    """Measures, predicts, compares."""
    parser = argparse.ArgumentParser(description="Predicted and measured prefill times.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--kv-cache", default="auto")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--commit")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    log = cache_folder() / "logs" / "prefill.log"
    settings = EmbeddedSettings(0, kv_dtype=arguments.kv_cache)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(EmbeddedEngine(locate(arguments.model), settings, log)) as engine,
    ):
        profile = SpeedProfile(Path(folder), engine.info.model, engine.info.device, engine.info.kv_dtype or "auto")
        measure_speed(engine, profile, lambda stage: print(stage, file=sys.stderr))
        measured = profile.observations()
        found = compared(engine, profile, arguments.times)
        context = asdict(run_context(("vllm", "torch"))) | ({"commit": arguments.commit} if arguments.commit else {})
        engine_told = asdict(engine.info)
    told = ", ".join(f"{item.tokens:,}: {item.seconds:.3f} s" for item in measured)
    for line in [*table(found), f"Predicted from {told}", f"on {engine_told['device']}", str(context)]:
        print(line)
    if arguments.json:
        content = {"context": context, "engine": engine_told, "measured": [asdict(item) for item in measured]}
        content["compared"] = [asdict(item) for item in found]
        arguments.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
