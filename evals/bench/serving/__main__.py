"""Time to first token, decode rate and size of the KV cache: vLLM's own attention in bf16 and FP8, and fathom's FP8.

    python -m evals.bench.serving [--model FOLDER] [--prompts 2048,…] [--contexts 2048,…] [--batches 1,8]
        [--commit ID] [--json FILE]

Needs a GPU. Without --model the sizes of Llama-3.1-8B with dummy weights: speed needs no others. Each contender is a
vLLM of its own, one after another. Time to first token: one random prompt at a time in chunks of 8,192, median of the
repetitions after one unmeasured. Decode: the cache is filled with random numbers and requests are taken as prefilled
(vLLM's DecodeBenchConnector), so that a batch of long contexts costs no prefill; the rate is that of 80 steps after
the first 16, all requests together. A cell that does not fit the cache is missing.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from evals.bench.serving.servers import CONTENDERS, core, describe, dummy_model, report, run_children, start

CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 130000)
BATCHES = (1, 8)
SKIPPED, COUNTED = 16, 80  # decode steps


def main() -> None:
    """Runs all contenders and prints the tables."""
    if sys.argv[1:2] == ["--child"]:
        measure(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description="Time to first token, decode rate and KV cache, side by side.")
    parser.add_argument("--model", type=Path, help="a model folder; without it dummy weights of Llama-3.1-8B's sizes")
    parser.add_argument("--prompts", type=_numbers, default=CONTEXTS, help="tokens, for the time to the first token")
    parser.add_argument("--contexts", type=_numbers, default=CONTEXTS, help="tokens, for the decode rate")
    parser.add_argument("--batches", type=_numbers, default=BATCHES)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--commit", help="where the tree carries no git")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = arguments.model or dummy_model(Path(scratch) / "llama-3.1-8b-sizes")
        job = {
            "model": str(model),
            "dummy": arguments.model is None,
            "prompts": arguments.prompts,
            "contexts": arguments.contexts,
            "batches": arguments.batches,
        }
        results: dict[str, dict[str, Any]] = {}
        failures = []
        for name in arguments.contenders.split(","):
            try:
                results |= run_children("evals.bench.serving", {name: {**job, "contender": name}})
            except RuntimeError as error:  # the others' times are not lost
                failures.append(str(error))
    report(tables(results) if results else [], results, job, arguments.commit, arguments.json)
    if failures:
        sys.exit("\n".join(failures))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def measure(job_file: Path, out: Path) -> None:
    """One contender: starts vLLM and takes all its times."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    began = time.perf_counter()
    options = {"load_format": "dummy"} if job["dummy"] else {}
    longest = max(*job["prompts"], *job["contexts"])
    llm = start(
        Path(job["model"]), job["contender"], skip_tokenizer_init=True, max_model_len=longest + 512,
        max_num_seqs=max(job["batches"]), gpu_memory_utilization=0.9, enable_prefix_caching=False,
        kv_transfer_config={
            "kv_connector": "DecodeBenchConnector", "kv_role": "kv_both",
            "kv_connector_extra_config": {"startup_fill": True},
        },
        **options,
    )  # fmt: skip
    found: dict[str, Any] = {"start_s": time.perf_counter() - began, **describe(llm)}
    words = llm.llm_engine.vllm_config.model_config.get_vocab_size()
    chance = random.Random(0)
    prompts = [[chance.randrange(words) for _ in range(longest)] for _ in range(max(job["batches"]))]
    connector = core(llm).scheduler.connector
    pretend = connector.get_num_new_matched_tokens
    connector.get_num_new_matched_tokens = lambda request, computed: (0, False)
    found["ttft_s"] = {
        str(length): [_first_token(llm, prompts[0][:length]) for _ in range(1 + _repetitions(length))][1:]
        for length in job["prompts"]
    }
    connector.get_num_new_matched_tokens = pretend
    _fill(llm)
    found["decode"] = {
        f"{context} x{batch}": _decode(llm, [prompt[:context] for prompt in prompts[:batch]])
        for context in job["contexts"]
        for batch in job["batches"]
        if batch * (context + SKIPPED + COUNTED + found["page"]) < found["tokens"]
    }
    out.write_text(json.dumps(found), encoding="utf-8")


def _repetitions(tokens: int) -> int:
    """More of the short, whose seconds differ more from one to the next."""
    return 2 if tokens > 100_000 else 4 if tokens > 10_000 else 12


def _first_token(llm: Any, prompt: list[int]) -> float:
    """Seconds from a request to its first token, nothing else being served."""
    return _serve(llm, [prompt], 1)[0]


def _decode(llm: Any, prompts: list[list[int]]) -> float:
    """Tokens a second of all requests together, contexts pretended to be there."""
    times = _serve(llm, prompts, SKIPPED + COUNTED)
    return len(prompts) * COUNTED / (times[-1] - times[-1 - COUNTED])


def _serve(llm: Any, prompts: list[list[int]], tokens: int) -> list[float]:
    """Seconds after the start at which each token came, of the slowest request."""
    import torch
    from vllm import SamplingParams

    engine = llm.llm_engine
    sampling = SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True, detokenize=False)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for number, prompt in enumerate(prompts):
        engine.add_request(f"{began}-{number}", {"prompt_token_ids": prompt}, sampling)
    times: dict[str, list[float]] = {}
    while engine.has_unfinished_requests():
        for output in engine.step():
            seen = times.setdefault(output.request_id, [])
            now = time.perf_counter() - began
            seen.extend([now] * (len(output.outputs[0].token_ids) - len(seen)))
    return max(times.values(), key=lambda seen: seen[-1])


def _fill(llm: Any) -> None:
    """Random numbers into the whole cache: e4m3 below 2 by their bits, or normal bf16."""
    import torch

    config = llm.llm_engine.vllm_config
    cache = next(iter(config.compilation_config.static_forward_context.values())).kv_cache
    numbers = torch.empty(0, dtype=torch.uint8, device=cache.device).set_(cache.untyped_storage())
    piece = torch.randint(0, 256, (1 << 26,), dtype=torch.uint8, device=cache.device) & 0b1011_1111
    if cache.dtype == torch.bfloat16:
        piece = torch.randn(1 << 25, device=cache.device).to(torch.bfloat16).view(torch.uint8)
    for first in range(0, len(numbers), len(piece)):
        part = numbers[first : first + len(piece)]
        part.copy_(piece[: len(part)])


def tables(results: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown: seconds to the first token, tokens a second, and the cache, with ratios to the better of the stock."""
    names = list(results)
    stock = [name for name in names if name != "fathom"]
    lines = ["| time to first token, s | " + " | ".join(names) + " | fathom / FP8 | fathom / better |"]
    lines.append("|" + " --- |" * (len(names) + 3))
    for context in next(iter(results.values()))["ttft_s"]:
        row = {name: statistics.median(results[name]["ttft_s"][context]) for name in names}
        lines.append(_row(f"{int(context):,} tokens", row, stock, min))
    lines += ["", "| decode, tokens/s | " + " | ".join(names) + " | fathom / FP8 | fathom / better |"]
    lines.append("|" + " --- |" * (len(names) + 3))
    for cell in max((results[name]["decode"] for name in names), key=len):
        row = {name: results[name]["decode"].get(cell) for name in names}
        context, batch = cell.split(" x")
        lines.append(_row(f"{int(context):,} × {batch}", row, stock, max))
    lines += ["", "| KV cache | attention | page | tokens | GB | bytes a token | start, s |", "|" + " --- |" * 7]
    for name in names:
        it = results[name]
        lines.append(
            f"| {name} | {', '.join(it['attention'])} | {it['page']} | {it['tokens']:,} | {it['bytes'] / 1e9:.1f} "
            f"| {it['bytes'] / it['tokens']:,.0f} | {it['start_s']:.0f} |"
        )
    return lines


def _row(label: str, row: dict[str, Any], stock: list[str], better: Any) -> str:
    cells = ["–" if row[name] is None else f"{row[name]:.4g}" for name in row]
    ours, known = row.get("fathom"), [row[name] for name in stock if row[name] is not None]
    ratios = ["–", "–"]
    if ours is not None:
        ratios = [
            f"{ours / row['FP8']:.3f}" if row.get("FP8") else "–",
            f"{ours / better(known):.3f}" if known else "–",
        ]
    return f"| {label} | " + " | ".join(cells + ratios) + " |"


if __name__ == "__main__":
    main()
