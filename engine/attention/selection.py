"""What the name CUSTOM stands for: fathom's backend where it serves the whole model, else the one vLLM would choose."""

import logging
from typing import Any, ClassVar

from vllm.config import VllmConfig, get_current_vllm_config
from vllm.platforms import current_platform
from vllm.v1.attention import selector as vllm_selector
from vllm.v1.attention.backend import AttentionBackend
from vllm.v1.attention.selector import AttentionSelectorConfig

from .backend import FathomBackend
from .fit import misfits

_log = logging.getLogger("vllm.fathom")


class Selection(AttentionBackend):
    """Asked by vLLM for each layer, first whether it is valid and then which class to load.

    A model is served by fathom's kernels whole or not at all. The first of its layers decides, by the model's
    configuration and its own needs; a later one that does not fit is an error, because half a model cannot lie in other
    pages. The decision is given in the log, once.
    """

    _chosen: ClassVar[tuple[str, str]] = FathomBackend.full_cls_name()
    _models: ClassVar[list[tuple[object, list[str]]]] = []  # each model's configuration and why it does not fit

    @classmethod
    def validate_configuration(cls, device_capability: Any, **selector: Any) -> list[str]:
        """Chooses; empty, or why the layer cannot be served."""
        config = get_current_vllm_config()
        here = FathomBackend.validate_configuration(device_capability=device_capability, **selector)
        known = next((why for model, why in cls._models if model is config.model_config), None)
        reasons = [*_of_model(config), *here] if known is None else known
        if known is None:
            cls._models.append((config.model_config, reasons))
        if not reasons:
            cls._chosen = FathomBackend.full_cls_name()
            if here:
                return [*here, "and other layers of this model are fathom's already; take another --attention-backend"]
            return []
        wanted = AttentionSelectorConfig(**selector)
        candidates, others = current_platform.get_valid_backends(
            device_capability=device_capability, attn_selector_config=wanted
        )
        if not candidates:
            return [*reasons, *(f"{name.name}: {', '.join(why)}" for name, (_, why) in others.items())]
        first = min(candidates, key=lambda candidate: candidate.priority)
        cls._chosen = first.backend_class.full_cls_name()
        if known is None:
            text = (
                f"fathom's attention does not serve this model ({'; '.join(reasons)}): vLLM's {first.backend.name} does"
            )
            _log.warning(text)
        return []

    @classmethod
    def full_cls_name(cls) -> tuple[str, str]:
        """The module and name of what `validate_configuration` chose last."""
        return cls._chosen

    @classmethod
    def forget(cls) -> None:
        """Before another model in this process: vLLM remembers its choices by a layer's needs, whatever the model."""
        cls._models.clear()
        vllm_selector._cached_get_attn_backend.cache_clear()


def _of_model(config: VllmConfig) -> list[str]:
    """Why the model as a whole does not fit, as far as vLLM knows it."""
    model = config.model_config
    if model is None:
        return []
    sizes = model.model_arch_config
    found = misfits(
        {
            **model.hf_text_config.to_dict(),
            "num_attention_heads": sizes.total_num_attention_heads,
            "num_key_value_heads": sizes.total_num_kv_heads,
            "head_dim": sizes.head_size,
        }
    )
    if not found and sizes.per_layer_overrides:
        found.append("layers of different sizes")
    if config.cache_config.kv_cache_dtype_skip_layers:
        found.append("some layers are to keep 16 bits")
    return found
