"""What an FP8 KV cache costs in accuracy: needles, likelihood of text and greedy answers, beside a 16-bit cache.

    python -m evals.tasks.kv_cache DATA --model FOLDER [--lengths 8192,32768,…] [--needles 45] [--windows 50]
        [--questions 100] [--together] [--commit ID] [--json FILE]

DATA is a folder with `pg_essays` (what needles are hidden in), `financebench/text_derived` (text whose likelihood is
taken) and `leval_subset` (documents with questions). Needs a GPU. Contenders are vLLM's own attention in bf16 and in
FP8 and fathom's, one after another, or at once with --together, as nobody's time is taken. The model runs with the
YaRN factor that the longest length needs, at every length.

Needles: a haystack hides one, "The special number of Lisbon is 4815162.", which is asked for at its end and found if
the number is in the next 12 tokens; 15 depths, evenly spaced, in three haystacks. Likelihood: mean negative log
likelihood a token (nats) over windows of text that do not overlap; also the mean difference to bf16 with its standard
error. Answers: greedy, 48 tokens after a question over the first 6,000 tokens of its document; agreement is with
bf16's.
"""

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.kv.geometry import kv_bytes_per_token
from engine.models.resolution import locate
from engine.rope.context import plan_context
from engine.rope.settings import vllm_overrides
from evals.bench.serving.servers import CONTENDERS, describe, report, run_children, start
from evals.scorers.token_ids import agreement, ids

A_HAYSTACK = 15
PLACES = "Lisbon Oslo Quito Hanoi Accra Turin Perth Lagos Minsk Dakar Sofia Bergen Malaga Kyoto Havana".split()
WINDOWS = (8192, 32768)
ANSWER_TOKENS, DOCUMENT_TOKENS = 48, 6000


def main() -> None:
    """Runs all contenders and prints the tables."""
    if sys.argv[1:2] == ["--child"]:
        measure(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description="Accuracy of a KV cache in FP8, beside bf16.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", required=True, help="a folder, or the name of a model that is here")
    parser.add_argument("--lengths", default="8192,32768,65536,125000")
    parser.add_argument("--needles", type=int, default=45, help=f"a length; a multiple of {A_HAYSTACK}")
    parser.add_argument("--windows", type=int, default=50, help="of text at each length; 0 leaves likelihood out")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--commit")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not (arguments.data / "pg_essays").is_dir():
        parser.error(f"{arguments.data} has no folder pg_essays: give the folder of the data sets")
    job = {
        "data": str(arguments.data),
        "model": arguments.model,
        "lengths": [int(part) for part in arguments.lengths.split(",")],
        "needles": arguments.needles,
        "windows": arguments.windows,
        "questions": arguments.questions,
    }
    names = arguments.contenders.split(",")
    jobs = {name: {**job, "contender": name} for name in names}
    results = run_children("evals.tasks.kv_cache", jobs, arguments.together)
    report(tables(results), results, job, arguments.commit, arguments.json)


def measure(job_file: Path, out: Path) -> None:
    """One contender: starts vLLM and does all three parts."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    model = locate(job["model"])
    longest = max([*job["lengths"], *(WINDOWS if job["windows"] else ())])
    plan = plan_context(model.config, longest + 200)
    room = max(longest * 3 // 2, 16 * DOCUMENT_TOKENS)
    llm = start(
        model.folder, job["contender"], max_model_len=plan.max_model_tokens,
        hf_overrides=vllm_overrides(model.config, plan), max_num_seqs=16, gpu_memory_utilization=0.1,
        kv_cache_memory_bytes=room * kv_bytes_per_token(model.config, "bfloat16"),
    )  # fmt: skip
    data = Path(job["data"])
    tokenizer = llm.get_tokenizer()
    found: dict[str, Any] = {**describe(llm), "reach": plan.max_model_tokens}
    found["needles"] = {str(length): needles(llm, tokenizer, data, length, job["needles"]) for length in job["lengths"]}
    found["answers"] = answers(llm, tokenizer, data, job["questions"])
    if job["windows"]:
        found["nll"] = {str(length): likelihood(llm, tokenizer, data, length, job["windows"]) for length in WINDOWS}
    out.write_text(json.dumps(found), encoding="utf-8")


def needles(llm: Any, tokenizer: Any, data: Path, tokens: int, count: int) -> list[bool]:
    """Which needles were found, haystack by haystack, from the shallowest to the deepest."""
    from vllm import SamplingParams

    essays = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((data / "pg_essays").glob("*.txt")))
    straw = ids(tokenizer, essays)
    straw *= 1 + 2 * tokens // len(straw)
    chance = random.Random(7)
    sampling = SamplingParams(temperature=0.0, max_tokens=12)
    found: list[bool] = []
    for first in range(0, count, A_HAYSTACK):
        begin = first // A_HAYSTACK * 40_000 % (len(straw) - tokens)
        here: dict[int, bool] = {}
        for depth in reversed(
            range(A_HAYSTACK)
        ):  # the deepest first: the others find its beginning in the prefix cache
            place, number = chance.choice(PLACES), str(chance.randrange(1_000_000, 10_000_000))
            needle = ids(tokenizer, f"\nThe special number of {place} is {number}.\n")
            question = f"\n\nQuestion: What is the special number of {place}?\n"
            asked = ids(tokenizer, f"{question}Answer: The special number of {place} is")
            text = hidden(straw[begin:], needle, tokens - len(asked), (2 * depth + 1) / (2 * A_HAYSTACK))
            (output,) = llm.generate([{"prompt_token_ids": text + asked}], sampling, use_tqdm=False)
            here[depth] = number in output.outputs[0].text
        found += [here[depth] for depth in sorted(here)]
    return found


def hidden(straw: Sequence[int], needle: Sequence[int], tokens: int, depth: float) -> list[int]:
    """`tokens` of straw with the needle at a depth from 0 to 1. Raises ValueError where it does not fit."""
    room = tokens - len(needle)
    if room < 0:
        raise ValueError(f"{tokens} tokens hold no needle: give longer --lengths")
    place = round(depth * room)
    return [*straw[:place], *needle, *straw[place:room]]


def answers(llm: Any, tokenizer: Any, data: Path, count: int) -> list[list[int]]:
    """Greedy token ids after each question, questions taken evenly from all documents."""
    from vllm import SamplingParams

    if not count:
        return []
    pairs = []
    for file in sorted((data / "leval_subset").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            document = ids(tokenizer, record["input"][: 8 * DOCUMENT_TOKENS])[:DOCUMENT_TOKENS]
            pairs += [(document, question) for question in record["instructions"]]
    step = max(1, len(pairs) // count)
    prompts = [
        [*document, *ids(tokenizer, f"\n\nQuestion: {question}\nAnswer:")]
        for document, question in pairs[: step * count : step]
    ]
    sampling = SamplingParams(temperature=0.0, max_tokens=ANSWER_TOKENS, ignore_eos=True)
    outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], sampling, use_tqdm=False)
    return [list(output.outputs[0].token_ids) for output in outputs]


def likelihood(llm: Any, tokenizer: Any, data: Path, tokens: int, windows: int) -> list[float]:
    """Mean negative log likelihood a token of each window, in nats; windows lie evenly over all texts."""
    from vllm import SamplingParams

    folder = data / "financebench" / "text_derived"
    text: list[int] = []
    for path in sorted(folder.glob("*.txt")):
        text += ids(tokenizer, path.read_text(encoding="utf-8", errors="replace"))
    step = len(text) // windows
    if step < tokens:
        raise ValueError(f"{len(text)} tokens of text hold no {windows} windows of {tokens}: ask for fewer --windows")
    prompts = [text[number * step : number * step + tokens] for number in range(windows)]
    sampling = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
    found = []
    for prompt in prompts:
        (output,) = llm.generate([{"prompt_token_ids": prompt}], sampling, use_tqdm=False)
        pairs = zip(prompt, output.prompt_logprobs, strict=True)
        logs = [entry[token].logprob for token, entry in pairs if entry is not None]
        found.append(-sum(logs) / len(logs))
    return found


def tables(results: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown: needles found by length, likelihood, agreement of answers."""
    names = list(results)
    lines = ["| needles found | " + " | ".join(names) + " |", "|" + " --- |" * (len(names) + 1)]
    for length in next(iter(results.values()))["needles"]:
        cells = [
            f"{sum(results[name]['needles'][length])} of {len(results[name]['needles'][length])}" for name in names
        ]
        lines.append(f"| {int(length):,} tokens | " + " | ".join(cells) + " |")
    base = results.get("bf16")
    if base is not None and "nll" in base:
        lines += ["", "| nats a token | " + " | ".join(names) + " |", "|" + " --- |" * (len(names) + 1)]
        for length, exact in base["nll"].items():
            cells = []
            for name in names:
                here = results[name]["nll"][length]
                apart = [a - b for a, b in zip(here, exact, strict=True)]
                error = statistics.stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else 0.0
                cells.append(f"{statistics.mean(here):.4f} ({statistics.mean(apart):+.4f} ± {error:.4f})")
            lines.append(f"| {len(exact)} windows of {int(length):,} | " + " | ".join(cells) + " |")
    if base is not None and base["answers"]:
        lines += ["", "| agreement with bf16 | answers alike | tokens before they part |", "|" + " --- |" * 3]
        for name in names:
            whole, part = agreement(base["answers"], results[name]["answers"])
            lines.append(f"| {name}, {len(base['answers'])} questions | {whole:.0%} | {part:.1%} |")
    return lines


if __name__ == "__main__":
    main()
