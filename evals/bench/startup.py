"""Times of whole commands as a user starts them: help, word search, hybrid search, and `ask` split into its parts.

    python -m evals.bench.startup [--runs 3] [--json FILE]

Every run is a new process. The collection is the sample data room, indexed before the clock starts. For `ask` the
parts are what `fathom ask --json` reports itself, and `process` is the wall time around it; the first token comes
after engine start, retrieval and prefill. Medians are printed with the least and the most of all runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evals.context import run_context
from evals.datasets.dealroom import ROOM
from indexes.collection import Collection
from pipeline.errors import ExitCode

QUESTION = "What is Quillhaven's runway in months?"  # the Makefile's demo asks the same
_FATHOM = [sys.executable, "-m", "pipeline"]


def timed(arguments: Sequence[str]) -> tuple[float, str]:
    """Seconds and stdout of one `fathom` process. Raises RuntimeError for an exit code that is no answer."""
    started = time.monotonic()
    done = subprocess.run([*_FATHOM, *arguments], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode not in (ExitCode.ANSWERED, ExitCode.NO_ANSWER):
        raise RuntimeError(f"fathom {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def spread(values: Sequence[float]) -> str:
    """Median, least and most of some seconds."""
    return f"{statistics.median(values):6.2f} s  ({min(values):.2f} to {max(values):.2f}, n={len(values)})"


def measure(runs: int, collection: Path) -> dict[str, list[float]]:
    """Seconds by command and part, one value a run."""
    at = ["--collection", str(collection)]
    times: dict[str, list[float]] = {}

    def add(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds)

    for _ in range(runs):
        add("help", timed(["--help"])[0])
        add("search --mode lexical", timed(["search", QUESTION, "--mode", "lexical", *at])[0])
        add("search --mode hybrid", timed(["search", QUESTION, *at])[0])
        seconds, text = timed(["ask", QUESTION, "--json", *at])
        answer = json.loads(text)
        parts = answer["timings"]
        add("ask: whole process", seconds)
        add("ask: retrieval, its imports included", parts["retrieval_s"])
        add("ask: engine start", parts["engine_start_s"])
        add(f"ask: prefill ({answer['prompt_tokens']} tokens)", parts["prefill_s"])
        add("ask: decode", parts["decode_s"])
        add("ask: check", parts["check_s"])
        rest = seconds - sum(parts[key] for key in ("decode_s", "check_s"))
        add("ask: until the first token, exit included", rest)
    return times


def main() -> None:
    """Indexes the room, measures, prints."""
    parser = argparse.ArgumentParser(description="Time fathom's commands as new processes.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the times to a file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / ".fathom"
        collection = Collection.open_or_create(folder)
        collection.add([ROOM])
        collection.close()
        times = measure(arguments.runs, folder)
    for name, values in times.items():
        print(f"{name:44} {spread(values)}")
    context = asdict(run_context())
    print(context)
    if arguments.json:
        arguments.json.write_text(json.dumps({"context": context, "seconds": times}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
