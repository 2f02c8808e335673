"""KV-cache arithmetic against sums done by hand and a cache laid out number by number."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelDamagedError
from engine.kv import DTYPE_BYTES, centred_head_bytes, kv_bytes_per_token, kv_tokens

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


@given(st.integers(1, 8), st.integers(1, 4), st.sampled_from([8, 16, 64]), st.sampled_from(sorted(DTYPE_BYTES)))
def test_bytes_equal_those_of_a_cache_laid_out(layers: int, group: int, head_dim: int, dtype: str) -> None:
    kv_heads = 2
    config = {
        "num_hidden_layers": layers,
        "num_attention_heads": kv_heads * group,
        "num_key_value_heads": kv_heads,
        "hidden_size": kv_heads * group * head_dim,
    }
    numbers = sum(head_dim for _ in range(layers) for _ in ("key", "value") for _ in range(kv_heads))
    assert kv_bytes_per_token(config, dtype) == numbers * DTYPE_BYTES[dtype]


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
@pytest.mark.parametrize("value", [None, "many", 0])
def test_a_config_without_a_size_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ModelDamagedError, match=f"the model's config has {key} = {value!r}"):
        kv_bytes_per_token({**SMOLLM2, key: value}, "float32")
    with pytest.raises(ModelDamagedError, match=f"the model's config has {key} = None"):
        kv_bytes_per_token({k: v for k, v in SMOLLM2.items() if k != key}, "float32")


def test_latent_attention_is_refused_with_the_way_out() -> None:
    with pytest.raises(ModelDamagedError, match="latent attention") as caught:
        kv_bytes_per_token({**SMOLLM2, "kv_lora_rank": 512}, "float32")
    assert caught.value.hint == "use --engine URL"


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
