"""What a Hugging Face config says of positions: lengths, rotary parameters, a scaling of its own."""

from collections.abc import Mapping
from typing import Any

from ..errors import ModelDamagedError, ModelUnsupportedError
from .methods import Rotary
from .scaling import OPTIONS, RopeScaling

# Names that configs use for the same method.
_SAME = {"su": "longrope", "deepseek_yarn": "yarn"}
# What transformers takes for families whose older configs name no base.
DEFAULT_BASES = dict.fromkeys(
    (
        "llama", "mistral", "qwen2", "qwen2_moe", "qwen3", "gemma", "gemma2", "phi3", "olmo", "olmo2", "starcoder2",
        "granite", "deepseek_v2", "deepseek_v3",
    ),
    10_000.0,
) | {"mixtral": 1_000_000.0, "cohere": 500_000.0}  # fmt: skip
_PLAIN = (None, "default", "mrope")
LARGEST = 2**31  # of a model's sizes and lengths
CORRECT = "correct the model's config.json, or use another model"


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a Hugging Face config that describes the language model."""
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def rope_parameters(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """RoPE parameters of a config, in today's place or the older `rope_scaling`; those of full attention where each
    kind of layer has its own."""
    inner = text_config(config)
    found = inner.get("rope_parameters") or inner.get("rope_scaling") or {}
    if not isinstance(found, Mapping):
        return {}
    layered = found.get("full_attention")
    return layered if isinstance(layered, Mapping) else found


def has_layered_rope(config: Mapping[str, Any]) -> bool:
    """Whether kinds of layers turn differently."""
    found = text_config(config).get("rope_parameters")
    return isinstance(found, Mapping) and isinstance(found.get("full_attention"), Mapping)


def native_tokens(config: Mapping[str, Any]) -> int:
    """The length a model was trained for; where its config already extends, what it declares, and with linear
    scaling that times the factor, as vLLM 0.32 derives it (Gemma 3 declares the product).

    Raises ModelDamagedError for a config that does not say.
    """
    factor = rope_parameters(config).get("factor")
    is_product = has_layered_rope(config) or "gemma3" in str(text_config(config).get("model_type"))
    if (
        rope_kind(config) == "linear"
        and not is_product
        and isinstance(factor, int | float)
        and not isinstance(factor, bool)
        and factor >= 1
    ):
        return int(declared_tokens(config) * factor)
    return declared_tokens(config)


def declared_tokens(config: Mapping[str, Any]) -> int:
    """`max_position_embeddings`. Raises ModelDamagedError for a config without it."""
    length = text_config(config).get("max_position_embeddings")
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= LARGEST:
        raise ModelDamagedError(f"the model's config has max_position_embeddings = {length!r}", "use another model")
    return length


def rope_kind(config: Mapping[str, Any]) -> str | None:
    """The scaling that a config names, None for plain rotary positions."""
    rope = rope_parameters(config)
    kind = rope.get("rope_type", rope.get("type", "default"))
    return None if kind in _PLAIN else _SAME.get(str(kind), str(kind))


def is_extended(config: Mapping[str, Any]) -> bool:
    """Whether the config itself scales RoPE already; such a model is not extended twice."""
    return rope_kind(config) is not None


def rope_theta(config: Mapping[str, Any]) -> float | None:
    """The base of the frequencies, or the family's where the config names none; None for a model without rotary
    positions."""
    inner = text_config(config)
    theta = rope_parameters(config).get("rope_theta", inner.get("rope_theta"))
    if theta is None and "rope_theta" not in inner:
        return DEFAULT_BASES.get(str(inner.get("model_type")))
    return float(theta) if isinstance(theta, int | float) and not isinstance(theta, bool) else None


def rotary(config: Mapping[str, Any]) -> Rotary:
    """The rotary positions that a model was trained with.

    Raises ModelDamagedError for a config without the sizes, or with ones that contradict each other.
    """
    inner = text_config(config)
    base = rope_theta(config)
    if base is None:
        raise ModelDamagedError("the model's config has no rope_theta", "use another model")
    if base <= 1:
        raise ModelDamagedError(f"the model's config has rope_theta = {base:g}, which must be over 1", CORRECT)
    share = rope_parameters(config).get("partial_rotary_factor", inner.get("partial_rotary_factor", 1.0))
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise ModelDamagedError(f"the model's config has partial_rotary_factor = {share!r}, of 0 to 1", CORRECT)
    dims = int((inner.get("qk_rope_head_dim") or head_dim(config)) * share)
    if dims < 2 or dims % 2:
        raise ModelDamagedError(f"the model's config makes {dims} numbers of a head turn, which are no pairs", CORRECT)
    return Rotary(base, dims)


def head_dim(config: Mapping[str, Any]) -> int:
    """Numbers of a head. Raises ModelDamagedError where the config does not say or its sizes do not divide."""
    inner = text_config(config)
    if inner.get("head_dim"):
        return size(inner, "head_dim")
    hidden, heads = size(inner, "hidden_size"), size(inner, "num_attention_heads")
    if hidden % heads:
        raise ModelDamagedError(
            f"the model's config has hidden_size = {hidden}, which {heads} attention heads do not divide", CORRECT
        )
    return hidden // heads


def size(config: Mapping[str, Any], key: str) -> int:
    """A size by its name. Raises ModelDamagedError where it is no positive integer, or beyond LARGEST."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST:
        raise ModelDamagedError(f"the model's config has {key} = {value!r}", "use another model")
    return value


def own_scaling(config: Mapping[str, Any]) -> RopeScaling | None:
    """The scaling that a config brings with it, None for none.

    The factor is what the config says, or, as its methods define it, the declared length over the original one. Raises
    ModelDamagedError for a kind that fathom does not know and for lengths that contradict each other, RopeError for
    values that no scaling can have.
    """
    kind = rope_kind(config)
    if kind is None:
        return None
    if kind not in OPTIONS:
        raise ModelUnsupportedError(f"the model's config has rope_type {kind!r}, which fathom does not know", CORRECT)
    inner, rope, declared = text_config(config), rope_parameters(config), declared_tokens(config)
    original = rope.get("original_max_position_embeddings") or inner.get("original_max_position_embeddings") or declared
    if not isinstance(original, int) or not 1 <= original <= declared:
        raise ModelDamagedError(
            f"the model's config has original_max_position_embeddings = {original!r} beside "
            f"max_position_embeddings = {declared:,}",
            CORRECT,
        )
    factor = rope.get("factor")
    if factor is None or kind == "longrope":
        factor = declared / original
    if not isinstance(factor, int | float) or isinstance(factor, bool):
        raise ModelDamagedError(f"the model's config has a RoPE factor of {factor!r}", CORRECT)
    if kind == "yarn" and declared > original * factor:
        raise ModelDamagedError(
            f"the model's config declares {declared:,} tokens, and its YaRN reaches {int(original * factor):,} "
            f"({original:,} × {factor:g})",
            CORRECT,
        )
    options = {name: rope[name] for name in OPTIONS[kind] if rope.get(name) is not None}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    return RopeScaling(kind, float(factor), original, options)
