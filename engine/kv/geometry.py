"""KV-cache arithmetic: bytes of a token, of a request and of many, tokens in a number of bytes.

Checked against vLLM 0.32's own cache specifications. A vector of the latent cache (MLA) is kept whole by every GPU of a
tensor-parallel group, and so are KV heads where there are fewer than GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .formats import FORMATS, CacheFormat, centred
from .layers import AttentionLayers, Layers, read_layers

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Sharding:
    """GPUs that share the heads (tensor parallel), and those that share a context's tokens (context parallel)."""

    tensor: int = 1
    context: int = 1


@dataclass(frozen=True, slots=True)
class Placement:
    """How a cache is laid out: its format, the tokens of a page, the GPUs; `in_flight_tokens` is how many tokens of a
    request a step computes at most, which layers with a window keep beside it. Convolution inputs of a state take
    `state_bytes` a number, as the recurrent state does in vLLM by default."""

    form: CacheFormat
    page_tokens: int = 1
    sharding: Sharding = Sharding()
    in_flight_tokens: int = 1
    state_bytes: int = 2


def bytes_per_token(layers: Layers, form: CacheFormat, sharding: Sharding = Sharding()) -> int:
    """Bytes that one more token adds on a GPU while it is in every layer's window, pages left out of account."""
    return sum(group.count * _token_bytes(group, form, sharding) for group in layers.attention)


def request_bytes(layers: Layers, tokens: int, place: Placement, shared_tokens: int = 0) -> int:
    """Bytes of a request of `tokens` on a GPU, in whole pages.

    The first `shared_tokens` are another request's too and count for that one: as many whole pages of them as lie
    within the tokens. Layers with a window keep no page of theirs once they are past it.
    """
    found = 0
    span = place.page_tokens * place.sharding.context
    shared = min(shared_tokens, tokens) // span
    for group in layers.attention:
        pages = -(-tokens // span)
        if group.window is not None:
            # one page more, as a window need not begin where a page does
            held = min(pages, -(-(group.window - 1 + place.in_flight_tokens) // place.page_tokens) + 1)
            pages = max(0, held - max(0, shared - (pages - held)))
        else:
            pages -= shared
        found += pages * place.page_tokens * group.count * _token_bytes(group, place.form, place.sharding)
    return found + state_bytes(layers, place)


def state_bytes(layers: Layers, place: Placement) -> int:
    """Bytes of a request on a GPU that do not grow with its length."""
    return sum(
        group.count * (-(-group.convolution // place.sharding.tensor) + -(-group.state // place.sharding.tensor))
        * place.state_bytes
        for group in layers.states
    )  # fmt: skip


def request_tokens(layers: Layers, room: int, place: Placement, most: int = 2**31) -> int:
    """The longest request, at most `most` tokens, that takes no more than `room` bytes; by bisection."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if request_bytes(layers, middle, place) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def kv_bytes_per_token(config: Mapping[str, Any], dtype: str, centred_page: int | None = None) -> int:
    """Bytes of keys and values of one token over all layers: 2 · layers · KV heads · head size · bytes a number for
    plain attention.

    `centred_page` is the page size in tokens where fathom's attention keeps an FP8 cache; a page's centre then counts
    too. Layers with a window are counted as if they kept everything. Raises ModelDamagedError for a config without the
    sizes, KeyError for an unknown dtype.
    """
    form = FORMATS[dtype] if centred_page is None else centred(centred_page)
    return bytes_per_token(read_layers(config), form)


def kv_tokens(kv_bytes: int, bytes_per_token: int, block_tokens: int) -> int:
    """Tokens that fit into `kv_bytes`, in whole blocks."""
    return kv_bytes // (bytes_per_token * block_tokens) * block_tokens


def _token_bytes(group: AttentionLayers, form: CacheFormat, sharding: Sharding) -> int:
    heads = 1 if group.latent else -(-group.kv_heads // sharding.tensor)
    return heads * form.token_bytes(group.key_dim, group.value_dim)
