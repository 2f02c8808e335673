"""Which models the kernels are said to serve, by configurations of known families."""

from typing import Any

import pytest

from engine.attention.fit import misfits

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        LLAMA,
        {**LLAMA, "head_dim": 128, "sliding_window": 4096},
        {**LLAMA, "num_key_value_heads": None},  # a KV head for each query head
        {**LLAMA, "layer_types": ["sliding_attention"] * 5 + ["full_attention"], "head_dim": 256},
        {"model_type": "mistral3", "text_config": {**LLAMA, "head_dim": 256}},
        {"model_type": "gpt2", "n_head": 12, "n_embd": 768},
        {**LLAMA, "kv_lora_rank": None, "alibi": False, "attention_chunk_size": None},
    ],
)
def test_dense_decoders_fit(config: dict[str, Any]) -> None:
    assert misfits(config) == []


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"kv_lora_rank": 512}, ["latent attention (MLA)"]),
        ({"head_dim": 80}, ["heads of 80 (the kernels know 64, 96, 128, 256)"]),
        ({"hidden_size": None}, ["heads of None (the kernels know 64, 96, 128, 256)"]),
        ({"num_key_value_heads": 1}, ["32 query heads over 1 KV heads (the kernels take up to 16 each)"]),
        ({"num_key_value_heads": 5}, ["32 query heads over 5 KV heads (the kernels take up to 16 each)"]),
        ({"num_attention_heads": None}, ["num_attention_heads is None"]),
        ({"model_type": "gpt_oss"}, ["attention sinks"]),
        ({"model_type": "bloom"}, ["ALiBi"]),
        ({"model_type": "voxtral_realtime", "text_config": LLAMA}, ["a streaming encoder"]),
        ({"per_layer_config": {"5": {"head_dim": 512}}}, ["layers of different sizes"]),
        ({"sparse_attention_config": {"k": 1}}, ["sparse attention"]),
        ({"position_embedding_type": "alibi"}, ["ALiBi"]),
        ({"is_encoder_decoder": True}, ["an encoder beside the decoder"]),
        ({"layer_types": ["linear_attention", "full_attention"]}, ["layers of type linear_attention"]),
        ({"attention_chunk_size": 8192}, ["chunked local attention"]),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], reasons: list[str]) -> None:
    assert misfits({**LLAMA, **changes}) == reasons
