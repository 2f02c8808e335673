"""A model's positions told: what it was trained with, what a scaling makes of them, the settings for three engines."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelError, RopeError
from engine.rope.config import native_tokens, own_scaling, rotary
from engine.rope.methods import frequencies, temperature, untrained, wavelengths
from engine.rope.scaling import RopeScaling
from engine.rope.settings import hf_overrides, llama_cpp_arguments, vllm_arguments

from ..charts import Panel, plot
from ..errors import ConfigError
from ..rope_search import read_factors


@dataclass(frozen=True, slots=True)
class Pair:
    """Two numbers of a head that turn together: tokens of a full turn as trained and under the scaling, and whether the
    scaling's reach shows it angles that training did not."""

    number: int
    trained_wavelength: float
    wavelength: float
    untrained: bool


@dataclass(frozen=True, slots=True)
class RopeReport:
    """A model's positions. `scaling` is the model's own (`own`) or the one asked for; `untrained_without` counts the
    pairs that would meet new angles at the reach if nothing were scaled. `settings` are by engine; one that an engine
    cannot be told is a sentence in `unsaid`."""

    model: str
    native_tokens: int
    reach_tokens: int
    base: float
    scaling: RopeScaling | None
    own: bool
    temperature: float
    untrained_without: int
    pairs: tuple[Pair, ...]
    settings: Mapping[str, str]
    unsaid: Mapping[str, str]


def rope_report(model: str, config: Mapping[str, Any], asked: RopeScaling | None) -> RopeReport:
    """The positions of a model under its own scaling, or the one asked for. Raises RopeError for a second scaling."""
    turns, native, own = rotary(config), native_tokens(config), own_scaling(config)
    if own is not None and asked is not None:
        raise RopeError(
            f"{model} is already extended by {own.kind} ×{own.factor:g} from {own.original_tokens:,} tokens, "
            "and is not extended twice",
            "leave --scale out to see it as it is",
        )
    scaling = asked or own
    trained = scaling.original_tokens if scaling else native
    reach = native if own is not None or scaling is None else scaling.reach_tokens
    plain, found = wavelengths(turns.frequencies()), wavelengths(frequencies(turns, scaling, reach))
    new = untrained(turns, scaling, reach, trained)
    pairs = tuple(Pair(i, float(plain[i]), float(found[i]), bool(new[i])) for i in range(len(plain)))
    settings, unsaid = _settings(model, config, scaling) if scaling else ({}, {})
    return RopeReport(
        model, native, reach, turns.base, scaling, own is not None, temperature(scaling),
        int(untrained(turns, None, reach, trained).sum()), pairs, settings, unsaid,
    )  # fmt: skip


def scaling_of(
    config: Mapping[str, Any], method: str, factor: float | None, factors: Path | None
) -> RopeScaling | None:
    """The scaling that the command's options ask for, None for none.

    Raises RopeError for one that cannot be, ConfigError for a file of factors that is no JSON object with lists
    `short_factor` and `long_factor`.
    """
    if factor is None and factors is None:
        return None
    given = read_factors(factors) if factors else {}
    if given and method != "longrope":
        raise ConfigError(f"factors of pairs belong to longrope, not to {method}", "add --method longrope")
    return RopeScaling(method, factor if factor is not None else 1.0, native_tokens(config), given)


def rope_lines(report: RopeReport) -> list[str]:
    """The report in words."""
    pairs = report.pairs
    lines = [
        f"{report.model}: {'declares' if report.own else 'trained for'} {report.native_tokens:,} tokens, "
        f"base {report.base:,.0f}, {len(pairs)} pairs of a head turn"
    ]
    if report.scaling is None:
        lines.append("not scaled; --scale 4 shows what a scaling would do")
    else:
        whose = "its own " if report.own else ""
        heat = "" if report.temperature == 1 else f"; cos and sin × {report.temperature:.4g}"
        lines.append(
            f"{whose}{report.scaling.kind} ×{report.scaling.factor:g} from {report.scaling.original_tokens:,} "
            f"reaches {report.reach_tokens:,} tokens{heat}"
        )
        new = sum(pair.untrained for pair in pairs)
        lines.append(
            f"pairs with angles that training never showed: {report.untrained_without} without it, {new} with it"
        )
    lines += ["", "  pairs      full turn, tokens   under the scaling"]
    shown = sorted({0, len(pairs) - 1, *range(0, len(pairs), max(1, len(pairs) // 8))})
    for pair in (pairs[i] for i in shown):
        ratio = pair.wavelength / pair.trained_wavelength
        mark = "  new angles" if pair.untrained else ""
        lines.append(
            f"  {pair.number:>5}  {pair.trained_wavelength:>19,.1f}  {pair.wavelength:>14,.1f} ×{ratio:.3g}{mark}"
        )
    for engine, text in report.settings.items():
        lines += ["", f"{engine}:", f"  {text}"]
    for engine, why in report.unsaid.items():
        lines += ["", f"{engine}: {why}"]
    return lines


def wavelength_plot(report: RopeReport) -> str:
    """An SVG of wavelengths over pairs; the dashed line is the length of training."""
    trained = report.scaling.original_tokens if report.scaling else report.native_tokens
    lines = {"as trained": [(pair.number + 1, pair.trained_wavelength) for pair in report.pairs]}
    if report.scaling:
        lines[f"{report.scaling.kind} ×{report.scaling.factor:g}"] = [
            (pair.number + 1, pair.wavelength) for pair in report.pairs
        ]
    ratio = {"stretched by": [(pair.number + 1, pair.wavelength / pair.trained_wavelength) for pair in report.pairs]}
    panels = [
        Panel("Tokens of a full turn", lines, goal=float(trained)),
        Panel("Wavelength over that of training", ratio, log=False),
    ]
    note = f"Pairs of a head's numbers, from 1. Dashed: {trained:,} tokens of training; pairs above it never turn full."
    return plot(f"Rotary positions of {report.model}", note, panels)


def _settings(model: str, config: Mapping[str, Any], scaling: RopeScaling) -> tuple[dict[str, str], dict[str, str]]:
    import shlex

    writers: dict[str, Callable[[], str]] = {
        "vllm": lambda: shlex.join(["vllm", "serve", model, *vllm_arguments(config, scaling)]),
        "hf": lambda: json.dumps(hf_overrides(config, scaling)),
        "llama.cpp": lambda: shlex.join(llama_cpp_arguments(config, scaling)),
    }
    said: dict[str, str] = {}
    unsaid: dict[str, str] = {}
    for engine, write in writers.items():
        try:
            said[engine] = write()
        except (RopeError, ModelError) as error:
            unsaid[engine] = f"{error}; {error.hint}"
    return said, unsaid
