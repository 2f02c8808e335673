"""KV-cache arithmetic: bytes a token from a model's config, tokens in a number of bytes."""

from collections.abc import Mapping
from typing import Any

from .errors import ModelDamagedError
from .rope.config import text_config

GIB = 2**30
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}


def centred_head_bytes(head_dim: int, page_tokens: int) -> int:
    """Bytes of a token in one KV head of a centred FP8 page: two e4m3 vectors and its share of the page's bf16 centre,
    rounded up to whole bytes."""
    return 2 * head_dim + -(-2 * head_dim // page_tokens)


def kv_bytes_per_token(config: Mapping[str, Any], dtype: str, centred_page: int | None = None) -> int:
    """Bytes of keys and values of one token over all layers: 2 · layers · KV heads · head size · bytes a number.

    `centred_page` is the page size in tokens where fathom's attention keeps an FP8 cache; a page's centre then counts
    too. Holds for MHA, GQA and MQA; a model with sliding-window layers is counted as if they kept everything.
    Raises ModelDamagedError for a config without the sizes or with latent attention (MLA), KeyError for an
    unknown dtype.
    """
    inner = text_config(config)
    if "kv_lora_rank" in inner:
        raise ModelDamagedError("latent attention (MLA) is not known to fathom's KV arithmetic", "use --engine URL")
    layers, heads = _size(inner, "num_hidden_layers"), _size(inner, "num_attention_heads")
    head_dim = _size(inner, "head_dim") if inner.get("head_dim") else _size(inner, "hidden_size") // heads
    kv_heads = _size(inner, "num_key_value_heads") if inner.get("num_key_value_heads") else heads
    if centred_page is not None:
        return layers * kv_heads * centred_head_bytes(head_dim, centred_page)
    return 2 * layers * kv_heads * head_dim * DTYPE_BYTES[dtype]


def _size(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise ModelDamagedError(f"the model's config has {key} = {value!r}", "use another model")
    return value


def kv_tokens(kv_bytes: int, bytes_per_token: int, block_tokens: int) -> int:
    """Tokens that fit into `kv_bytes`, in whole blocks."""
    return kv_bytes // (bytes_per_token * block_tokens) * block_tokens
