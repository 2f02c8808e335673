"""One description of a stretched RoPE, whatever the method, from which all settings are made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import RopeError

Option: TypeAlias = "bool | float | tuple[float, ...]"

# Options by kind, with Hugging Face's names; all but those of REQUIRED may be left out.
OPTIONS: Mapping[str, frozenset[str]] = {
    "linear": frozenset(),
    "ntk": frozenset(),
    "dynamic": frozenset(),
    "yarn": frozenset({"beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim", "truncate"}),
    "longrope": frozenset({"short_factor", "long_factor", "attention_factor"}),
    "llama3": frozenset({"low_freq_factor", "high_freq_factor"}),
}
REQUIRED: Mapping[str, frozenset[str]] = {
    "longrope": frozenset({"short_factor", "long_factor"}),
    "llama3": frozenset({"low_freq_factor", "high_freq_factor"}),
}
KINDS = tuple(OPTIONS)
_LISTS = frozenset({"short_factor", "long_factor"})


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """A scaling: `factor` times `original_tokens`, the length of training, is the reach.

    `kind` is one of KINDS, `options` its further parameters by Hugging Face's names. Raises RopeError for a kind or
    option that does not exist, a factor under 1, or a value that is no positive number.
    """

    kind: str
    factor: float
    original_tokens: int
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in OPTIONS:
            raise RopeError(f"there is no RoPE scaling {self.kind!r}", f"use one of: {', '.join(KINDS)}")
        if not (math.isfinite(self.factor) and self.factor >= 1):
            raise RopeError(f"a RoPE scaling by {self.factor:g} does not stretch", "give a factor of 1 or more")
        if self.original_tokens < 1:
            raise RopeError(f"original length {self.original_tokens} is no length", "give the length of training")
        if unknown := set(self.options) - OPTIONS[self.kind]:
            raise RopeError(f"{self.kind} has no option {sorted(unknown)[0]}", f"it has: {_listed(OPTIONS[self.kind])}")
        if missing := REQUIRED.get(self.kind, frozenset()) - set(self.options):
            raise RopeError(f"{self.kind} needs {_listed(missing)}", "take them from the model's own config")
        for name, value in self.options.items():
            _check(name, value)

    @property
    def reach_tokens(self) -> int:
        """The longest context that the scaling is for."""
        return int(self.factor * self.original_tokens)


def _check(name: str, value: object) -> None:
    if name in _LISTS:
        ok = isinstance(value, tuple) and bool(value) and all(_positive(part) for part in value)
    else:
        ok = isinstance(value, bool) if name == "truncate" else _positive(value)
    if not ok:
        raise RopeError(f"the RoPE scaling has {name} = {value!r}", "correct it in the model's config.json")


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
