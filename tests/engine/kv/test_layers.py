"""Layers of real families: as transformers understands their configs, and as vLLM sizes their pages and states."""

from typing import Any

import pytest

from engine.errors import ModelDamagedError, ModelUnsupportedError
from engine.kv.formats import FORMATS
from engine.kv.geometry import Placement, Sharding, kv_bytes_per_token, request_bytes, state_bytes
from engine.kv.layers import AttentionLayers, Layers, StateLayers, layer_kinds, read_layers

PLAIN = {"num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "hidden_size": 512}


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("LlamaConfig", {}),
        ("MistralConfig", {"sliding_window": 4096}),
        ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 5}),
        ("Qwen2Config", {"use_sliding_window": False, "sliding_window": 4096}),
        ("Gemma2Config", {}),
        ("Gemma3TextConfig", {"sliding_window_pattern": 3}),
        ("Gemma3TextConfig", {}),
        ("Cohere2Config", {"sliding_window": 4096}),
        ("GptOssConfig", {}),
        ("JambaConfig", {"num_hidden_layers": 16}),
        ("Qwen3NextConfig", {"num_hidden_layers": 8}),
        ("Lfm2Config", {}),
    ],
)
def test_the_kinds_of_layers_are_those_of_transformers(family: str, options: dict[str, Any]) -> None:
    import transformers

    config = getattr(transformers, family)(**options)
    named = config.to_dict()
    expected = (
        getattr(config, "layer_types", None)
        or ["sliding_attention" if named.get("sliding_window") else "full_attention"] * config.num_hidden_layers
    )
    expected = ["mamba" if family == "JambaConfig" and "linear" in kind else kind for kind in expected]
    older = {key: value for key, value in named.items() if key != "layer_types"} | options
    if family in ("Qwen3NextConfig", "Lfm2Config"):
        older = named
    assert layer_kinds(older) == list(expected)
    assert layer_kinds({**named, "layer_types": list(expected)}) == list(expected)


def test_windows_by_the_fields_of_older_configs() -> None:
    windowed = AttentionLayers(8, 2, 64, 64, 100)
    assert read_layers({**PLAIN, "sliding_window": 100}) == Layers((windowed,))
    assert read_layers({**PLAIN, "sliding_window": None}) == Layers((AttentionLayers(8, 2, 64, 64),))
    chunked = {**PLAIN, "layer_types": ["chunked_attention"] * 6 + ["full_attention"] * 2, "attention_chunk_size": 512}
    assert read_layers(chunked) == Layers((AttentionLayers(6, 2, 64, 64, 512), AttentionLayers(2, 2, 64, 64)))


def test_patterns_that_older_configs_name_by_other_fields() -> None:
    assert layer_kinds({**PLAIN, "full_attention_interval": 4}) == (["linear_attention"] * 3 + ["full_attention"]) * 2
    llama4 = {**PLAIN, "no_rope_layers": [1, 1, 1, 0] * 2, "attention_chunk_size": 8192}
    assert layer_kinds(llama4) == (["chunked_attention"] * 3 + ["full_attention"]) * 2


def test_layers_that_read_anothers_cache_keep_nothing() -> None:
    kinds = ["sliding_attention", "full_attention"] * 4
    config = {**PLAIN, "layer_types": kinds, "sliding_window": 100, "num_kv_shared_layers": 3}
    # Of eight the last three (full, sliding, full) share: three sliding and two full ones keep.
    assert read_layers(config) == Layers((AttentionLayers(3, 2, 64, 64, 100), AttentionLayers(2, 2, 64, 64)), (), 3)
    crossed = {**PLAIN, "use_cla": True, "cla_share_factor": 2}
    assert read_layers(crossed) == Layers((AttentionLayers(4, 2, 64, 64),), (), 4)
    assert read_layers({**crossed, "use_cla": False}).shared == 0


def test_nemotrons_pattern_by_hand() -> None:
    config = {
        **PLAIN, "hybrid_override_pattern": "M-M*E", "mamba_num_heads": 4, "mamba_head_dim": 8,
        "ssm_state_size": 16, "n_groups": 2, "conv_kernel": 4,
    }  # fmt: skip
    # Convolution: (4 · 8 + 2 · 2 · 16) · 3 = 288 numbers; state: 4 · 8 · 16 = 512.
    assert read_layers(config) == Layers((AttentionLayers(1, 2, 64, 64),), (StateLayers(2, 288, 512),))


def _shapes(*shapes: tuple[int, ...]) -> list[int]:
    from math import prod

    return [prod(shape) for shape in shapes]


def test_states_are_of_vllms_shapes() -> None:
    from vllm.model_executor.layers.mamba.mamba_utils import MambaStateShapeCalculator as Shapes

    jamba = {
        **PLAIN, "layer_types": ["mamba"] * 7 + ["full_attention"], "mamba_expand": 2, "mamba_d_state": 16,
        "mamba_d_conv": 4,
    }  # fmt: skip
    assert [StateLayers(7, *_shapes(*Shapes.mamba1_state_shape(1, 1024, 16, 4)))] == list(read_layers(jamba).states)
    granite = {**jamba, "mamba_n_groups": 2, "mamba_n_heads": 16, "mamba_d_head": 64}
    expected = Shapes.mamba2_state_shape(1, 1024, 2, 16, 64, 16, 4)
    assert [StateLayers(7, *_shapes(*expected))] == list(read_layers(granite).states)
    qwen = {
        **PLAIN, "layer_types": ["linear_attention"] * 6 + ["full_attention"] * 2, "linear_num_key_heads": 4,
        "linear_num_value_heads": 8, "linear_key_head_dim": 32, "linear_value_head_dim": 64,
        "linear_conv_kernel_dim": 4,
    }  # fmt: skip
    expected = Shapes.gated_delta_net_state_shape(1, 4, 8, 32, 64, 4)
    assert [StateLayers(6, *_shapes(*expected))] == list(read_layers(qwen).states)
    # shared by two GPUs
    halves = Shapes.gated_delta_net_state_shape(2, 4, 8, 32, 64, 4)
    place = Placement(FORMATS["bfloat16"], 16, Sharding(tensor=2))
    assert state_bytes(read_layers(qwen), place) == 6 * 2 * sum(_shapes(*halves))
    lfm = {**PLAIN, "layer_types": ["conv"] * 6 + ["full_attention"] * 2, "conv_L_cache": 3}
    (convolution,) = _shapes(*Shapes.short_conv_state_shape(1, 512, 3))
    assert read_layers(lfm).states == (StateLayers(6, convolution, 0),)


@pytest.mark.parametrize("dtype", [name for name in FORMATS if name != "float32"])
@pytest.mark.parametrize(("heads", "dim"), [(8, 128), (2, 64), (3, 96), (1, 256)])
def test_a_page_is_of_vllms_size(dtype: str, heads: int, dim: int) -> None:
    import torch
    from vllm.v1.attention.backends.triton_attn import TritonAttentionBackend
    from vllm.v1.attention.backends.turboquant_attn import TurboQuantAttentionBackend
    from vllm.v1.kv_cache_interface import FullAttentionSpec, get_kv_quant_mode

    stored = torch.bfloat16 if dtype in ("bfloat16", "float16") else torch.uint8
    mode = get_kv_quant_mode(dtype)
    spec = FullAttentionSpec(
        block_size=16, num_kv_heads=heads, head_size=dim, dtype=stored, kv_quant_mode=mode
    )  # fmt: skip
    if mode.is_turboquant:
        spec = TurboQuantAttentionBackend.customize_spec(spec)
    elif mode.is_per_token_head:
        spec = TritonAttentionBackend.customize_spec(spec)
    config = {"num_hidden_layers": 1, "num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": dim}
    assert 16 * kv_bytes_per_token(config, dtype) == spec.page_size_bytes


@pytest.mark.parametrize("length", [1000, 4096, 5000, 32768])
@pytest.mark.parametrize("in_flight", [1, 512, 8192])
def test_a_window_holds_the_pages_that_vllm_admits(length: int, in_flight: int) -> None:
    import torch
    from vllm.v1.kv_cache_interface import SlidingWindowSpec

    spec = SlidingWindowSpec(block_size=16, num_kv_heads=2, head_size=64, dtype=torch.bfloat16, sliding_window=4096)
    blocks = min(spec.max_admission_blocks_per_request(in_flight, length), -(-length // 16))
    config = {**PLAIN, "num_hidden_layers": 1, "sliding_window": 4096}
    place = Placement(FORMATS["bfloat16"], 16, in_flight_tokens=in_flight)
    assert request_bytes(read_layers(config), length, place) == blocks * spec.page_size_bytes


def test_a_latent_page_is_of_vllms_size() -> None:
    import torch
    from vllm.v1.kv_cache_interface import MLAAttentionSpec

    spec = MLAAttentionSpec(block_size=64, num_kv_heads=1, head_size=576, dtype=torch.bfloat16)
    config = {**PLAIN, "num_hidden_layers": 1, "kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert 64 * kv_bytes_per_token(config, "bfloat16") == spec.page_size_bytes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer_types": ["full_attention"] * 7}, "7 layer_types beside num_hidden_layers = 8"),
        ({"layer_types": "full_attention"}, "layer_types = 'full_attention' beside"),
        ({"layer_types": ["fourier"] * 8}, "layers of kind 'fourier'"),
        ({"hybrid_override_pattern": "MX"}, "layers of kind 'X'"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3, which does not divide 8"),
        ({"num_key_value_heads": 16}, "num_key_value_heads = 16, which does not divide 8"),
        ({"num_kv_shared_layers": 8}, "num_kv_shared_layers = 8 beside 8 layers"),
        ({"use_cla": True, "cla_share_factor": -1}, "cla_share_factor = -1"),
        ({"kv_lora_rank": 512}, "qk_rope_head_dim = None"),
        ({"layer_types": ["sliding_attention"] * 8}, "sliding_window = None"),
        ({"layer_types": ["chunked_attention"] * 8}, "attention_chunk_size = None"),
        ({"layer_types": ["mamba"] * 8}, "mamba_expand = None"),
        ({"attn_layer_period": 4, "attn_layer_offset": "x"}, "attn_layer_offset = 'x'"),
        ({"block_configs": [{}]}, "does not know layers of different sizes"),
        ({"index_topk": 2048}, "does not know an indexer's cache"),
        ({"global_head_dim": 512}, "does not know heads of two sizes"),
        ({"head_dim": None, "hidden_size": 513}, "hidden_size = 513, which 8 attention heads do not divide"),
    ],
)
def test_a_config_that_lacks_or_contradicts_is_named(change: dict[str, Any], said: str) -> None:
    unknown = "not know" in said or "of kind" in said
    with pytest.raises(ModelUnsupportedError if unknown else ModelDamagedError, match=said) as caught:
        read_layers({**PLAIN, **change})
    assert caught.value.hint
