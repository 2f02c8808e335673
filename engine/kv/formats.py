"""How a cache stores the keys and values of a token in a head: bits of a number, and what comes with a vector."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheFormat:
    """Bits of a key's and a value's numbers, bytes beside each vector (scales, norms, zeros), and what a token's bytes
    in a head are rounded up to. With `centred_page` a page of so many tokens keeps one bf16 centre of keys a head."""

    name: str
    key_bits: int
    value_bits: int
    key_extra: int = 0
    value_extra: int = 0
    multiple: int = 1
    centred_page: int | None = None

    def token_bytes(self, key_dim: int, value_dim: int) -> int:
        """Bytes of a token in one head; no value where `value_dim` is 0."""
        found = math.ceil(key_dim * self.key_bits / 8) + self.key_extra
        if value_dim:
            found += math.ceil(value_dim * self.value_bits / 8) + self.value_extra
        if self.centred_page is not None:
            found += math.ceil(2 * key_dim / self.centred_page)
        return -(-found // self.multiple) * self.multiple


# vLLM 0.32's names. Scales a token and head are float32; turboquant's norms, scales and zeros are float16.
FORMATS: Mapping[str, CacheFormat] = {
    form.name: form
    for form in (
        CacheFormat("float32", 32, 32),
        CacheFormat("bfloat16", 16, 16),
        CacheFormat("float16", 16, 16),
        CacheFormat("fp8", 8, 8),
        CacheFormat("fp8_e4m3", 8, 8),
        CacheFormat("fp8_e5m2", 8, 8),
        CacheFormat("fp8_per_token_head", 8, 8, 4, 4),
        CacheFormat("int8_per_token_head", 8, 8, 4, 4),
        CacheFormat("int4_per_token_head", 4, 4, 4, 4),
        CacheFormat("turboquant_k8v4", 8, 4, 0, 4, 2),
        CacheFormat("turboquant_4bit_nc", 4, 4, 2, 4, 2),
        CacheFormat("turboquant_k3v4_nc", 3, 4, 2, 4, 2),
        CacheFormat("turboquant_3bit_nc", 3, 3, 2, 4, 2),
    )
}


def centred(page_tokens: int) -> CacheFormat:
    """fathom's own FP8 pages: e4m3 of keys less their page's centre, e4m3 values."""
    return CacheFormat(f"fp8, centred pages of {page_tokens}", 8, 8, centred_page=page_tokens)


def centred_head_bytes(head_dim: int, page_tokens: int) -> int:
    """Bytes of a token in one KV head of a centred FP8 page: two e4m3 vectors and its share of the page's bf16 centre,
    rounded up to whole bytes."""
    return centred(page_tokens).token_bytes(head_dim, head_dim)
