"""How far a model reaches, and which factor a length needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ContextError
from .config import has_layered_rope, is_extended, native_tokens, rope_theta
from .scaling import RopeScaling

# Static YaRN costs short prompts accuracy, so the factor grows in steps with the length that a run needs.
FACTORS = (2.0, 4.0)


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """How to start a model: the longest request in tokens and the scaling for it (None: as trained)."""

    max_model_tokens: int
    native_tokens: int
    scaling: RopeScaling | None


def reach_tokens(config: Mapping[str, Any]) -> int:
    """The longest context fathom takes a model to."""
    native = native_tokens(config)
    fixed = is_extended(config) or has_layered_rope(config) or not rope_theta(config)
    return native if fixed else int(native * FACTORS[-1])


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
