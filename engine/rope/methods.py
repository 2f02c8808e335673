"""Frequencies and temperature of every scaling, as arrays.

A head's numbers turn in pairs; pair i by base^(−2i/d) radians a token (Su et al., RoFormer, 2021, arXiv 2104.09864).
A scaling turns them slower. Every function is checked against the one of the same name in transformers.

- linear: position interpolation, all by the factor. Chen et al., Extending Context Window of Large Language Models
  via Positional Interpolation, 2023, arXiv 2306.15595.
- ntk: NTK-aware, a larger base, so that the slowest pair is stretched by the factor and the fastest kept. bloc97,
  "NTK-Aware Scaled RoPE", 2023; written down in arXiv 2309.00071, 3.1.
- dynamic: the same with a base that grows with the context once it is over the original length. emozilla, 2023;
  arXiv 2309.00071, 3.3.
- yarn: pairs that turn often in training are kept, those that turn less than once are interpolated, between them a
  ramp; logits are heated. Peng et al., YaRN, 2023, arXiv 2309.00071. The ramp is linear in the pair's number, as in
  the authors' code, where the paper has it linear in the number of turns.
- longrope: a divisor for each pair, found by search, one set up to the original length and one beyond. Ding et al.,
  LongRoPE, 2024, arXiv 2402.13753.
- llama3: as yarn with other bounds, a ramp in wavelengths, and no heating. Llama 3.1's own, 2024.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import RopeError
from .scaling import Option, RopeScaling

Floats: TypeAlias = "NDArray[np.float64]"
BETA_FAST, BETA_SLOW = 32.0, 1.0  # YaRN: turns in training above which a pair is kept, under which it is stretched


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary positions as trained: `dims` numbers of a head turn, the first pair by 1 radian a token."""

    base: float
    dims: int

    def frequencies(self) -> Floats:
        """Radians a token, [dims / 2], falling."""
        return np.asarray(self.base ** -(np.arange(0, self.dims, 2) / self.dims), dtype=np.float64)


def frequencies(rotary: Rotary, scaling: RopeScaling | None = None, tokens: int | None = None) -> Floats:
    """Radians a token under a scaling, [dims / 2].

    `tokens` is the length of the context, the scaling's reach where it is left out; only dynamic and longrope look at
    it. Raises RopeError for longrope's factors where they are not one a pair.
    """
    if scaling is None:
        return rotary.frequencies()
    length = scaling.reach_tokens if tokens is None else tokens
    return _METHODS[scaling.kind](rotary, scaling, length)


def temperature(scaling: RopeScaling | None) -> float:
    """What cos and sin are multiplied with; attention's logits grow by its square. 1 but for yarn and longrope."""
    if scaling is None:
        return 1.0
    if "attention_factor" in scaling.options:
        return _number(scaling, "attention_factor", 1.0)
    if scaling.kind == "yarn":
        above, below = _number(scaling, "mscale", 0.0), _number(scaling, "mscale_all_dim", 0.0)
        if above and below:
            return _heat(scaling.factor, above) / _heat(scaling.factor, below)
        return _heat(scaling.factor)
    if scaling.kind == "longrope" and scaling.factor > 1:
        return math.sqrt(1 + math.log(scaling.factor) / math.log(scaling.original_tokens))
    return 1.0


def wavelengths(found: Floats) -> Floats:
    """Tokens of a full turn, from radians a token."""
    return 2 * np.pi / found


def untrained(rotary: Rotary, scaling: RopeScaling | None, tokens: int, trained_tokens: int) -> NDArray[np.bool_]:
    """Pairs that meet angles at `tokens` which training never showed, [dims / 2].

    A pair that made a full turn within `trained_tokens` has seen all angles; one that did not has seen those up to
    trained_tokens · its frequency. (Liu et al., Scaling Laws of RoPE-based Extrapolation, 2023, arXiv 2310.05209,
    call the first that has not the critical dimension.)
    """
    trained = trained_tokens * rotary.frequencies()
    reached = tokens * frequencies(rotary, scaling, tokens)
    return np.asarray((trained < 2 * np.pi) & (reached > trained * (1 + 1e-9)))


def ntk_base(rotary: Rotary, stretch: float) -> float:
    """The base that stretches the slowest pair by `stretch`. Raises RopeError for a single pair, which has no base."""
    if rotary.dims < 4:
        raise RopeError(f"heads that turn {rotary.dims} numbers have no base to change", "use linear")
    return float(rotary.base * stretch ** (rotary.dims / (rotary.dims - 2)))


def _linear(rotary: Rotary, scaling: RopeScaling, _: int) -> Floats:
    return rotary.frequencies() / scaling.factor


def _ntk(rotary: Rotary, scaling: RopeScaling, _: int) -> Floats:
    return Rotary(ntk_base(rotary, scaling.factor), rotary.dims).frequencies()


def _dynamic(rotary: Rotary, scaling: RopeScaling, tokens: int) -> Floats:
    beyond = max(tokens, scaling.original_tokens) / scaling.original_tokens
    return Rotary(ntk_base(rotary, scaling.factor * beyond - (scaling.factor - 1)), rotary.dims).frequencies()


def _yarn(rotary: Rotary, scaling: RopeScaling, _: int) -> Floats:
    low = _pair_that_turns(rotary, _number(scaling, "beta_fast", BETA_FAST), scaling.original_tokens)
    high = _pair_that_turns(rotary, _number(scaling, "beta_slow", BETA_SLOW), scaling.original_tokens)
    if scaling.options.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rotary.dims - 1)
    width = high - low if high != low else 0.001
    stretched = np.clip((np.arange(rotary.dims // 2) - low) / width, 0, 1)
    plain = rotary.frequencies()
    return np.asarray(plain / scaling.factor * stretched + plain * (1 - stretched))


def _longrope(rotary: Rotary, scaling: RopeScaling, tokens: int) -> Floats:
    name = "long_factor" if tokens > scaling.original_tokens else "short_factor"
    factors = np.asarray(scaling.options[name], dtype=np.float64)
    if factors.shape != (rotary.dims // 2,):
        raise RopeError(
            f"{name} has {factors.size} factors, and heads turn {rotary.dims // 2} pairs",
            "take the factors of this very model",
        )
    return np.asarray(rotary.frequencies() / factors)


def _llama3(rotary: Rotary, scaling: RopeScaling, _: int) -> Floats:
    low, high = _number(scaling, "low_freq_factor", 1.0), _number(scaling, "high_freq_factor", 4.0)
    if high <= low:
        raise RopeError(f"high_freq_factor {high:g} is not over low_freq_factor {low:g}", "correct the config")
    plain = rotary.frequencies()
    turns = scaling.original_tokens / wavelengths(plain)
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return np.asarray(plain / scaling.factor * (1 - kept) + plain * kept)


_METHODS: dict[str, Callable[[Rotary, RopeScaling, int], Floats]] = {
    "linear": _linear,
    "ntk": _ntk,
    "dynamic": _dynamic,
    "yarn": _yarn,
    "longrope": _longrope,
    "llama3": _llama3,
}


def _pair_that_turns(rotary: Rotary, turns: float, tokens: int) -> float:
    """The number of the pair, with a fraction, that makes `turns` turns in `tokens`."""
    return rotary.dims * math.log(tokens / (turns * 2 * math.pi)) / (2 * math.log(rotary.base))


def _heat(factor: float, share: float = 1.0) -> float:
    return 0.1 * share * math.log(factor) + 1.0


def _number(scaling: RopeScaling, name: str, otherwise: float) -> float:
    value: Option = scaling.options.get(name, otherwise)
    return float(value) if isinstance(value, int | float) else otherwise
