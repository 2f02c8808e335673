"""RoPE scaling: how far a model reaches, which YaRN factor a length needs, and the settings for vLLM.

YaRN: Efficient Context Window Extension of Large Language Models (2023), arXiv 2309.00071. The arithmetic on
frequencies is vLLM's; this module chooses the factor and writes the settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ContextError, ModelDamagedError

# Static YaRN costs short prompts accuracy, so the factor grows in steps with the length that a run needs.
FACTORS = (2.0, 4.0)


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """A static scaling: `factor` times `original_tokens` is the reach."""

    kind: str
    factor: float
    original_tokens: int


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """How to start a model: the longest request in tokens and the scaling for it (None: as trained)."""

    max_model_tokens: int
    native_tokens: int
    scaling: RopeScaling | None


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a Hugging Face config that describes the language model."""
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """RoPE parameters of a config, in today's place or the older `rope_scaling`."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return found if isinstance(found, Mapping) else {}


def native_tokens(config: Mapping[str, Any]) -> int:
    """The length a model was trained for; where its config already extends, what it declares as its reach.

    Raises ModelDamagedError for a config that does not say.
    """
    length = text_config(config).get("max_position_embeddings")
    if not isinstance(length, int) or length < 1:
        raise ModelDamagedError(f"the model's config has max_position_embeddings = {length!r}", "use another model")
    return length


def is_extended(config: Mapping[str, Any]) -> bool:
    """Whether the config itself scales RoPE already; such a model is not extended twice."""
    rope = _rope(text_config(config))
    kind = rope.get("rope_type", rope.get("type", "default"))
    return kind not in (None, "default")


def reach_tokens(config: Mapping[str, Any]) -> int:
    """The longest context fathom takes a model to."""
    native = native_tokens(config)
    return native if is_extended(config) or not _rope_theta(config) else int(native * FACTORS[-1])


def plan_context(config: Mapping[str, Any], needed_tokens: int) -> ContextPlan:
    """The smallest factor whose reach holds `needed_tokens`; no scaling where the native length does.

    Raises ContextError beyond the reach, naming it.
    """
    native = native_tokens(config)
    if needed_tokens <= native:
        return ContextPlan(native, native, None)
    reach = reach_tokens(config)
    if needed_tokens > reach:
        raise ContextError(
            f"{needed_tokens:,} tokens are beyond the model's reach of {reach:,} (trained for {native:,})",
            "use --route chunked, or a model with a longer context",
        )
    factor = next(f for f in FACTORS if needed_tokens <= native * f)
    return ContextPlan(int(native * factor), native, RopeScaling("yarn", factor, native))


def _rope_theta(config: Mapping[str, Any]) -> float | None:
    inner = text_config(config)
    theta = _rope(inner).get("rope_theta", inner.get("rope_theta"))
    return float(theta) if isinstance(theta, int | float) else None


def vllm_overrides(config: Mapping[str, Any], plan: ContextPlan) -> dict[str, Any]:
    """`hf_overrides` for vLLM 0.32; empty without a scaling."""
    if plan.scaling is None:
        return {}
    inner = text_config(config)
    # vLLM replaces the whole entry, so what else stands in it is said again.
    kept = {key: value for key, value in _rope(inner).items() if key != "type"}
    if "partial_rotary_factor" in inner:
        kept.setdefault("partial_rotary_factor", inner["partial_rotary_factor"])
    overrides = {
        "max_position_embeddings": plan.max_model_tokens,
        "rope_parameters": {
            **kept,
            "rope_type": plan.scaling.kind,
            "factor": plan.scaling.factor,
            "original_max_position_embeddings": plan.scaling.original_tokens,
            "rope_theta": _rope_theta(config),
        },
    }
    return overrides if inner is config else {"text_config": overrides}
