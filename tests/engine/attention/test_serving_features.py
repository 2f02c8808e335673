"""vLLM with fathom's attention on a GPU: each feature of the server on and off must give the same text."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch

from tests.engine.attention.conftest import needs_gpu
from tests.engine.attention.generate import NEW_TOKENS, PROMPTS, SHARED, make_model

pytestmark = needs_gpu
GRAPHS = {"enforce_eager": False, "compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}}
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4, "prompt_lookup_min": 1}
# name: heads, options of vLLM, rounds, environment
RUNS: dict[str, tuple[tuple[int, int, int], dict[str, Any], int, dict[str, str]]] = {
    "off": ((8, 2, 128), {}, 1, {}),
    "wrong page": ((8, 2, 128), {}, 1, {"REPLACED": "1"}),
    "bf16": ((8, 2, 128), {"attention_backend": None, "kv_cache_dtype": "auto"}, 1, {}),
    "graphs": ((8, 2, 128), GRAPHS, 1, {}),
    "compiled": ((8, 2, 128), {"enforce_eager": False}, 1, {}),
    "other runner": ((8, 2, 128), GRAPHS, 1, {"VLLM_USE_V2_MODEL_RUNNER": "0"}),
    "chunked": ((8, 2, 128), {"max_num_batched_tokens": 300}, 1, {}),
    "prefix": ((8, 2, 128), {"enable_prefix_caching": True, "max_num_batched_tokens": 2048}, 2, {}),
    "preempted": ((8, 2, 128), {"num_gpu_blocks_override": 36}, 1, {}),  # full when the fifth prompt grows
    "ngram": ((8, 2, 128), {**GRAPHS, "speculative_config": NGRAM}, 1, {}),
    "offload": (
        (8, 2, 128),
        {"enable_prefix_caching": True, "kv_offloading_size": 1.0, "num_gpu_blocks_override": 46},
        2,
        {},
    ),
    "served alone": ((8, 2, 128), {**GRAPHS, "max_num_seqs": 1, "enable_prefix_caching": True}, 1, {}),
    "small pages": ((8, 2, 128), {"block_size": 64}, 1, {}),
    "large blocks": ((8, 2, 128), {"block_size": 256}, 1, {}),
    "fallback": ((8, 2, 80), {"kv_cache_dtype": "fp8"}, 1, {}),
    "small heads": ((9, 3, 64), {}, 1, {}),
    "small heads bf16": ((9, 3, 64), {"attention_backend": None, "kv_cache_dtype": "auto"}, 1, {}),
    "two GPUs": ((8, 2, 128), {"tensor_parallel_size": 2}, 1, {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}),
}
TOGETHER = 5  # processes at once
# Runs whose kernels get the same numbers in the same order as without the feature.
SAME_ARITHMETIC = {"graphs", "other runner", "served alone", "large blocks", "offload"}
Runs: TypeAlias = "dict[str, Future[dict[str, Any]]]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All runs, started at once and served some at a time."""
    folder = tmp_path_factory.mktemp("serving")
    for shape in {run[0] for run in RUNS.values()}:
        make_model(folder / "-".join(map(str, shape)), *shape)
    with ThreadPoolExecutor(TOGETHER) as pool:
        yield {
            name: pool.submit(_serve, folder, name)
            for name in RUNS
            if name != "two GPUs" or torch.cuda.device_count() > 1
        }


def _serve(folder: Path, name: str) -> dict[str, Any]:
    shape, options, rounds, environment = RUNS[name]
    out = folder / f"{name}.json"
    command = [sys.executable, "-m", "tests.engine.attention.generate", str(folder / "-".join(map(str, shape)))]
    log = folder / f"{name}.log"
    with log.open("w") as file:
        done = subprocess.run(
            [*command, json.dumps(options), str(rounds), str(out)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            stdout=file, stderr=subprocess.STDOUT, check=False, timeout=400,
        )  # fmt: skip
    text = log.read_text()
    if done.returncode:
        raise AssertionError(f"{name} ended with {done.returncode}:\n{text[-4000:]}")
    return {**json.loads(out.read_text()), "log": text}


def _distance(one: list[dict[str, Any]], other: list[dict[str, Any]], first: int = 0) -> float:
    """How far apart the first tokens' distributions are: mean total variation over the prompts from `first` on."""
    sums = []
    for left, right in zip(one[first:], other[first:], strict=True):
        p, q = left["logprobs"][0], right["logprobs"][0]
        sums.append(sum(abs(_chance(p, token) - _chance(q, token)) for token in p.keys() | q.keys()) / 2)
    return sum(sums) / len(sums)


def _chance(logprobs: dict[str, float], token: str) -> float:
    return math.exp(logprobs[token]) if token in logprobs else 0.0


def _agreement(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """The share of tokens before two texts part."""
    agreed = 0
    for left, right in zip(one, other, strict=True):
        assert len(left["tokens"]) == len(right["tokens"]) == NEW_TOKENS
        pairs = zip(left["tokens"], right["tokens"], strict=True)
        agreed += next((n for n, (a, b) in enumerate(pairs) if a != b), NEW_TOKENS)
    return agreed / (len(one) * NEW_TOKENS)


def _compare(name: str, runs: Runs, like: str = "off") -> None:
    """Each round of a run against another run: the same text, or as near as the same attention rounded otherwise."""
    reference, wrong = runs[like].result()["rounds"][0], runs["wrong page"].result()["rounds"][0]
    bound = _distance(runs["off"].result()["rounds"][0], wrong, 3) / 3
    for number, served in enumerate(runs[name].result()["rounds"]):
        distance, agreed = _distance(reference, served), _agreement(reference, served)
        text = f"{name}, round {number}: {distance:.4f} apart (bound {bound:.4f}), {agreed:.0%} of tokens agree"
        print(text)  # noqa: T201, what was measured, shown by -rA
        assert distance < bound
        if name in SAME_ARITHMETIC and not number:
            assert agreed == 1.0


def test_pages_are_as_the_backend_declared_them(runs: Runs) -> None:
    for name, size in (("off", 128), ("small pages", 64), ("large blocks", 256)):
        run = runs[name].result()
        assert run["backends"] == ["CUSTOM"]
        assert run["block_size"] == size
    # 4 layers of 2 KV heads, 258 bytes a token and head
    assert runs["off"].result()["blocks"] == 2**30 // (4 * 2 * 258 * 128)
    assert runs["bf16"].result()["blocks"] * runs["bf16"].result()["block_size"] == pytest.approx(
        2**30 / (4 * 2 * 512), rel=0.001
    )


def test_the_texts_are_those_of_a_16_bit_cache(runs: Runs) -> None:
    _compare("off", runs, "bf16")
    _compare("small heads", runs, "small heads bf16")


@pytest.mark.parametrize(
    "feature",
    [
        "graphs", "compiled", "other runner", "chunked", "prefix", "preempted", "ngram", "offload", "served alone",
        "small pages", "large blocks",
    ],
)  # fmt: skip
def test_a_feature_on_and_off_gives_the_same_text(feature: str, runs: Runs) -> None:
    run = runs[feature].result()
    _compare(feature, runs)
    counters = run["counters"]
    if feature == "prefix":
        assert run["rounds"][0][-1]["cached"] >= SHARED // 128 * 128
        assert run["rounds"][1][-1]["cached"] == (PROMPTS[-1] - 1) // 128 * 128
    if feature == "preempted":
        assert counters["vllm:num_preemptions"] > 0
    if feature == "ngram":
        assert counters["vllm:spec_decode_num_accepted_tokens"] > 0
    if feature == "offload":
        assert counters["vllm:external_prefix_cache_hits"] > 0
    if feature in ("prefix", "preempted", "ngram", "served alone"):
        assert run["free_blocks"] == run["blocks"] - 1  # one is vLLM's own null block


def test_a_model_that_does_not_fit_is_served_by_vllm_which_says_so(runs: Runs) -> None:
    run = runs["fallback"].result()
    assert run["backends"] == ["FLASH_ATTN"]
    assert "fathom's attention does not serve this model (heads of 80" in run["log"]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs here")
def test_two_gpus_give_the_text_of_one(runs: Runs) -> None:
    _compare("two GPUs", runs)
