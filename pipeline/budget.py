"""How many tokens a prompt may have: every limit with its reason, and which of them binds. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from engine.base import EngineInfo

# Without a measured profile: most models lose accuracy towards the end of their length, and more when stretched.
RELIABLE_NATIVE = 0.9
RELIABLE_EXTENDED = 0.5


class LimitName(StrEnum):
    """What can bound a prompt."""

    KV_CACHE = "KV cache"
    MODEL_LENGTH = "model length"
    RELIABLE_LENGTH = "reliable length"
    TIME_LIMIT = "time limit"


@dataclass(frozen=True, slots=True)
class Limit:
    """Tokens that a prompt may have by one limit. A hard limit is the engine's; a soft one may be overridden."""

    name: LimitName
    tokens: int
    reason: str
    hard: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """All limits of a request, the answer's reserve already taken off."""

    limits: tuple[Limit, ...]
    answer_tokens: int

    def binding(self, hard_only: bool = False) -> Limit:
        """The lowest limit; ties go to the first in the order KV cache, model, reliable, time."""
        return min((limit for limit in self.limits if limit.hard or not hard_only), key=lambda limit: limit.tokens)

    def prompt_tokens(self, hard_only: bool = False) -> int:
        """Tokens that the prompt may have."""
        return self.binding(hard_only).tokens


def request_budget(
    info: EngineInfo,
    answer_tokens: int,
    time_limit_s: float = 0.0,
    seconds_for: Callable[[int], float | None] = lambda _: None,
) -> Budget:
    """The limits of one request on an engine.

    `seconds_for` predicts the time to the first token of a prompt, None where no speed was measured; then and
    with `time_limit_s` 0 time does not bind. Limits never fall below 0.
    """
    limits: list[Limit] = []

    def add(name: LimitName, tokens: int, reason: str, hard: bool) -> None:
        limits.append(Limit(name, max(0, tokens), reason, hard))

    if info.kv_tokens is not None:
        add(
            LimitName.KV_CACHE,
            info.kv_tokens - answer_tokens,
            f"the KV cache holds {info.kv_tokens:,} tokens",
            hard=True,
        )
    length = f"the engine takes {info.max_model_tokens:,} tokens a request"
    add(LimitName.MODEL_LENGTH, info.max_model_tokens - answer_tokens, length, hard=True)
    if info.native_tokens is not None:
        share = RELIABLE_NATIVE if info.rope is None else RELIABLE_EXTENDED
        reach = info.native_tokens if info.rope is None else info.max_model_tokens
        stretched = "" if info.rope is None else f" stretched by {info.rope.kind} ×{info.rope.factor:g}"
        reason = f"{share:.0%} of {reach:,} tokens{stretched}, as no reliable length was measured"
        add(LimitName.RELIABLE_LENGTH, int(reach * share) - answer_tokens, reason, hard=False)
    if time_limit_s > 0 and seconds_for(1) is not None:
        tokens = tokens_within(time_limit_s, info.max_model_tokens, seconds_for)
        reason = f"about {tokens:,} tokens are read in {time_limit_s:g} s at the measured speed"
        add(LimitName.TIME_LIMIT, tokens, reason, hard=False)
    return Budget(tuple(limits), answer_tokens)


def tokens_within(seconds: float, most: int, seconds_for: Callable[[int], float | None]) -> int:
    """The longest prompt, at most `most` tokens, that is predicted to take no more than `seconds`; by bisection."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if (seconds_for(middle) or 0.0) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
