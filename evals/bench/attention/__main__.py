"""The attention kernels against FlashAttention 3 and vLLM's Triton kernel, side by side on one GPU.

    python -m evals.bench.attention [--only prefill,decode,…] [--rounds 5] [--commit ID] [--json FILE]

First the ceilings of this GPU: a bf16 and an FP8 matrix product, a copy. Then the gate: no speed is printed unless all
our kernels run and their errors against float64 are under 1%, with and without outliers in the keys, in prefill with
heads of 128 also within 1.05 of FlashAttention 3's in FP8 where that is right. Prefill counts causal operations:
4 · Hq · D · (Q · N − Q² / 2). Decode counts the bytes of FP8 keys and values; what fits the L2 cache (8K at batch 1) is
read from there by everyone. Contenders take turns in every round; figures are medians.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import triton.testing

from engine.attention import reference
from evals.bench.attention.cases import DECODE, PREFILL, Case, Ours, Problem, Run, make_problem, one_length
from evals.bench.attention.peers import flash3, vllm_triton
from evals.context import run_context

Lines = list[tuple[str, dict[str, float]]]
OURS = {"ours 128", "ours 64", "portable 128"}
# title, heads, head size, tokens of context, bias of the keys, whether it is decode, whether FA3's error is a limit too
GATE = [
    ("9,001 tokens", (32, 8), 128, 9001, 0.0, False, True),
    ("128K", (32, 8), 128, 131072, 0.0, False, True),
    ("key bias 20", (32, 8), 128, 9001, 20.0, False, True),
    ("key bias 300", (32, 8), 128, 9001, 300.0, False, True),
    ("heads of 64", (9, 3), 64, 9001, 0.0, False, False),
    ("decode, 9,001 tokens", (32, 8), 128, 9001, 0.0, True, False),
    ("decode, key bias 300", (32, 8), 128, 9001, 300.0, True, False),
]
SECTIONS = ("prefill", "decode", "write")
MOST_ERROR = 0.01
MARGIN = 1.05  # of FA3's error: two runs over other random numbers differ by this much


def contenders(decoding: bool) -> dict[str, Callable[[Problem], Run]]:
    """Names and makers of all that compete."""
    ours: dict[str, Callable[[Problem], Run]] = {
        "ours 128": lambda problem: Ours.of(problem, 128).decode(),
        "ours 64": lambda problem: Ours.of(problem, 64).decode(),
        "FA3 bf16 paged": lambda problem: flash3(problem, 64, False),
    }
    if not decoding:
        ours = {
            "ours 128": lambda problem: Ours.of(problem, 128).prefill(),
            "ours 64": lambda problem: Ours.of(problem, 64).prefill(),
            "portable 128": lambda problem: Ours.of(problem, 128).prefill("triton"),
            "FA3 bf16": lambda problem: flash3(problem, 0, False),
        }
    return ours | {
        "FA3 FP8 64": lambda problem: flash3(problem, 64, True),
        "FA3 FP8 128": lambda problem: flash3(problem, 128, True),
        "vLLM Triton FP8": lambda problem: vllm_triton(problem, 64),
    }


def timed(runs: dict[str, Run], rounds: int, graph: bool) -> dict[str, float]:
    """Median milliseconds of each, in turns; through a CUDA graph where launches would be seen."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if graph:
                ms = triton.testing.do_bench_cudagraph(run, rep=20, return_mode="median")
            else:
                ms = triton.testing.do_bench(run, warmup=10, rep=60, return_mode="median")
            times[name].append(ms)
    return {name: statistics.median(values) for name, values in times.items()}


def prepared(problem: Problem, decoding: bool) -> tuple[dict[str, Run], dict[str, str]]:
    """What runs on this problem, and why the others do not."""
    runs, missing = {}, {}
    for name, make in contenders(decoding).items():
        try:
            run = make(problem)
            run()
            torch.cuda.synchronize()
            runs[name] = run
        except (ImportError, RuntimeError, ValueError, TypeError, AssertionError, AttributeError) as error:
            missing[name] = f"{type(error).__name__}: {error}"[:200]
    return runs, missing


def ceilings() -> dict[str, float]:
    """TFLOP/s of 8192³ matrix products in bf16 and FP8, and GB/s of a 4 GiB copy, bytes read and written."""
    left, right = (torch.randn(8192, 8192, device="cuda").to(torch.bfloat16) for _ in range(2))
    left8, right8 = left.to(torch.float8_e4m3fn), right.to(torch.float8_e4m3fn).T
    one = torch.ones((), device="cuda")
    source = torch.empty(2**32, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    runs: dict[str, Run] = {
        "bf16": lambda: left @ right,
        "fp8": lambda: torch._scaled_mm(left8, right8, one, one, out_dtype=torch.bfloat16),
        "copy": lambda: target.copy_(source),
    }
    times = timed(runs, 3, False)
    flops = 2 * 8192**3
    return {
        "bf16_tflops": flops / times["bf16"] / 1e9,
        "fp8_tflops": flops / times["fp8"] / 1e9,
        "copy_gbps": 2 * 2**32 / times["copy"] / 1e6,
    }


def sampled_error(problem: Problem, run: Run, rows: list[int]) -> float:
    """‖out − float64‖ / ‖float64‖ over some queries of a problem with one sequence."""
    count, context = problem.query_lengths[0], problem.context_lengths[0]
    chosen = torch.tensor(rows, device="cuda")
    expected = reference.attention(
        problem.query[chosen], problem.keys[:context], problem.values[:context], problem.scale,
        positions=context - count + chosen,
    )  # fmt: skip
    result = run()[chosen].double()
    return float((result - expected).norm() / expected.norm())


def without_bias(problem: Problem) -> None:
    """Takes the keys' mean out of the queries, so that what differs between keys decides the logits, as it would."""
    group = problem.query.shape[1] // problem.keys.shape[1]
    mean = problem.keys.float().mean(0).repeat_interleave(group, 0)
    along = (problem.query.float() * mean).sum(-1, keepdim=True) / mean.pow(2).sum(-1, keepdim=True)
    problem.query.copy_((problem.query.float() - along * mean).to(problem.query.dtype))


def gate() -> tuple[dict[str, dict[str, float]], list[str]]:
    """Errors of all, and what of ours is not right or did not run."""
    errors, faults = {}, []
    for title, heads, head_dim, context, bias, decoding, beside in GATE:
        queries, rows = (1, [0]) if decoding else (2048, [0, 1, 63, 64, 65, 1000, 2046, 2047])
        problem = make_problem(one_length(title, heads, head_dim, queries, context), bias)
        if bias:
            without_bias(problem)
        runs, missing = prepared(problem, decoding)
        errors[title] = {name: sampled_error(problem, run, rows) for name, run in runs.items()}
        faults += faults_of(title, errors[title], missing, beside)
    return errors, faults


def faults_of(title: str, errors: dict[str, float], missing: dict[str, str], beside: bool) -> list[str]:
    """What shuts the gate: a kernel of ours that did not run, or whose error is over its limit (NaN is)."""
    theirs = [error for name, error in errors.items() if name.startswith("FA3 FP8") and error <= MOST_ERROR]
    limit = min([MOST_ERROR, *(error * MARGIN for error in theirs)]) if beside else MOST_ERROR
    faults = [f"{title}: {name} did not run: {why}" for name, why in missing.items() if name in OURS]
    for name, error in errors.items():
        if name in OURS and not error <= limit:
            faults.append(f"{title}: {name} {error:.4f}, limit {limit:.4f}")
    return faults


def all_names(lines: Lines) -> list[str]:
    """The columns of some lines, in their first order."""
    return list(dict.fromkeys(name for _, values in lines for name in values))


def table(title: str, names: list[str], lines: Lines, form: str) -> str:
    """A Markdown table; what is missing stays empty."""
    rows = [f"\n{title}\n", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, values in lines:
        cells = [format(values[column], form) if column in values else "" for column in names]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def measure(cases: list[Case], decoding: bool, rounds: int) -> tuple[Lines, dict[str, str]]:
    """Milliseconds by case and contender, and what is missing."""
    lines, missing = [], {}
    for case in cases:
        runs, absent = prepared(make_problem(case), decoding)
        lines.append((case.name, timed(runs, rounds, decoding)))
        missing.update({f"{case.name}, {name}": why for name, why in absent.items()})
        print(".", end="", file=sys.stderr, flush=True)
    return lines, missing


def measure_writes(rounds: int) -> Lines:
    """Microseconds of a layer's cache write beside the attention of the same step."""
    lines = []
    for case in (PREFILL[1], *DECODE):
        decoding = case.query_lengths[0] == 1
        ours = Ours.of(make_problem(case), 128)
        runs = {"write": ours.write(), "attention": ours.decode() if decoding else ours.prefill()}
        times = timed(runs, rounds, decoding)
        share = {"share %": 100 * times["write"] / times["attention"]}
        lines.append((case.name, {name: ms * 1000 for name, ms in times.items()} | share))
    return lines


def main() -> int:
    """Prints tables; 1 where the gate is shut, 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}, after the gate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commit", help="where the folder is no git checkout")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: these kernels are measured on one", file=sys.stderr)
        return 2
    context = asdict(run_context(("torch", "triton", "vllm")))
    context["commit"] = options.commit or context["commit"]
    top, device = ceilings(), torch.cuda.get_device_name()
    print(f"{device} · commit {context['commit']} · {context['packages']} · rounds {options.rounds}")
    print("ceilings: " + ", ".join(f"{name} {value:,.0f}" for name, value in top.items()))
    errors, faults = gate()
    print(table("Error against float64", all_names(list(errors.items())), list(errors.items()), ".4f"))
    if faults:
        print("the gate is shut:", *faults, sep="\n  ")
        return 1
    speeds = measure_sections(options.only.split(","), options.rounds, top)
    if options.json:
        report = {"device": device, "context": context, "ceilings": top, "errors": errors, **speeds}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


def measure_sections(chosen: Sequence[str], rounds: int, top: dict[str, float]) -> dict[str, object]:
    """Prints the sections' tables and returns their times: milliseconds, and microseconds of writes."""
    report: dict[str, object] = {}
    for section, cases in (("prefill", PREFILL), ("decode", DECODE)):
        if section in chosen:
            lines, missing = measure(cases, section == "decode", rounds)
            report |= {section: dict(lines), f"{section} not run": missing}
            print(section_text(section, cases, lines, top))
            print(*(f"not run: {what}: {why}" for what, why in missing.items()), sep="\n")
    if "write" in chosen:
        lines = measure_writes(rounds)
        report["write"] = dict(lines)
        print(table("Cache write of one layer, µs", ["write", "attention", "share %"], lines, ".1f"))
    return report


def section_text(section: str, cases: list[Case], lines: Lines, top: dict[str, float]) -> str:
    """Rates, and ours over FlashAttention 3 in FP8."""
    names = all_names(lines)
    best = "ours / FA3 FP8"
    share = "of FP8 product" if section == "prefill" else "of copy"
    rows = []
    for case, (name, times) in zip(cases, lines, strict=True):
        rate = case.flops / 1e9 if section == "prefill" else case.fp8_bytes / 1e6
        values = {contender: rate / ms for contender, ms in times.items()}
        ours = max((values[n] for n in values if n in OURS), default=float("nan"))
        theirs = max((values[n] for n in values if n.startswith("FA3 FP8")), default=float("nan"))
        values[best] = ours / theirs
        values[share] = ours / (top["fp8_tflops"] if section == "prefill" else top["copy_gbps"])
        rows.append((name, values))
    unit = "TFLOP/s, causal" if section == "prefill" else "GB/s of FP8 keys and values"
    numbers = table(f"{section.capitalize()}, {unit}", names, rows, ".0f")
    return numbers + "\n" + table("Ratios", [best, share], rows, ".2f")


if __name__ == "__main__":
    raise SystemExit(main())
