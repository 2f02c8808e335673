"""A scaling written as settings: `hf_overrides` for vLLM, `rope_parameters` for Hugging Face, flags for llama.cpp."""

import json
from collections.abc import Mapping
from typing import Any

from ..errors import RopeError
from .config import has_layered_rope, native_tokens, rope_parameters, rope_theta, rotary, text_config
from .context import ContextPlan
from .methods import ntk_base, temperature
from .scaling import RopeScaling

# These read max_position_embeddings as the length of training, and multiply it with the factor themselves.
_KEEP_LENGTH = ("linear", "dynamic")


def hf_overrides(config: Mapping[str, Any], scaling: RopeScaling) -> dict[str, Any]:
    """What to change in a model's config for transformers 5.

    ntk has no name there and is written as what it is, a larger rope_theta (vLLM's own "ntk" is another formula).
    Raises RopeError for a model whose kinds of layers turn differently.
    """
    if has_layered_rope(config):
        raise RopeError("the model's kinds of layers turn differently, and no one scaling fits them", "use it as it is")
    inner = text_config(config)
    # Engines replace the whole entry, so what else stands in it is said again.
    kept = {key: value for key, value in rope_parameters(config).items() if key != "type"}
    if "partial_rotary_factor" in inner:
        kept.setdefault("partial_rotary_factor", inner["partial_rotary_factor"])
    if scaling.kind == "ntk":
        rope = {**kept, "rope_type": "default", "rope_theta": ntk_base(rotary(config), scaling.factor)}
    else:
        options = {name: list(v) if isinstance(v, tuple) else v for name, v in scaling.options.items()}
        rope = {**kept, "rope_type": scaling.kind, "factor": scaling.factor, **options}
        rope["rope_theta"] = rope_theta(config)
        if scaling.kind not in _KEEP_LENGTH:
            rope["original_max_position_embeddings"] = scaling.original_tokens
    overrides: dict[str, Any] = {"rope_parameters": rope}
    if scaling.kind not in _KEEP_LENGTH:
        overrides = {"max_position_embeddings": _length(config, scaling), **overrides}
    if scaling.kind == "longrope":
        overrides["original_max_position_embeddings"] = scaling.original_tokens
    return overrides if inner is config else {"text_config": overrides}


def vllm_overrides(config: Mapping[str, Any], plan: ContextPlan) -> dict[str, Any]:
    """`hf_overrides` for vLLM 0.32; empty without a scaling."""
    return vllm_settings(config, plan.scaling) if plan.scaling else {}


def vllm_settings(config: Mapping[str, Any], scaling: RopeScaling) -> dict[str, Any]:
    """`hf_overrides` for vLLM 0.32 where it reads them otherwise than transformers does.

    Its dynamic scaling is fixed at the start: it stretches from `max_trained_positions` to the declared length, and
    with transformers' entries does not stretch at all. So it gets the base of the reach for every length.
    """
    overrides = hf_overrides(config, scaling)
    if scaling.kind == "dynamic":
        inner = overrides.get("text_config", overrides)
        inner["max_position_embeddings"] = scaling.reach_tokens
        inner["rope_parameters"]["max_trained_positions"] = scaling.original_tokens
    return overrides


def vllm_arguments(config: Mapping[str, Any], scaling: RopeScaling) -> list[str]:
    """Arguments of `vllm serve`."""
    overrides = json.dumps(vllm_settings(config, scaling))
    return ["--hf-overrides", overrides, "--max-model-len", str(_length(config, scaling))]


def llama_cpp_arguments(config: Mapping[str, Any], scaling: RopeScaling) -> list[str]:
    """Arguments of llama.cpp's programs.

    llama.cpp heats YaRN by 1 + 0.1 · ln factor itself, so --yarn-attn-factor is what is left. Raises RopeError for
    methods that it has no flags for: the factors of longrope and llama3 are tensors of the GGUF file.
    """
    size = ["--ctx-size", str(_length(config, scaling))]
    if scaling.kind == "ntk":
        base = ntk_base(rotary(config), scaling.factor)
        return [*size, "--rope-scaling", "none", "--rope-freq-base", f"{base:.10g}"]
    if scaling.kind == "linear":
        return [*size, "--rope-scaling", "linear", "--rope-scale", f"{scaling.factor:g}"]
    if scaling.kind == "yarn":
        if not scaling.options.get("truncate", True):
            raise RopeError("llama.cpp always rounds YaRN's bounds", "leave truncate out")
        flags = ["--rope-scaling", "yarn", "--rope-scale", f"{scaling.factor:g}"]
        flags += ["--yarn-orig-ctx", str(scaling.original_tokens)]
        flags += [
            part
            for option in ("beta_fast", "beta_slow")
            if option in scaling.options
            for part in (f"--yarn-{option.replace('_', '-')}", f"{scaling.options[option]:g}")
        ]
        usual = temperature(RopeScaling("yarn", scaling.factor, scaling.original_tokens))
        if abs(left := temperature(scaling) / usual) != 1.0:
            flags += ["--yarn-attn-factor", f"{left:.10g}"]
        return [*size, *flags]
    raise RopeError(
        f"llama.cpp has no flags for {scaling.kind}"
        + (": its factors are part of the GGUF file" if scaling.kind in ("longrope", "llama3") else ""),
        "convert the model with the settings of --emit hf, or use yarn",
    )


def _length(config: Mapping[str, Any], scaling: RopeScaling) -> int:
    """The reach; what a config declares where its own scaling declares more or less, as Llama 3.1's does."""
    own = rope_parameters(config).get("rope_type", rope_parameters(config).get("type"))
    return native_tokens(config) if own == scaling.kind else scaling.reach_tokens
