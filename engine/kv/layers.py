"""A model's layers by what they keep of a context, read from its Hugging Face config.

Attention keeps keys and values of every token (MHA, GQA, MQA), of a window's or a chunk's tokens alone, or one latent
vector a token (MLA, DeepSeek-V2, 2024, arXiv 2405.04434). State-space and linear-attention layers keep a state of
one size whatever the length. Some layers read another layer's cache and keep nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ModelDamagedError, ModelUnsupportedError
from ..rope.config import CORRECT, head_dim, size, text_config

_FULL = ("full_attention", "attention", "hybrid")
_WINDOW = "sliding_attention"
_CHUNK = "chunked_attention"
_STATE = ("linear_attention", "mamba", "mamba2", "conv", "recurrent")
_NOTHING = ("mlp", "moe")
_MOST_LAYERS = 10_000
_NEMOTRON = {"M": "mamba", "*": "full_attention", "-": "mlp", "E": "moe"}


@dataclass(frozen=True, slots=True)
class AttentionLayers:
    """`count` layers of `kv_heads` heads with keys and values of so many numbers. `window` bounds the tokens that they
    keep; MLA has one head with a key of latent and rotary numbers, and no value."""

    count: int
    kv_heads: int
    key_dim: int
    value_dim: int
    window: int | None = None
    latent: bool = False


@dataclass(frozen=True, slots=True)
class StateLayers:
    """`count` layers that keep so many numbers of a request in all: convolution inputs in the model's type, and a
    recurrent state."""

    count: int
    convolution: int
    state: int


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers of a model; `shared` read the cache of others."""

    attention: tuple[AttentionLayers, ...]
    states: tuple[StateLayers, ...] = ()
    shared: int = 0


def read_layers(config: Mapping[str, Any]) -> Layers:
    """The layers of a config. Raises ModelDamagedError where it lacks a size or contradicts itself, and
    ModelUnsupportedError where it names a kind of layer that fathom does not know."""
    inner = text_config(config)
    kinds = layer_kinds(config)
    shared = _shared(inner, kinds)
    keeping = Counter(kind for number, kind in enumerate(kinds) if number not in shared)
    attention: list[AttentionLayers] = []
    states: list[StateLayers] = []
    for kind, count in keeping.items():
        if kind in _FULL:
            attention.append(_attention(inner, count, None))
        elif kind == _WINDOW:
            attention.append(_attention(inner, count, size(inner, "sliding_window")))
        elif kind == _CHUNK:
            attention.append(_attention(inner, count, size(inner, "attention_chunk_size")))
        elif kind in _STATE:
            states.append(_state(inner, count))
    return Layers(tuple(attention), tuple(states), len(shared))


def layer_kinds(config: Mapping[str, Any]) -> list[str]:
    """The kind of each layer by transformers' names. Raises ModelDamagedError as `read_layers` does."""
    inner = text_config(config)
    pattern = inner.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return _known([_NEMOTRON.get(letter, letter) for letter in pattern])
    count = size(inner, "num_hidden_layers")
    if count > _MOST_LAYERS:
        raise ModelDamagedError(f"the model's config has num_hidden_layers = {count}", CORRECT)
    for key, what in _UNKNOWN.items():
        if inner.get(key):
            raise ModelUnsupportedError(f"fathom's KV arithmetic does not know {what} ({key})", "use --engine URL")
    named = inner.get("layer_types") or inner.get("layers_block_type")
    if named is not None:
        if not isinstance(named, Sequence) or isinstance(named, str) or len(named) != count:
            told = f"{len(named)} layer_types" if isinstance(named, list) else f"layer_types = {named!r}"
            raise ModelDamagedError(f"the model's config has {told} beside num_hidden_layers = {count}", CORRECT)
        return _known([str(kind) for kind in named])
    if inner.get("full_attention_interval"):  # Qwen3-Next
        every = size(inner, "full_attention_interval")
        return ["full_attention" if (i + 1) % every == 0 else "linear_attention" for i in range(count)]
    turning = inner.get("no_rope_layers")  # Llama 4: 1 where a layer turns, and sees its chunk alone
    if isinstance(turning, list) and len(turning) == count and inner.get("attention_chunk_size"):
        return [_CHUNK if flag else "full_attention" for flag in turning]
    if inner.get("attn_layer_period"):
        period, offset = size(inner, "attn_layer_period"), _count(inner, "attn_layer_offset")
        return ["full_attention" if i % period == offset else "mamba" for i in range(count)]
    if not inner.get("sliding_window") or inner.get("use_sliding_window") is False:
        return ["full_attention"] * count
    if isinstance(inner.get("sliding_window_pattern"), int):
        every = size(inner, "sliding_window_pattern")
        return ["full_attention" if (i + 1) % every == 0 else _WINDOW for i in range(count)]
    if "max_window_layers" in inner:
        first = inner["max_window_layers"]
        return [_WINDOW if isinstance(first, int) and i >= first else "full_attention" for i in range(count)]
    every = _ALTERNATING.get(str(inner.get("model_type")), 0)
    return ["full_attention" if every and (i + 1) % every == 0 else _WINDOW for i in range(count)]


# What other layers keep that is not counted here.
_UNKNOWN = {
    "block_configs": "layers of different sizes",
    "global_head_dim": "heads of two sizes",
    "index_topk": "an indexer's cache",
    "mamba_ssm_multiplier": "layers of attention and state at once",
    "ssm_multipliers": "layers of attention and state at once",
}
# Families whose older configs leave the pattern to the code: every so-manieth layer is full.
_ALTERNATING = {"gemma2": 2, "gemma3_text": 6, "gemma3": 6, "cohere2": 4, "gpt_oss": 2}


def _known(kinds: list[str]) -> list[str]:
    for kind in kinds:
        if kind not in (*_FULL, _WINDOW, _CHUNK, *_STATE, *_NOTHING):
            raise ModelUnsupportedError(
                f"the model's config has layers of kind {kind!r}, which fathom's KV arithmetic does not know",
                "use --engine URL, or another model",
            )
    return kinds


def _count(inner: Mapping[str, Any], key: str) -> int:
    """A number from 0 on, 0 where it is not there. Raises ModelDamagedError for anything else."""
    value = inner.get(key) or 0
    if not isinstance(value, int) or value < 0:
        raise ModelDamagedError(f"the model's config has {key} = {value!r}", CORRECT)
    return value


def _attention(inner: Mapping[str, Any], count: int, window: int | None) -> AttentionLayers:
    heads = size(inner, "num_attention_heads")
    if inner.get("kv_lora_rank"):
        width = size(inner, "kv_lora_rank") + size(inner, "qk_rope_head_dim")
        return AttentionLayers(count, 1, width, 0, window, latent=True)
    kv_heads = size(inner, "num_key_value_heads") if inner.get("num_key_value_heads") else heads
    if kv_heads > heads or heads % kv_heads:
        raise ModelDamagedError(
            f"the model's config has num_key_value_heads = {kv_heads}, which does not divide {heads} attention heads",
            CORRECT,
        )
    dim = head_dim(inner)
    return AttentionLayers(count, kv_heads, dim, dim, window)


def _state(inner: Mapping[str, Any], count: int) -> StateLayers:
    if "linear_num_value_heads" in inner:  # gated delta net (Qwen3-Next)
        keys = size(inner, "linear_num_key_heads") * size(inner, "linear_key_head_dim")
        values = size(inner, "linear_num_value_heads") * size(inner, "linear_value_head_dim")
        kept = size(inner, "linear_conv_kernel_dim") - 1
        return StateLayers(count, (2 * keys + values) * kept, values * size(inner, "linear_key_head_dim"))
    if "conv_L_cache" in inner:  # short convolutions (LFM2)
        return StateLayers(count, size(inner, "hidden_size") * (size(inner, "conv_L_cache") - 1), 0)
    if "mamba_num_heads" in inner:  # Mamba 2, Nemotron-H's names
        width = size(inner, "mamba_num_heads") * size(inner, "mamba_head_dim")
        numbers, kernel = size(inner, "ssm_state_size"), size(inner, "conv_kernel")
        return StateLayers(count, (width + 2 * size(inner, "n_groups") * numbers) * (kernel - 1), width * numbers)
    width = size(inner, "mamba_expand") * size(inner, "hidden_size")
    numbers, kernel = size(inner, "mamba_d_state"), size(inner, "mamba_d_conv")
    groups = 2 * size(inner, "mamba_n_groups") * numbers if "mamba_n_groups" in inner else 0  # Mamba 1 has none
    return StateLayers(count, (width + groups) * (kernel - 1), width * numbers)


def _shared(inner: Mapping[str, Any], kinds: list[str]) -> set[int]:
    """Numbers of the layers that read another's cache."""
    last = inner.get("num_kv_shared_layers") or 0
    every = inner.get("cla_share_factor") or 1 if inner.get("use_cla") else 1
    if not isinstance(last, int) or not 0 <= last < len(kinds):
        raise ModelDamagedError(
            f"the model's config has num_kv_shared_layers = {last!r} beside {len(kinds)} layers", CORRECT
        )
    if not isinstance(every, int) or every < 1:
        raise ModelDamagedError(f"the model's config has cla_share_factor = {every!r}", CORRECT)
    return {i for i in range(len(kinds)) if i >= len(kinds) - last or i % every}
