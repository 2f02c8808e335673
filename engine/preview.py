"""What the embedded engine would be, told without starting it: its length, its cache, who computes attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .base import EngineInfo
from .errors import ModelDamagedError, ModelUnsupportedError
from .estimates.cost import parameters
from .estimates.reliability import reliable_length
from .kv.geometry import GIB, kv_bytes_per_token, kv_tokens
from .models.resolution import ModelFiles
from .rope.config import own_scaling, rope_kind, text_config
from .rope.context import ContextPlan, plan_context, reach_tokens
from .rope.scaling import RopeScaling

CPU = "cpu"
FATHOM = "fathom"
CPU_BLOCK_TOKENS = 128  # a page of vLLM's KV cache on a CPU
UNTRAINED = ("linear", "ntk", "dynamic", "yarn")  # scalings that stretch a model without training it
FP8 = ("fp8", "fp8_e4m3")  # on a GPU fathom's own attention keeps these


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """How to start vLLM.

    `needed_tokens` is the longest request of this run: it decides the RoPE scaling. `kv_cache_gib` bounds the KV
    cache on a CPU; on a GPU `gpu_memory_utilization` does. `kv_dtype` "fp8" asks a GPU for centred FP8 pages and
    fathom's attention, which a model that the kernels do not know gets from vLLM instead; a CPU keeps float32.
    `threads` 0 means all cores. Without `prefix_cache` each prompt is read from its beginning, as measurements want it.
    """

    needed_tokens: int
    kv_cache_gib: int = 2
    gpu_memory_utilization: float = 0.85
    kv_dtype: str = "auto"
    threads: int = 0
    prefix_cache: bool = True


def preview(model: ModelFiles, settings: EmbeddedSettings) -> EngineInfo:
    """What EmbeddedEngine would say of itself, without starting it; requests are cut to the model's reach.

    On a GPU the size of the KV cache is known only once vLLM has measured the memory, so `kv_tokens` is None, and
    `attention` only where it is to be fathom's.
    """
    plan = plan_context(model.config, min(settings.needed_tokens, reach_tokens(model.config)))
    device = device_name()
    cpu = device == CPU
    dtype = "float32" if cpu else _weights_dtype(model)
    kv_dtype, attention, page = dtype, None, CPU_BLOCK_TOKENS if cpu else None
    if not cpu and settings.kv_dtype != "auto":
        kv_dtype = settings.kv_dtype
    if not cpu and kv_dtype in FP8:
        from .attention.fit import PREFERRED_PAGE

        attention, page = (FATHOM, PREFERRED_PAGE) if _served_by_fathom(model) else (None, None)
    per_token = bytes_per_token(model, kv_dtype, page if attention else None) if kv_dtype else None
    cache = kv_tokens(settings.kv_cache_gib * GIB, per_token, CPU_BLOCK_TOKENS) if cpu and per_token else None
    return EngineInfo(
        model=model.name,
        backend="vllm",
        device=device,
        max_model_tokens=min(plan.max_model_tokens, cache or plan.max_model_tokens),
        native_tokens=plan.native_tokens,
        dtype=dtype,
        attention=attention,
        kv_dtype=kv_dtype,
        kv_tokens=cache,
        kv_block_tokens=page,
        kv_bytes_per_token=per_token,
        rope=stretched(model.config, plan),
        reliable_tokens=reliable_tokens(model, plan, kv_dtype, attention),
        parameters=parameter_count(model),
    )


def stretched(config: Mapping[str, Any], plan: ContextPlan) -> RopeScaling | None:
    """The scaling that a model runs with and, as far as its config tells, was not trained with: the plan's, or one of
    its own config that needs no training, though some makers trained with it. Llama 3's and LongRoPE's are part of a
    model's training."""
    if plan.scaling is not None or rope_kind(config) not in UNTRAINED:
        return plan.scaling
    return own_scaling(config)


def reliable_tokens(model: ModelFiles, plan: ContextPlan, kv_dtype: str | None, attention: str | None) -> int | None:
    """What the model's profile says of this state; None where nothing was measured, or the folder is not trusted.

    Raises ModelDamagedError.
    """
    if not model.trusted:
        return None
    dtype = f"{kv_dtype}-{FATHOM}" if attention == FATHOM else kv_dtype
    found = reliable_length(model.folder, stretched(model.config, plan), plan.native_tokens, dtype)
    return found.tokens if found else None


def parameter_count(model: ModelFiles) -> int | None:
    """Parameters of a model by its config, None where its sizes are not known to fathom's arithmetic."""
    try:
        found = parameters(model.config)
    except (ModelDamagedError, ModelUnsupportedError):
        return None
    return found.total if found else None


def _served_by_fathom(model: ModelFiles) -> bool:
    """Whether this GPU and this model are among those that fathom's attention knows."""
    import torch

    from .attention.fit import FIRST_CAPABILITY, misfits

    return bool(torch.cuda.get_device_capability(0) >= FIRST_CAPABILITY) and not misfits(model.config)


def _weights_dtype(model: ModelFiles) -> str | None:
    """The 16-bit type that vLLM will keep a model's weights in on a GPU; None where it decides for itself."""
    inner = text_config(model.config)
    declared = str(inner.get("dtype") or inner.get("torch_dtype"))
    return declared if declared in ("bfloat16", "float16") else None


def bytes_per_token(model: ModelFiles, dtype: str, centred_page: int | None = None) -> int | None:
    """KV bytes of a token, None for attention that the arithmetic does not know."""
    try:
        return kv_bytes_per_token(model.config, dtype, centred_page)
    except (ModelDamagedError, ModelUnsupportedError, KeyError):
        return None


def device_name() -> str:
    """The first GPU's name, or "cpu"."""
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else CPU
