"""vLLM started with a sliding window and with a latent cache: the requests that it says fit at once, and ours."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.kv.formats import FORMATS
from engine.kv.geometry import Placement, request_bytes
from engine.kv.layers import read_layers

SIZES: dict[str, Any] = {
    "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "vocab_size": 1000, "rms_norm_eps": 1e-6,
    "max_position_embeddings": 16384, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
WINDOWED: dict[str, Any] = {
    **SIZES, "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "num_hidden_layers": 6,
    "num_key_value_heads": 2, "head_dim": 64, "sliding_window": 512, "query_pre_attn_scalar": 64,
    "layer_types": ["sliding_attention"] * 5 + ["full_attention"], "rope_theta": 1e6, "rope_local_base_freq": 1e4,
}  # fmt: skip
LATENT: dict[str, Any] = {
    **SIZES, "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "num_hidden_layers": 4,
    "num_key_value_heads": 4, "kv_lora_rank": 512, "q_lora_rank": None, "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128, "v_head_dim": 128, "moe_intermediate_size": 128, "n_routed_experts": 2,
    "n_shared_experts": 1, "num_experts_per_tok": 1, "first_k_dense_replace": 4, "rope_theta": 1e4,
}  # fmt: skip
# Weights are made up; what is asked is how the cache is laid out.
STARTED = """
import json, sys
from vllm import LLM
from vllm.v1.core.kv_cache_utils import get_max_concurrency_for_kv_cache_config
llm = LLM(sys.argv[1], load_format="dummy", skip_tokenizer_init=True, dtype=sys.argv[2], enforce_eager=True,
          max_num_seqs=2, seed=0)
cache = llm.llm_engine.engine_core.engine_core.scheduler.kv_cache_config
config = llm.llm_engine.vllm_config
print("CACHE " + json.dumps({
    "at_once": get_max_concurrency_for_kv_cache_config(config, cache),
    "bytes": cache.kv_cache_tensors[0].size,
    "page": config.cache_config.block_size,
    "in_flight": config.scheduler_config.max_num_batched_tokens,
    "tokens": config.model_config.max_model_len,
    "specs": sorted({type(group.kv_cache_spec).__name__ for group in cache.kv_cache_groups}),
}))
"""


@pytest.mark.parametrize(
    ("config", "dtype", "specs"),
    [(WINDOWED, "float32", ["FullAttentionSpec", "SlidingWindowSpec"]), (LATENT, "bfloat16", ["MLAAttentionSpec"])],
    ids=["windowed", "latent"],
)
def test_as_many_requests_fit_as_vllm_says(
    config: dict[str, Any], dtype: str, specs: list[str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**config, "torch_dtype": dtype}), encoding="utf-8")
    settings = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", STARTED, str(tmp_path), dtype], capture_output=True, text=True, timeout=300,
        env=os.environ | settings | {"VLLM_NO_USAGE_STATS": "1"},
    )  # fmt: skip
    told = [line.removeprefix("CACHE ") for line in done.stdout.splitlines() if line.startswith("CACHE ")]
    assert told, done.stderr[-3000:]
    cache = json.loads(told[-1])
    assert cache["specs"] == specs
    place = Placement(FORMATS[dtype], cache["page"], in_flight_tokens=cache["in_flight"])
    ours = cache["bytes"] / request_bytes(read_layers(config), cache["tokens"], place)
    assert ours == pytest.approx(cache["at_once"], rel=0.01)
