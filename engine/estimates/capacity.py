"""What fits: tokens of cache, requests at once and their times, for a model on a device, by arithmetic alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ContextError, EstimateError
from engine.estimates.cost import Ceilings, decode_seconds, parameters, prefill_seconds, weights_read
from engine.estimates.devices import RESERVE_BYTES, STEP_TOKENS
from engine.estimates.weights import weight_bytes
from engine.kv.formats import FORMATS, CacheFormat, centred
from engine.kv.geometry import Placement, Sharding, bytes_per_token, request_bytes, request_tokens, state_bytes
from engine.kv.layers import Layers, read_layers
from engine.rope.context import reach_tokens

CENTRED = "fp8"  # on a GPU fathom's own pages, where the model is one that its kernels know
STOCK_FP8 = "fp8_e4m3"
COMPARED = ("bfloat16", CENTRED, STOCK_FP8, "int8_per_token_head", "int4_per_token_head", "turboquant_3bit_nc")
CONTEXTS = (4096, 8192, 16384, 32768, 65536, 131072)
CHUNKED_TOKENS = 4096  # a chunked question, to say what a long one displaces


@dataclass(frozen=True, slots=True)
class Room:
    """The memory of one GPU of `gpus`, how much of it vLLM may take, and the rates of all of them (None: no times)."""

    name: str
    memory_bytes: int
    utilization: float
    gpus: int = 1
    ceilings: Ceilings | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A request of `tokens`: bytes on each GPU, how many such fit at once, seconds to the first token, tokens a second
    of one request and of all that fit; None where they are not known."""

    tokens: int
    request_bytes: int
    at_once: int
    first_token_s: float | None
    decode_tokens_s: float | None
    decode_all_tokens_s: float | None


@dataclass(frozen=True, slots=True)
class CacheRow:
    """One format of the cache: bytes of a token on each GPU, the longest single request, and fits by context."""

    dtype: str
    bytes_per_token: int
    longest_tokens: int
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a model's cache holds on a device. Bytes are those of each GPU.

    `displaced` is how many chunked questions of CHUNKED_TOKENS fit into the memory of one request of the longest
    context, in the first format.
    """

    model: str
    device: str
    gpus: int
    weight_bytes: int
    cache_bytes: int
    state_bytes: int
    page_tokens: int
    rows: tuple[CacheRow, ...]
    displaced: int
    displaced_by_tokens: int


def capacity(
    model: str,
    config: Mapping[str, Any],
    room: Room,
    dtypes: Sequence[str] = COMPARED,
    contexts: Sequence[int] = (),
    folder: Path | None = None,
) -> Capacity:
    """What fits of a model. `contexts` are CONTEXTS up to the model's reach where none are given.

    Weights are those of the files in `folder`, else estimated. Raises EstimateError for formats that do not
    exist and numbers that cannot be, ContextError for a context beyond the model's reach or a model too large,
    ModelDamagedError for a config without the sizes.
    """
    reach = reach_tokens(config)
    asked = tuple(contexts) or tuple(length for length in CONTEXTS if length <= reach) or (reach,)
    _check(room, dtypes, asked, reach)
    layers = read_layers(config)
    sharding = Sharding(room.gpus)
    weights = -(-weight_bytes(config, folder) // room.gpus)
    usable = int(room.memory_bytes * room.utilization)
    cache = usable - weights - RESERVE_BYTES
    if cache <= 0:
        raise ContextError(
            f"{model} leaves no memory for a KV cache: {weights / 1e9:.1f} GB of weights and "
            f"{RESERVE_BYTES / 1e9:.1f} GB for vLLM in {usable / 1e9:.1f} GB of {room.name}",
            "use more GPUs (--gpus), a larger one, or a smaller model",
        )
    rows = []
    for name in dtypes:
        form, page = _format(name, config)
        place = Placement(form, page, sharding, STEP_TOKENS)
        fits = tuple(_fit(config, layers, place, tokens, cache, weights, room) for tokens in asked)
        longest = request_tokens(layers, cache, place, reach)
        rows.append(CacheRow(name, bytes_per_token(layers, form, sharding), longest, fits))
    form, page = _format(dtypes[0], config)
    place = Placement(form, page, sharding, STEP_TOKENS)
    chunked = request_bytes(layers, min(CHUNKED_TOKENS, reach), place)
    displaced = request_bytes(layers, max(asked), place) // chunked
    states = state_bytes(layers, place)
    return Capacity(
        model, room.name, room.gpus, weights, cache, states, page, tuple(rows), displaced, max(asked)
    )  # fmt: skip


def _check(room: Room, dtypes: Sequence[str], contexts: Sequence[int], reach: int) -> None:
    for name in dtypes:
        if name not in FORMATS:
            raise EstimateError(f"there is no cache dtype {name!r}", f"use one of: {', '.join(FORMATS)}")
    if not dtypes or room.gpus < 1 or not 0 < room.utilization <= 1 or room.memory_bytes <= 0:
        raise EstimateError(
            f"{room.gpus} GPUs of {room.memory_bytes / 1e9:.1f} GB used to {room.utilization:g} hold nothing",
            "give at least one GPU, some memory, and a share of 0 to 1",
        )
    for tokens in contexts:
        if tokens < 1:
            raise EstimateError(f"a context of {tokens} tokens is none", "give a positive number")
        if tokens > reach:
            raise ContextError(
                f"{tokens:,} tokens are beyond the model's reach of {reach:,}", "give a shorter --context"
            )


def _format(name: str, config: Mapping[str, Any]) -> tuple[CacheFormat, int]:
    """A format and the tokens of its page as vLLM would choose them on a GPU."""
    if name == CENTRED:
        from engine.attention.fit import PREFERRED_PAGE, misfits

        if not misfits(config):
            return centred(PREFERRED_PAGE), PREFERRED_PAGE
    return FORMATS[name], 16


def _fit(
    config: Mapping[str, Any], layers: Layers, place: Placement, tokens: int, cache: int, weights: int, room: Room
) -> Fit:
    each = request_bytes(layers, tokens, place)
    at_once = cache // each
    known = room.ceilings is not None and parameters(config) is not None and at_once > 0
    if not known or room.ceilings is None:
        return Fit(tokens, each, at_once, None, None, None)
    first = prefill_seconds(config, layers, tokens, room.ceilings)
    total = room.gpus * weights
    one = decode_seconds(total * weights_read(config, 1), room.gpus * each, room.ceilings)
    everyone = decode_seconds(total * weights_read(config, at_once), room.gpus * each * at_once, room.ceilings)
    return Fit(tokens, each, at_once, first, 1 / one, at_once / everyone)
