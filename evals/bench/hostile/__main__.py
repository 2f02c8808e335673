"""The campaign as a command: plays all variants, or some, and tells what happened that must not.

    python -m evals.bench.hostile [--kind folder] [--name TEXT] [--limit N] [--seed 0] [--jobs 2] [--json FILE]

Exit code 1 where any variant did harm. Takes some minutes; nothing is read or written outside of temporary folders.
"""

import argparse
import json
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from evals.context import run_context

from .case import Case, Verdict, play
from .variants import variants


def chosen(cases: list[Case], kind: str | None, name: str | None, limit: int | None, seed: int) -> list[Case]:
    """The cases of a kind whose name holds a text, at most `limit` of them, drawn by the seed."""
    found = [case for case in cases if kind in (None, case.kind) and (name or "") in case.name]
    return found if limit is None else random.Random(seed).sample(found, min(limit, len(found)))


def main() -> int:
    """Plays, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description="Play received folders that mean harm.")
    parser.add_argument("--kind", choices=sorted({case.kind for case in variants()}))
    parser.add_argument("--name", help="only variants whose name holds this text")
    parser.add_argument("--limit", type=int, help="so many, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the verdicts to a file")
    given = parser.parse_args()
    cases = chosen(variants(), given.kind, given.name, given.limit, given.seed)
    with ThreadPoolExecutor(given.jobs) as pool:
        verdicts = []
        for verdict in pool.map(play, cases):
            verdicts.append(verdict)
            for harm in verdict.harm:
                print(f"HARM  {verdict.kind}: {verdict.name}: {harm}", flush=True)
    summary(verdicts)
    if given.json:
        content = {"context": asdict(run_context()), "verdicts": [asdict(verdict) for verdict in verdicts]}
        given.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return int(any(verdict.harm for verdict in verdicts))


def summary(verdicts: list[Verdict]) -> None:
    """Counts by kind, the slowest and the largest."""
    total, harmful = Counter(v.kind for v in verdicts), Counter(v.kind for v in verdicts if v.harm)
    for kind, count in sorted(total.items()):
        print(f"{kind:10} {count:4} variants, {harmful[kind]} did harm")
    if verdicts:
        slow, large = max(verdicts, key=lambda v: v.seconds), max(verdicts, key=lambda v: v.memory_mib)
        print(f"all        {len(verdicts):4} variants, {sum(harmful.values())} did harm")
        print(f"slowest command {slow.seconds:.1f} s ({slow.name}), largest {large.memory_mib:,.0f} MiB ({large.name})")


if __name__ == "__main__":
    sys.exit(main())
