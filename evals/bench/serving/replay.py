"""A long day's requests replayed in minutes: mixed lengths, shared prefixes, cancellations and preemption.

    python -m evals.bench.serving.replay DATA --model FOLDER [--requests 500] [--cache-tokens 100000]
        [--commit ID] [--json F]

DATA is a folder with `financebench/text_derived`. Needs a GPU. 1,000 to 60,000 tokens a request, short ones more often
(the chance falls with the square of the length); half begin with one of ten texts that others begin with too; one in
twelve is cancelled on the way. They are served up to 32 at once with prefix caching and a cache so small that requests
are preempted, and once more one at a time in a large cache without prefix caching. Greedy answers of the two are
compared. The order of additions in matrix products depends on the batch, so even a 16-bit cache does not give the same
tokens twice: bf16, served in the same two ways, says how much agreement there is to be had. All four run at once, in
processes of their own; nobody's time is taken.
"""

import argparse
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.models.resolution import locate
from engine.rope.context import plan_context
from engine.rope.settings import vllm_overrides
from evals.bench.serving.servers import core, describe, free_blocks, report, run_children, start
from evals.scorers.token_ids import agreement, ids

SHORTEST, LONGEST = 1000, 60_000
SHARED_TEXTS = 10
ANSWERS = (24, 160)  # tokens; one in four is long, and makes a full cache fuller
AT_ONCE, WAITING = 32, 48
CONTENDERS = ("bf16", "fathom")


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, the tokens of its answer, and after how many of the server's steps it is cancelled (None: never)."""

    prompt: list[int]
    answer: int
    cancelled_after: int | None


def requests(text: list[int], count: int, seed: int = 0) -> list[Request]:
    """The day's requests, the same for the same seed. Raises ValueError for a text too short to draw them from."""
    if len(text) < 2 * LONGEST:
        raise ValueError(f"{len(text)} tokens of text: {2 * LONGEST} are needed")
    chance = random.Random(seed)
    starts = [chance.randrange(len(text) - LONGEST) for _ in range(SHARED_TEXTS)]
    found = []
    for _ in range(count):
        # inverse of the distribution function of a density that falls with the square
        length = int(1 / (1 / SHORTEST - chance.random() * (1 / SHORTEST - 1 / LONGEST)))
        own = chance.randrange(len(text) - LONGEST)
        shared = int(length * chance.uniform(0.3, 0.95)) if chance.random() < 0.5 else 0
        begin = chance.choice(starts)
        prompt = text[begin : begin + shared] + text[own : own + length - shared]
        cancelled = chance.randrange(1, 60) if chance.random() < 1 / 12 else None
        found.append(Request(prompt, chance.choices(ANSWERS, (3, 1))[0], cancelled))
    return found


def main() -> None:
    """Serves the requests in four ways and compares."""
    if sys.argv[1:2] == ["--child"]:
        serve(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description="Replay mixed requests and compare with one at a time.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--cache-tokens", type=int, default=100_000)
    parser.add_argument("--commit")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not (arguments.data / "financebench" / "text_derived").is_dir():
        parser.error(f"{arguments.data} has no folder financebench/text_derived: give the folder of the data sets")
    job = {
        "data": str(arguments.data),
        "model": arguments.model,
        "requests": arguments.requests,
        "cache_tokens": arguments.cache_tokens,
    }
    jobs = {
        f"{name} {way}": {**job, "contender": name, "alone": way == "alone"}
        for name in CONTENDERS
        for way in ("together", "alone")
    }
    results = run_children("evals.bench.serving.replay", jobs, together=True)
    report(table(results), results, job, arguments.commit, arguments.json)
    leaks = [name for name, result in results.items() if result["blocks_left"] != result["blocks"] - 1]
    if leaks:
        sys.exit(f"blocks were not given back by: {', '.join(leaks)}")


def serve(job_file: Path, out: Path) -> None:
    """One contender, one way."""
    from vllm import SamplingParams

    job = json.loads(job_file.read_text(encoding="utf-8"))
    model = locate(job["model"])
    plan = plan_context(model.config, LONGEST + max(ANSWERS))
    page = 128 if job["contender"] == "fathom" else 16
    cache = {"kv_cache_memory_bytes": 6 * 2**30}
    if not job["alone"]:
        cache["num_gpu_blocks_override"] = job["cache_tokens"] // page
    llm = start(
        model.folder, job["contender"], max_model_len=LONGEST + 2 * max(ANSWERS),
        hf_overrides=vllm_overrides(model.config, plan), max_num_seqs=1 if job["alone"] else AT_ONCE,
        enable_prefix_caching=not job["alone"], gpu_memory_utilization=0.1, disable_log_stats=False, **cache,
    )  # fmt: skip
    tokenizer = llm.get_tokenizer()
    text: list[int] = []
    for path in sorted((Path(job["data"]) / "financebench" / "text_derived").glob("*.txt")):
        if len(text) < 1_000_000:
            text += ids(tokenizer, path.read_text(encoding="utf-8", errors="replace"))
    day = requests(text, job["requests"])
    engine, began = llm.llm_engine, time.perf_counter()
    written: dict[str, list[int]] = {}
    cancelled_at: dict[int, list[str]] = {}
    cached, given, step = 0, 0, 0
    while given < len(day) or engine.has_unfinished_requests():
        while given < len(day) and engine.get_num_unfinished_requests() < (1 if job["alone"] else WAITING):
            if day[given].cancelled_after is None or not job["alone"]:
                sampling = SamplingParams(temperature=0.0, max_tokens=day[given].answer, ignore_eos=True)
                engine.add_request(str(given), {"prompt_token_ids": day[given].prompt}, sampling)
                if (after := day[given].cancelled_after) is not None:
                    cancelled_at.setdefault(step + after, []).append(str(given))
            given += 1
        for output in engine.step():
            written[output.request_id] = list(output.outputs[0].token_ids)
            if output.finished:
                cached += output.num_cached_tokens or 0
        step += 1
        engine.abort_request(cancelled_at.pop(step, []))
    counters = {metric.name: getattr(metric, "value", None) for metric in llm.get_metrics()}
    core(llm).scheduler.kv_cache_manager.block_pool.reset_prefix_cache()
    out.write_text(
        json.dumps(
            {
                **describe(llm),
                "seconds": time.perf_counter() - began,
                "prompt_tokens": sum(len(request.prompt) for request in day),
                "written": {name: tokens for name, tokens in written.items() if day[int(name)].cancelled_after is None},
                "cancelled": sum(request.cancelled_after is not None for request in day),
                "preemptions": counters["vllm:num_preemptions"],
                "cached_tokens": cached,
                "blocks": llm.llm_engine.vllm_config.cache_config.num_gpu_blocks,
                "blocks_left": free_blocks(llm),
            }
        ),
        encoding="utf-8",
    )


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown: what happened in each run, then how far each contender agrees with itself."""
    lines = ["| run | prompts, tokens | from the prefix cache | cancelled | preempted | blocks left of | s |"]
    lines.append("|" + " --- |" * 7)
    for name, it in results.items():
        lines.append(
            f"| {name} | {it['prompt_tokens']:,} | {it['cached_tokens']:,} | {it['cancelled']} | {it['preemptions']} "
            f"| {it['blocks_left']} of {it['blocks']} | {it['seconds']:.0f} |"
        )
    lines += ["", "| together against alone | requests | answers alike | tokens before they part |", "|" + " --- |" * 4]
    for name in CONTENDERS:
        one, other = results[f"{name} alone"]["written"], results[f"{name} together"]["written"]
        missing = one.keys() ^ other.keys()
        if missing:
            raise RuntimeError(f"{name}: requests {sorted(missing)[:5]} were answered in one run only")
        whole, part = agreement(list(one.values()), [other[key] for key in one])
        lines.append(f"| {name} | {len(one)} | {whole:.1%} | {part:.1%} |")
    across = {name: results[f"{name} alone"]["written"] for name in CONTENDERS}
    whole, part = agreement(list(across["bf16"].values()), [across["fathom"][key] for key in across["bf16"]])
    lines.append(f"| fathom alone against bf16 alone | {len(across['bf16'])} | {whole:.1%} | {part:.1%} |")
    return lines


if __name__ == "__main__":
    main()
