"""How a collection grows: building, size, memory, opening and searching from thousands of chunks to a million.

    python -m evals.bench.scale [--chunks 10000 30000 …] [--queries 300] [--out FOLDER] [--json] [--resume]

Texts are generated (`evals.datasets.generated` says how real they are), their vectors too, so that no model is in the
times. Each size is built by the code that indexes files, from loaded documents on; each step is a new process. What
is measured is kept in FOLDER/scale.json after every step and drawn in FOLDER/scale.svg; `--resume` leaves sizes out
that are whole in that file. A million chunks need about 12 GB below --scratch, which are removed.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evals.bench.scale.contest import compare
from evals.bench.scale.steps import run_step
from evals.context import run_context
from evals.datasets.generated import DOCUMENT_CHUNKS
from pipeline.charts import Panel, plot, short

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
GOAL_QUERY_MS = 30
GOAL_PEAK_MIB = 6 * 1024
GOAL_OPEN_S = 0.3  # at 100,000 chunks
_PACKAGES = ("faiss-cpu", "numpy", "rank-bm25", "bm25s", "numba", "tantivy")
_MODES = ("lexical", "dense", "hybrid")

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """What is the same for all sizes: questions, rounds of them, chunks that are added later, the seed."""

    queries: int = 300
    rounds: int = 3
    added: int = 1_000
    seed: int = 0
    contenders: bool = True


def measure_size(chunks: int, settings: ScaleSettings, scratch: Path | None, keep: Callable[[Figures], None]) -> None:
    """Measures one size; `keep` gets the figures so far after every step. A step that fails ends it, and is named."""
    figures: Figures = {"chunks": chunks, "settings": asdict(settings), "context": asdict(run_context(_PACKAGES))}
    seed, modes, rounds = settings.seed, list(_MODES), settings.rounds
    with tempfile.TemporaryDirectory(prefix=f"fathom-scale-{chunks}-", dir=scratch) as place:
        folder, lexical = Path(place), Path(place, "lexical")
        lexical.mkdir()
        steps: dict[str, Callable[[], Figures]] = {
            "build": lambda: run_step("build", folder=folder, chunks=chunks, questions=settings.queries, seed=seed),
            "open_cold": lambda: run_step("open_indexes", folder=folder, evict=True),
            "open_warm": lambda: run_step("open_indexes", folder=folder, evict=False),
            "search": lambda: run_step("search", folder=folder, modes=modes, rounds=rounds),
            "recall": lambda: run_step("recall", folder=folder),
            "lexical": lambda: compare(folder, lexical, rounds),
            "add": lambda: run_step("add", folder=folder, chunks=chunks, more=settings.added, seed=seed),
            "search_after_add": lambda: run_step("search", folder=folder, modes=modes, rounds=1),
        }
        if not settings.contenders:
            del steps["lexical"]
        for name, step in steps.items():
            print(f"{short(chunks)} chunks: {name}", file=sys.stderr, flush=True)
            try:
                figures[name] = step()
            except RuntimeError as error:
                figures["failed"] = f"{name}: {error}"
            keep(figures)
            if "failed" in figures:
                return


def panels(sizes: Sequence[Figures]) -> list[Panel]:
    """What the picture shows."""

    def line(*path: str) -> list[tuple[float, float]]:
        found = [(size["chunks"], _at(size, path)) for size in sizes]
        return [(chunks, value) for chunks, value in found if value is not None]

    gigabytes = {part: [(x, y / 1e9) for x, y in line("build", "bytes", part)] for part in _parts(sizes)}
    names = {name: None for size in sizes for name in _at(size, ("lexical", "contenders")) or {}}
    return [
        Panel("Built, chunks per second (vectors known)", {"chunks/s": line("build", "chunks_per_s")}, log=False),
        Panel("On the disk, GB", gigabytes),
        Panel(
            "Peak memory, MiB (dashed: goal)",
            {"build": line("build", "peak_mib"), "search": line("search", "peak_mib")},
            goal=GOAL_PEAK_MIB,
        ),
        Panel(
            "Open the indexes, s (dashed: goal at 100k)",
            {"cold": line("open_cold", "open_s"), "warm": line("open_warm", "open_s")},
            goal=GOAL_OPEN_S,
        ),
        Panel(
            "A search, ms, embedding left out (dashed: goal)",
            {f"{mode} {p}": line("search", mode, f"{p}_ms") for mode in _MODES for p in ("p50", "p99")},
            goal=GOAL_QUERY_MS,
        ),
        Panel("Lexical, p50 of a query, ms", {name: line("lexical", "contenders", name, "p50_ms") for name in names}),
        Panel("Lexical, time to build, s", {name: line("lexical", "contenders", name, "build_s") for name in names}),
        Panel(
            "Lexical, memory of a searching process, MiB",
            {name: line("lexical", "contenders", name, "query_peak_mib") for name in names},
        ),
    ]


def table(sizes: Sequence[Figures]) -> str:
    """The figures as lines of text, one size after another."""
    lines = []
    for size in sizes:
        lines.append(f"{size['chunks']:,} chunks")
        lines.extend(f"  {label:34} {text}" for label, text in _rows(size))
        for name, row in (_at(size, ("lexical", "contenders")) or {}).items():
            built = f"build {row['build_s']:8.1f} s {row['bytes'] / 1e6:8.1f} MB" if "bytes" in row else " " * 27
            times = f"load {row['load_s']:8.3f} s  p50 {row['p50_ms']:8.2f} p99 {row['p99_ms']:8.2f} ms"
            memory = f"{row.get('peak_mib', row['query_peak_mib']):7.0f} / {row['query_peak_mib']:6.0f} MiB"
            lines.append(f"  {name:14} {built}  {times}  {memory}  agrees {row['agreement_at_10']:.3f}")
        if "failed" in size:
            lines.append(f"  failed: {size['failed']}")
    return "\n".join(lines)


def _rows(size: Figures) -> list[tuple[str, str]]:
    rows = []
    for name, label in (("build", "built"), ("add", "added")):
        if step := size.get(name):
            phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in step["seconds"].items())
            rows.append((f"{label}, chunks/s (s: {phases})", f"{step['chunks_per_s']:,.0f}"))
    if build := size.get("build"):
        rows.append(("bytes by part", ", ".join(f"{part} {n / 1e6:,.1f} MB" for part, n in build["bytes"].items())))
        rows.append(
            ("peak memory, building", f"{build['peak_mib']:,.0f} MiB (generator {build['generator_mib']:,.0f})")
        )
    for name in ("open_cold", "open_warm"):
        if step := size.get(name):
            text = (
                f"{step['open_s']:.3f} s, first query {step['first_query_s']:.3f} s, imports {step['import_s']:.2f} s"
            )
            rows.append((name.replace("_", ", "), text))
    for name, label in (("search", "search"), ("search_after_add", "after the addition")):
        for mode in _MODES:
            if found := _at(size, (name, mode)):
                times = "  ".join(f"{p} {found[f'{p}_ms']:.1f}" for p in ("p50", "p90", "p99"))
                rows.append((f"{label}, {mode}", f"{times} ms (n={found['n']})"))
    if step := size.get("search"):
        rows.append(("peak memory, searching", f"{step['peak_mib']:,.0f} MiB"))
    if step := size.get("recall"):
        text = f"@10 {step['recall_at_10']:.4f}  @100 {step['recall_at_100']:.4f}  (n={step['n']})"
        rows.append((f"dense recall, {', '.join(step['search'])}", text))
    return rows


def _at(figures: Any, path: Sequence[str]) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in path:
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


def _parts(sizes: Sequence[Figures]) -> list[str]:
    return list(next((size["build"]["bytes"] for size in sizes if "build" in size), {}))


def _write(out: Path, sizes: Sequence[Figures]) -> None:
    """Both files anew, each made whole before it takes its place."""
    ordered = sorted(sizes, key=lambda size: int(size["chunks"]))
    context = ordered[-1]["context"]
    note = f"evals.bench.scale at commit {context['commit']}, {context['cores']} cores of {context['processor']}"
    contents = {
        "scale.json": json.dumps({"sizes": ordered}, indent=1),
        "scale.svg": plot("A collection as it grows: chunks against time, size and memory", note, panels(ordered)),
    }
    for name, content in contents.items():
        aside = out / f"{name}.part"
        aside.write_text(content, encoding="utf-8")
        aside.replace(out / name)


def main() -> None:
    """Measures the sizes, one after another, and prints what was found."""
    defaults = ScaleSettings()
    parser = argparse.ArgumentParser(description="Measure how a collection grows.")
    parser.add_argument("--chunks", type=int, nargs="+", default=SIZES)
    parser.add_argument("--queries", type=int, default=defaults.queries)
    parser.add_argument("--rounds", type=int, default=defaults.rounds, help="how often every question is asked")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--out", type=Path, help="folder for scale.json and scale.svg")
    parser.add_argument("--scratch", type=Path, help="folder for the collections while they are measured")
    parser.add_argument("--no-contenders", action="store_true", help="leave the other lexical libraries out")
    parser.add_argument("--resume", action="store_true", help="keep the sizes that are whole in FOLDER/scale.json")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if uneven := [n for n in arguments.chunks if n < DOCUMENT_CHUNKS or n % DOCUMENT_CHUNKS]:
        parser.error(f"a size must be a multiple of {DOCUMENT_CHUNKS}, the chunks of a document; got {uneven}")
    settings = ScaleSettings(
        arguments.queries, arguments.rounds, seed=arguments.seed, contenders=not arguments.no_contenders
    )
    sizes: dict[int, Figures] = {}
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        if arguments.resume and (arguments.out / "scale.json").exists():
            before = json.loads((arguments.out / "scale.json").read_text(encoding="utf-8"))["sizes"]
            sizes = {size["chunks"]: size for size in before if "search_after_add" in size}

    def keep(figures: Figures) -> None:
        sizes[figures["chunks"]] = figures
        if arguments.out:
            _write(arguments.out, list(sizes.values()))

    for chunks in arguments.chunks:
        if chunks not in sizes:
            measure_size(chunks, settings, arguments.scratch, keep)
    ordered = [sizes[chunks] for chunks in sorted(sizes)]
    print(json.dumps({"sizes": ordered}, indent=1) if arguments.json else table(ordered))
    if not arguments.json:
        print("python -m evals.bench.scale", *sys.argv[1:])
        print(ordered[-1]["context"])
    if any("failed" in size for size in ordered):
        sys.exit(1)


if __name__ == "__main__":
    main()
