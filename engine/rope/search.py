"""LongRoPE's factors found by search: divisors of each pair's frequency under which a text is most likely.

Ding et al., LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens, 2024, arXiv 2402.13753: an evolutionary
search from the known methods, by mutation and crossover, with divisors that never fall from fast pairs to slow ones.
Deviations: the number of first tokens that are left alone is not searched, as engines have no setting for it; one
search at the target length takes the place of several with fine-tuning between them; scores are taken on half of the
calibration's windows, and what is reported is taken on the others.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import RopeError
from .methods import Rotary, frequencies
from .scaling import RopeScaling

Factors = tuple[float, ...]
Score = Callable[[Factors], float]  # mean negative log likelihood a token, in nats; lower is better
STARTS = ("linear", "ntk", "yarn")
_MUTATED = 0.3  # the chance of a pair to get a new divisor
_BEYOND = 1.25  # divisors reach so far over the factor, as in the paper
_STEP = 0.01


@dataclass(frozen=True, slots=True)
class Found:
    """The best divisors, their score, those of the methods it began with, and how many sets were scored."""

    factors: Factors
    score: float
    starts: dict[str, float]
    scored: int


def search(
    rotary: Rotary,
    factor: float,
    original_tokens: int,
    score: Score,
    generations: int = 8,
    population: int = 16,
    seed: int = 0,
    known: Sequence[Factors] = (),
    on_generation: Callable[[int, Factors, float], None] = lambda number, factors, score: None,
) -> Found:
    """The divisors with the lowest score that were met; never worse than linear, NTK and YaRN by the same score.

    `known` are sets of an earlier run, which join the first generation; `on_generation` hears of the best after each.
    Raises RopeError for a factor under 1, fewer than 4 in a generation, or known sets for other heads.
    """
    if not 1 <= factor < math.inf or population < 4 or generations < 0:
        raise RopeError(
            f"a search by {factor:g} with {population} in {generations} generations finds nothing",
            "stretch by 1 or more, with at least 4 in a generation",
        )
    pairs = rotary.dims // 2
    if any(len(given) != pairs for given in known):
        raise RopeError(f"known factors are not {pairs}, one a pair", "take those of this very model")
    chance, scored = random.Random(seed), dict[Factors, float]()

    def judged(factors: Factors) -> float:
        if factors not in scored:
            scored[factors] = score(factors)
        return scored[factors]

    begun = {kind: divisors(rotary, RopeScaling(kind, factor, original_tokens)) for kind in STARTS}
    starts = {kind: judged(factors) for kind, factors in begun.items()}
    members = [*begun.values(), *(rising(given) for given in known)]
    for number in range(1, generations + 1):
        parents = sorted(dict.fromkeys(members), key=judged)[: max(2, population // 4)]
        children: list[Factors] = []
        while len(children) < population - len(parents):
            if len(children) % 2 and len(parents) > 1:
                one, other = chance.sample(parents, 2)
                children.append(crossed(one, other, chance))
            else:
                children.append(mutated(chance.choice(parents), factor, chance))
        members = [*parents, *children]
        best = min(members, key=judged)
        on_generation(number, best, judged(best))
    best = min(scored, key=lambda factors: scored[factors])
    return Found(best, scored[best], starts, len(scored))


def divisors(rotary: Rotary, scaling: RopeScaling) -> Factors:
    """A method's stretch of each pair, as divisors of the trained frequencies."""
    return tuple(float(value) for value in rotary.frequencies() / frequencies(rotary, scaling))


def mutated(factors: Factors, factor: float, chance: random.Random) -> Factors:
    """Some divisors drawn anew, between those of their neighbours."""
    found = list(factors)
    top = factor * _BEYOND
    for pair in range(len(found)):
        if chance.random() < _MUTATED:
            low = found[pair - 1] if pair else 1.0
            high = found[pair + 1] if pair + 1 < len(found) else top
            found[pair] = round(chance.uniform(low, max(low, min(high * _BEYOND, top))) / _STEP) * _STEP
    return rising(tuple(found))


def crossed(one: Factors, other: Factors, chance: random.Random) -> Factors:
    """Each divisor from one of two sets."""
    return rising(tuple(chance.choice(pair) for pair in zip(one, other, strict=True)))


def rising(factors: Factors) -> Factors:
    """The divisors, none under 1 and none under the one before it."""
    found: list[float] = []
    for value in factors:
        found.append(max(1.0, value, found[-1] if found else 1.0))
    return tuple(found)
