"""LongRoPE's factors searched on a user's text: half of its windows choose, the others tell what they are worth."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RopeError
from engine.models.resolution import ModelFiles
from engine.rope.config import is_extended, native_tokens, rotary
from engine.rope.likelihood import TextLikelihood
from engine.rope.scaling import RopeScaling
from engine.rope.search import STARTS, Factors, divisors, search

from .errors import ConfigError


@dataclass(frozen=True, slots=True)
class SearchedFactors:
    """What was found: the divisors of pairs, nats a token on the windows that were searched on, and on the others, for
    each method and for what was found ("longrope"); how many sets were scored."""

    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    searched_on: dict[str, float]
    held_out: dict[str, float]
    scored: int


def search_factors(
    model: ModelFiles,
    text: Path,
    out: Path,
    factor: float,
    windows: int,
    tokens: int | None,
    generations: int,
    say: Callable[[str], None],
) -> SearchedFactors:
    """Searches, and writes the best factors to `out` after every generation.

    Factors that are in `out` already join the search. Contexts up to the trained length keep factors of 1. Raises
    RopeError for a model that its config extends, ConfigError for a text or numbers that cannot be used.
    """
    if is_extended(model.config):
        raise RopeError(f"{model.name} is already extended, and is not extended twice", "use it as it is")
    if windows < 2 or generations < 1 or (tokens is not None and tokens < 2):
        raise ConfigError(
            f"{windows} windows of {tokens} tokens in {generations} generations cannot be searched",
            "use at least 2 windows of 2 tokens, and one generation",
        )
    turns, original = rotary(model.config), native_tokens(model.config)
    length = tokens if tokens is not None else RopeScaling("linear", factor, original).reach_tokens
    known = [read_factors(out)["long_factor"]] if out.exists() else []
    try:
        content = text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{text} cannot be read: {error}", "name a text in UTF-8") from error
    say(f"loading {model.name}")
    likelihood = TextLikelihood(model.folder, model.config, content, length, windows)
    plain = (1.0,) * (turns.dims // 2)
    half = windows // 2

    def scaling(factors: Factors) -> RopeScaling:
        return RopeScaling("longrope", factor, original, {"short_factor": plain, "long_factor": factors})

    def nats(factors: Factors, part: slice) -> float:
        return likelihood.nats(factors, scaling(factors), part)

    def told(number: int, best: Factors, score: float) -> None:
        _write(out, plain, best)
        say(f"generation {number} of {generations}: {score:.4f} nats a token")

    say("scoring the known methods")
    found = search(
        turns, factor, original, lambda factors: nats(factors, slice(0, half)), generations, known=known,
        on_generation=told,
    )  # fmt: skip
    _write(out, plain, found.factors)
    held = slice(half, None)
    methods = {kind: RopeScaling(kind, factor, original) for kind in STARTS}
    # The methods with the heat of their own, as they would be used.
    held_out = {kind: likelihood.nats(divisors(turns, method), method, held) for kind, method in methods.items()}
    held_out["longrope"] = nats(found.factors, held)
    searched_on = {**found.starts, "longrope": found.score}
    return SearchedFactors(plain, found.factors, searched_on, held_out, found.scored)


def _write(path: Path, short: Factors, long: Factors) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    aside.write_text(json.dumps({"short_factor": short, "long_factor": long}) + "\n", encoding="utf-8")
    aside.replace(path)


def read_factors(path: Path) -> dict[str, tuple[float, ...]]:
    """LongRoPE's factors of a file. Raises ConfigError where it holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: tuple(float(value) for value in found[name]) for name in ("short_factor", "long_factor")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} holds no factors of LongRoPE ({type(error).__name__}: {error})",
            'write a JSON object with the lists "short_factor" and "long_factor", one number a pair',
        ) from error
