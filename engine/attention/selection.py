"""What the name CUSTOM stands for: fathom's backend where it serves the whole model, else the one vLLM would choose."""

import logging
from typing import Any, ClassVar

from vllm.config import get_current_vllm_config
from vllm.platforms import current_platform
from vllm.v1.attention.backend import AttentionBackend
from vllm.v1.attention.selector import AttentionSelectorConfig

from .backend import FathomBackend
from .fit import misfits

_log = logging.getLogger("vllm.fathom")


class Selection(AttentionBackend):
    """Asked by vLLM for each layer, first whether it is valid and then which class to load.

    The answer is the same for all layers of a model, because it rests on the model's configuration: a model is served
    by fathom's kernels or not at all. It is given in the log, once.
    """

    _chosen: ClassVar[tuple[str, str]] = (FathomBackend.__module__, FathomBackend.__qualname__)
    _said: ClassVar[set[str]] = set()

    @classmethod
    def validate_configuration(cls, device_capability: Any, **selector: Any) -> list[str]:
        """Chooses; empty, or why vLLM has no backend for the layer either."""
        model = get_current_vllm_config().model_config
        reasons: list[str] = []
        if model is not None:
            reasons += misfits(
                {**model.hf_text_config.to_dict(), "num_key_value_heads": model.get_total_num_kv_heads()}
            )
        reasons += FathomBackend.validate_configuration(device_capability=device_capability, **selector)
        if not reasons:
            cls._chosen = FathomBackend.full_cls_name()
            return []
        config = AttentionSelectorConfig(**selector)
        candidates, others = current_platform.get_valid_backends(
            device_capability=device_capability, attn_selector_config=config
        )
        if not candidates:
            return [*reasons, *(f"{name.name}: {', '.join(why)}" for name, (_, why) in others.items())]
        first = min(candidates, key=lambda candidate: candidate.priority)
        cls._chosen = first.backend_class.full_cls_name()
        text = f"fathom's attention does not serve this model ({'; '.join(reasons)}): vLLM's {first.backend.name} does"
        if text not in cls._said:
            cls._said.add(text)
            _log.warning(text)
        return []

    @classmethod
    def full_cls_name(cls) -> tuple[str, str]:
        """The module and name of what `validate_configuration` chose last."""
        return cls._chosen
