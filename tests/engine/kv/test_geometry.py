"""KV-cache arithmetic against sums done by hand and a cache laid out number by number."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelDamagedError
from engine.kv.formats import FORMATS, centred, centred_head_bytes
from engine.kv.geometry import (
    GIB,
    Placement,
    Sharding,
    bytes_per_token,
    kv_bytes_per_token,
    kv_tokens,
    request_bytes,
    request_tokens,
    state_bytes,
)
from engine.kv.layers import AttentionLayers, Layers, StateLayers, read_layers

PLAIN_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}
SMOLLM2 = {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576}
QWEN3_06B = {
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "hidden_size": 1024,
    "head_dim": 128,
}
GPT = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768}


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        (SMOLLM2, "float32", 46_080),  # GQA: 2 · 30 layers · 3 heads · (576 / 9 = 64) · 4 bytes
        (SMOLLM2, "bfloat16", 23_040),
        (SMOLLM2, "fp8", 11_520),
        (QWEN3_06B, "float16", 114_688),  # head size of its own, not 1024 / 16: 2 · 28 · 8 · 128 · 2
        (GPT, "float16", 36_864),  # MHA, KV heads not named: 2 · 12 · 12 · 64 · 2
        ({**GPT, "num_key_value_heads": None, "head_dim": None}, "float16", 36_864),
        ({**GPT, "num_key_value_heads": 1}, "float16", 3_072),  # MQA: 2 · 12 · 1 · 64 · 2
        ({"vision_config": {}, "text_config": SMOLLM2}, "float32", 46_080),
    ],
)
def test_bytes_of_a_token_by_hand(config: dict[str, Any], dtype: str, expected: int) -> None:
    assert kv_bytes_per_token(config, dtype) == expected


@given(st.integers(1, 8), st.integers(1, 4), st.sampled_from([8, 16, 64]), st.sampled_from(sorted(PLAIN_BYTES)))
def test_bytes_equal_those_of_a_cache_laid_out(layers: int, group: int, head_dim: int, dtype: str) -> None:
    kv_heads = 2
    config = {
        "num_hidden_layers": layers,
        "num_attention_heads": kv_heads * group,
        "num_key_value_heads": kv_heads,
        "hidden_size": kv_heads * group * head_dim,
    }
    numbers = sum(head_dim for _ in range(layers) for _ in ("key", "value") for _ in range(kv_heads))
    assert kv_bytes_per_token(config, dtype) == numbers * PLAIN_BYTES[dtype]


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
@pytest.mark.parametrize("value", [None, "many", 0])
def test_a_config_without_a_size_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ModelDamagedError, match=f"the model's config has {key} = {value!r}"):
        kv_bytes_per_token({**SMOLLM2, key: value}, "float32")
    with pytest.raises(ModelDamagedError, match=f"the model's config has {key} = None"):
        kv_bytes_per_token({k: v for k, v in SMOLLM2.items() if k != key}, "float32")


def test_an_unknown_dtype_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="int3"):
        kv_bytes_per_token(SMOLLM2, "int3")


def test_tokens_of_two_gibibytes_by_hand() -> None:
    # a block of 128 tokens · 46,080 bytes = 5,898,240; 2,147,483,648 / 5,898,240 = 364.09 → 364 · 128
    assert kv_tokens(2 * 2**30, 46_080, 128) == 46_592


def test_less_than_a_block_holds_nothing() -> None:
    assert kv_tokens(46_080 * 128 - 1, 46_080, 128) == 0
    assert kv_tokens(46_080 * 128, 46_080, 128) == 128


@given(st.integers(0, 2**40), st.integers(1, 10**6), st.integers(1, 512))
def test_tokens_are_the_most_whole_blocks_that_fit(kv_bytes: int, per_token: int, block: int) -> None:
    found = kv_tokens(kv_bytes, per_token, block)
    assert found % block == 0
    assert found * per_token <= kv_bytes < (found + block) * per_token


@given(st.integers(0, 2**40), st.integers(0, 2**30))
def test_more_bytes_never_hold_fewer_tokens(kv_bytes: int, more: int) -> None:
    assert kv_tokens(kv_bytes + more, 46_080, 128) >= kv_tokens(kv_bytes, 46_080, 128)


@pytest.mark.parametrize(
    ("head_dim", "page", "by_hand"), [(128, 128, 258), (128, 64, 260), (64, 128, 129), (96, 128, 194), (256, 64, 520)]
)
def test_a_centred_page_adds_its_share_of_the_centre(head_dim: int, page: int, by_hand: int) -> None:
    # e4m3 key and value, and 2 · head_dim bytes of the centre over the page's tokens, rounded up
    assert centred_head_bytes(head_dim, page) == by_hand
    config = {"num_hidden_layers": 10, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": head_dim}
    assert kv_bytes_per_token(config, "fp8", centred_page=page) == 40 * by_hand


LLAMA_70B = {"num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_size": 8192}
LLAMA_8B = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
BF16 = FORMATS["bfloat16"]


def test_the_known_figures_of_llama_3() -> None:
    assert kv_bytes_per_token(LLAMA_70B, "bfloat16") == 327_680
    # 128K tokens: 42.9 GB and 17.2 GB
    assert request_bytes(read_layers(LLAMA_70B), 131_072, Placement(BF16)) == 42_949_672_960
    assert request_bytes(read_layers(LLAMA_8B), 131_072, Placement(BF16)) == 17_179_869_184


@pytest.mark.parametrize(
    ("form", "page", "reported", "gpu_bytes"),
    [("bfloat16", 16, 897_984, 117.7e9), ("fp8", 16, 1_795_984, 117.7e9), ("centred", 128, 1_782_656, 117.7e9)],
)
def test_the_caches_that_vllm_reported_on_an_h200(form: str, page: int, reported: int, gpu_bytes: float) -> None:
    # docs/results.md, Llama-3.1-8B's sizes; the bytes there have four digits
    used = centred(page) if form == "centred" else FORMATS[form]
    one = request_bytes(read_layers(LLAMA_8B), reported, Placement(used, page))
    assert one == pytest.approx(gpu_bytes, rel=0.001)


MIXED = Layers(
    (AttentionLayers(2, 4, 8, 8), AttentionLayers(3, 4, 8, 8, window=10)), (StateLayers(5, convolution=12, state=40),)
)


def _by_hand(tokens: int, page: int, in_flight: int = 1) -> int:
    token = 4 * (8 + 8) * 2
    full = -(-tokens // page) * page * 2 * token
    held = min(-(-tokens // page), -(-(9 + in_flight) // page) + 1)
    return full + held * page * 3 * token + 5 * (12 + 40) * 2


@pytest.mark.parametrize("tokens", [0, 1, 4, 5, 10, 11, 17, 100, 1001])
@pytest.mark.parametrize("page", [1, 4, 16])
@pytest.mark.parametrize("in_flight", [1, 7, 64])
def test_windows_and_states_stop_growing(tokens: int, page: int, in_flight: int) -> None:
    place = Placement(BF16, page, in_flight_tokens=in_flight)
    assert request_bytes(MIXED, tokens, place) == _by_hand(tokens, page, in_flight)


@given(st.integers(0, 3000), st.integers(0, 3000), st.sampled_from([1, 16, 128]))
def test_a_shared_beginning_is_counted_once_in_whole_pages(tokens: int, shared: int, page: int) -> None:
    layers, place = read_layers(LLAMA_8B), Placement(BF16, page)
    alone, beside = request_bytes(layers, tokens, place), request_bytes(layers, tokens, place, shared)
    assert alone - beside == min(shared, tokens) // page * page * 131_072


def test_pages_that_a_window_has_left_cannot_be_shared() -> None:
    # 100 tokens in pages of 4: 25 pages, of which the window of 10 keeps the last 4. Sharing the first 80 tokens saves
    # the full layers 20 pages and the window none; sharing 92 saves it 2 of its 4.
    place = Placement(BF16, 4)
    token = 4 * 16 * 2
    alone = request_bytes(MIXED, 100, place)
    assert alone - request_bytes(MIXED, 100, place, 80) == 20 * 4 * 2 * token
    assert alone - request_bytes(MIXED, 100, place, 92) == 23 * 4 * 2 * token + 2 * 4 * 3 * token


@pytest.mark.parametrize(
    ("tensor", "context", "by_hand"),
    [
        (1, 1, 4 * 131_072),
        (4, 1, 131_072),  # 2 of 8 heads a GPU
        (16, 1, 4 * 131_072 // 8),  # more GPUs than heads: one head each, kept twice
        (1, 4, 131_072),
        (8, 2, 4 * 131_072 // 16),
    ],
)
def test_what_each_gpu_of_a_group_keeps(tensor: int, context: int, by_hand: int) -> None:
    place = Placement(BF16, 1, Sharding(tensor, context))
    assert request_bytes(read_layers(LLAMA_8B), 4, place) == by_hand


def test_a_latent_cache_is_kept_whole_by_every_gpu() -> None:
    deepseek = {
        "num_hidden_layers": 61, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
        "num_key_value_heads": 128, "hidden_size": 7168,
    }  # fmt: skip
    # DeepSeek-V3: 61 layers · 576 numbers · 2 bytes = 70,272 bytes a token
    assert kv_bytes_per_token(deepseek, "bfloat16") == 70_272
    assert bytes_per_token(read_layers(deepseek), BF16, Sharding(8)) == 70_272


@given(st.integers(0, 10**9), st.sampled_from([1, 16, 128]))
def test_the_longest_request_fits_and_one_token_more_does_not(room: int, page: int) -> None:
    place = Placement(BF16, page)
    found = request_tokens(MIXED, room, place)
    if room < state_bytes(MIXED, place):
        assert found == 0
        return
    assert request_bytes(MIXED, found, place) <= room < request_bytes(MIXED, found + 1, place)


def test_the_longest_request_of_a_gibibyte_by_hand() -> None:
    assert request_tokens(read_layers(LLAMA_8B), GIB, Placement(BF16, 16)) == 8192  # 2^30 / 2^17
    assert request_tokens(read_layers(LLAMA_8B), GIB, Placement(BF16, 16), most=5000) == 5000
    assert request_tokens(read_layers(LLAMA_8B), 0, Placement(BF16, 16)) == 0
