"""vLLM with one KV cache or another, each in a process of its own, so that they can be compared in one run.

A contender's process is `python -m MODULE --child JOB OUT`: it reads a job and writes its result, both JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.attention import plugin
from engine.embedded import GPU_COMPILATION
from evals.context import run_context

# What differs between contenders; everything else is fathom's own start of vLLM on a GPU.
CONTENDERS: dict[str, dict[str, Any]] = {
    "bf16": {"kv_cache_dtype": "auto"},
    "FP8": {"kv_cache_dtype": "fp8"},
    "fathom": {"kv_cache_dtype": "fp8", "attention_backend": plugin.BACKEND},
}
LLAMA_8B: dict[str, Any] = {  # the sizes of Llama-3.1-8B
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}


def start(model: Path, contender: str, **options: Any) -> Any:
    """A vLLM `LLM` with this contender's cache, in this process. Raises what vLLM raises."""
    os.environ.update(
        VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_NO_USAGE_STATS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false"
    )
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    from vllm import LLM

    plugin.register()
    common = {"compilation_config": GPU_COMPILATION, "max_num_batched_tokens": 8192, "seed": 0}
    return LLM(str(model), **{**common, **CONTENDERS[contender], **options})


def describe(llm: Any) -> dict[str, Any]:
    """What a started vLLM runs: device, attention, page in tokens, tokens and bytes of the cache."""
    import torch

    config = llm.llm_engine.vllm_config
    layers = list(config.compilation_config.static_forward_context.values())
    tokens = config.cache_config.num_gpu_blocks * config.cache_config.block_size
    return {
        "device": torch.cuda.get_device_name(0),
        "attention": sorted({layer.get_attn_backend().get_name() for layer in layers}),
        "page": config.cache_config.block_size,
        "tokens": tokens,
        "bytes": layers[0].kv_cache.untyped_storage().nbytes(),
    }


def free_blocks(llm: Any) -> int:
    """Blocks of the cache that no request holds."""
    return int(core(llm).scheduler.kv_cache_manager.block_pool.get_num_free_blocks())


def core(llm: Any) -> Any:
    """vLLM's engine core, which runs in this process."""
    return llm.llm_engine.engine_core.engine_core


def dummy_model(folder: Path) -> Path:
    """Writes a folder with nothing but the configuration of LLAMA_8B; speed needs no weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(LLAMA_8B), encoding="utf-8")
    return folder


def report(
    lines: Sequence[str],
    results: Mapping[str, Any],
    job: Mapping[str, Any],
    commit: str | None,
    file: Path | None,
) -> None:
    """Prints the tables and where they come from; a file gets all results as JSON. `commit` names one without git."""
    context = asdict(run_context(("vllm", "torch", "triton"))) | ({"commit": commit} if commit else {})
    sys.stdout.write("".join(f"{line}\n" for line in [*lines, str(context)]))
    if file:
        file.write_text(json.dumps({"context": context, "job": job, "results": results}, indent=1), encoding="utf-8")


def run_children(
    module: str, jobs: Mapping[str, Mapping[str, Any]], together: bool = False, seconds: float = 900
) -> dict[str, dict[str, Any]]:
    """Each job's result by name. One at a time, or all `together` where nobody's time is taken.

    Raises RuntimeError with the end of a child's output if it fails or takes longer than `seconds`.
    """
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(len(jobs) if together else 1) as pool:
        started = {name: pool.submit(_run, module, name, job, Path(scratch), seconds) for name, job in jobs.items()}
        return {name: future.result() for name, future in started.items()}


def _run(module: str, name: str, job: Mapping[str, Any], scratch: Path, seconds: float) -> dict[str, Any]:
    stem = name.replace(" ", "-").replace("/", "-")
    given, out, log = (scratch / f"{stem}.{kind}" for kind in ("job", "out", "log"))
    given.write_text(json.dumps(job), encoding="utf-8")
    sys.stderr.write(f"{name} …\n")
    with log.open("w", encoding="utf-8") as file:
        try:
            code = subprocess.run(
                [sys.executable, "-m", module, "--child", str(given), str(out)],
                stdout=file, stderr=subprocess.STDOUT, check=False, timeout=seconds,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = -1
    if code or not out.exists():
        end = log.read_text(encoding="utf-8", errors="replace")[-6000:]
        raise RuntimeError(f"{name} ended with {code}:\n{end}")
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result
