"""The attention benchmark as a picture: rates over the length of the context.

python -m evals.bench.attention.plot docs/kernels.json docs/kernels.svg
"""

import json
import sys
from pathlib import Path
from typing import Any

from evals.bench.attention.cases import DECODE, PREFILL, Case
from pipeline.charts import Panel, plot

SHOWN = ("ours 128", "FA3 FP8 64", "FA3 FP8 128", "FA3 bf16", "FA3 bf16 paged")


def draw(report: dict[str, Any]) -> str:
    """An SVG of prefill and decode at 32/8 heads of 128 and batch 1, from the benchmark's JSON."""
    prefill = [case for case in PREFILL if case.heads == (32, 8) and len(case.context_lengths) == 1]
    decode = [case for case in DECODE if case.heads == (32, 8) and len(case.context_lengths) == 1]
    panels = [
        Panel("Prefill of 8,192 queries, TFLOP/s", _lines(report["prefill"], prefill, lambda case: case.flops / 1e9)),
        Panel("Decode, GB/s of keys and values in FP8", _lines(report["decode"], decode, lambda c: c.fp8_bytes / 1e6)),
    ]
    panels = [Panel(panel.title, panel.lines, log=False) for panel in panels]
    return plot(
        f"Attention on one {report['device']}, by context in units of 1,024 tokens",
        f"32 query heads, 8 KV heads of 128; commit {report['context']['commit']}; docs/results.md has all cases.",
        panels,
    )


def _lines(times: dict[str, dict[str, float]], cases: list[Case], work: Any) -> dict[str, list[tuple[float, float]]]:
    """Points (context, rate) by contender."""
    measured = [(case, times[case.name]) for case in cases]
    return {
        name: [(case.context_lengths[0] / 1024, work(case) / found[name]) for case, found in measured if name in found]
        for name in SHOWN
        if any(name in found for _, found in measured)
    }


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(draw(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
