"""Costs against transformers' own parameters, brute-force pairs, and the times that an H200 took."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelDamagedError, ModelUnsupportedError
from engine.estimates.cost import (
    Ceilings,
    attention_flops,
    decode_seconds,
    matrix_flops,
    parameters,
    prefill_seconds,
    weights_read,
)
from engine.kv.layers import read_layers

LLAMA_8B = {
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096,
    "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("Llama", {"num_hidden_layers": 2, "num_key_value_heads": 8}),
        ("Llama", {"num_hidden_layers": 2, "tie_word_embeddings": True}),
        ("Qwen2", {"num_hidden_layers": 2, "head_dim": 128}),
        ("Gemma2", {"num_hidden_layers": 2}),
        ("Mixtral", {"num_hidden_layers": 2}),
        ("Qwen3Moe", {"num_hidden_layers": 2}),
        ("DeepseekV3", {"num_hidden_layers": 5, "n_routed_experts": 8}),
        ("DeepseekV2", {"num_hidden_layers": 3, "n_routed_experts": 8, "q_lora_rank": None, "num_experts_per_tok": 2}),
        ("GPTNeoX", {"num_hidden_layers": 2}),
    ],
)
def test_parameters_are_those_of_transformers_within_a_thousandth(family: str, options: dict[str, Any]) -> None:
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(**options)
    with torch.device("meta"):
        model = getattr(transformers, f"{family}ForCausalLM")(config)
    found = parameters(config.to_dict())
    assert found is not None
    assert found.total == pytest.approx(sum(p.numel() for p in model.parameters()), rel=0.001)
    if family == "Mixtral":  # of 8 experts a token passes 2
        expert = 3 * config.hidden_size * config.intermediate_size
        assert found.total - 2 * found.head - found.active == 2 * 6 * expert


def test_a_decode_step_reads_the_experts_that_requests_choose() -> None:
    config = {
        "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "vocab_size": 20, "num_experts": 8,
        "num_experts_per_tok": 2, "moe_intermediate_size": 10, "tie_word_embeddings": True, "intermediate_size": 10,
    }  # fmt: skip
    # an expert 3 · 8 · 10 = 240; attention 4 · 64 = 256, router 64, a layer; head 160: 2 · (256 + 64 + 1920) + 160
    found = parameters(config)
    assert found is not None
    assert (found.total, found.expert_total, found.experts, found.chosen) == (4640, 3840, 8, 2)
    assert weights_read(config, 1) == pytest.approx((800 + 3840 / 4) / 4640)
    assert weights_read(config, 2) == pytest.approx((800 + 3840 * (1 - 0.75**2)) / 4640)
    assert weights_read(config, 1000) == pytest.approx(1.0)
    assert weights_read(LLAMA_8B, 1) == 1.0


def test_a_models_costs_by_hand() -> None:
    config = {
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "hidden_size": 8,
        "intermediate_size": 10, "vocab_size": 20,
    }  # fmt: skip
    # q and o 8 · 8 each, k and v 8 · 4 each: 192; three products of 8 · 10: 240; embedding and head 160 each
    found = parameters(config)
    assert found is not None
    assert (found.total, found.active, found.head) == (192 + 240 + 320, 432, 160)
    assert matrix_flops(found, 3) == 2 * 432 * 3 + 2 * 160
    # 1 + 2 + 3 pairs · 2 heads · (4 of a key + 4 of a value) · 2
    assert attention_flops(config, read_layers(config), 3) == 6 * 2 * 8 * 2
    # 4 + 5 pairs for two queries after three
    assert attention_flops(config, read_layers(config), 2, cached=3) == 9 * 2 * 8 * 2


@given(st.integers(0, 60), st.integers(0, 60), st.one_of(st.none(), st.integers(1, 40)))
def test_pairs_are_those_counted_one_by_one(tokens: int, cached: int, window: int | None) -> None:
    config = {"num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 1, "sliding_window": window}
    counted = sum(min(p + 1, window or p + 1) for p in range(cached, cached + tokens))
    assert attention_flops(config, read_layers(config), tokens, cached) == counted * 4


def test_a_latent_models_heads_compute_with_sizes_of_their_own() -> None:
    config = {
        "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8, "kv_lora_rank": 16,
        "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 6,
    }  # fmt: skip
    assert attention_flops(config, read_layers(config), 1) == 1 * 2 * (8 + 4 + 6) * 2


def test_layers_that_share_a_cache_still_compute() -> None:
    config = {**LLAMA_8B, "num_kv_shared_layers": 16}
    assert attention_flops(config, read_layers(config), 100) == attention_flops(LLAMA_8B, read_layers(LLAMA_8B), 100)


def test_times_of_an_h200_within_a_sixth() -> None:
    # docs/results.md: rates of the kernels' benchmark, and vLLM's times to the first token with a bf16 cache
    at = Ceilings(matrix_flops=679e12, attention_flops=630e12, memory_bytes_per_s=4291e9)
    for tokens, measured in ((8192, 0.2127), (32768, 1.191), (65536, 3.265), (130000, 9.98)):
        found = prefill_seconds(LLAMA_8B, read_layers(LLAMA_8B), tokens, at)
        assert found == pytest.approx(measured, rel=1 / 6)


def test_a_decode_step_reads_weights_and_caches_once() -> None:
    assert decode_seconds(16_000, 4_000, Ceilings(1.0, 1.0, 10_000.0)) == 2.0


def test_a_model_with_states_has_no_known_costs() -> None:
    config = {
        **LLAMA_8B, "layer_types": ["mamba"] * 31 + ["full_attention"], "mamba_expand": 2, "mamba_d_state": 16,
        "mamba_d_conv": 4,
    }  # fmt: skip
    assert parameters(config) is None
    with pytest.raises(ModelUnsupportedError, match="state-space layers are not known"):
        prefill_seconds(config, read_layers(config), 10, Ceilings(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"intermediate_size": None}, "intermediate_size = None"),
        ({"vocab_size": "many"}, "vocab_size = 'many'"),
        ({"num_experts": 4}, "num_experts_per_tok = None"),
        ({"first_k_dense_replace": "x"}, "first_k_dense_replace = 'x'"),
    ],
)
def test_a_config_without_a_size_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelDamagedError, match=said):
        parameters({**LLAMA_8B, **change})
