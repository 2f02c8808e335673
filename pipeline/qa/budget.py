"""How many tokens a prompt may have: every limit with its reason, and which of them binds. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from engine.base import EngineInfo
from engine.kv.geometry import GIB, kv_tokens

# Without a measured profile: most models lose accuracy towards the end of their length, and more when stretched.
RELIABLE_NATIVE = 0.9
RELIABLE_EXTENDED = 0.5


class LimitName(StrEnum):
    """What can bound a prompt."""

    KV_CACHE = "KV cache"
    FREE_KV_CACHE = "free KV cache"
    QUOTA = "request quota"
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
        """The lowest limit; ties go to the first in the order KV cache, free KV cache, quota, model, reliable, time."""
        return min((limit for limit in self.limits if limit.hard or not hard_only), key=lambda limit: limit.tokens)

    def prompt_tokens(self, hard_only: bool = False) -> int:
        """Tokens that the prompt may have."""
        return self.binding(hard_only).tokens


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a user sets: seconds to the first token, bytes of KV cache for one request (0: no bound), and the length up
    to which the model is trusted (None: as measured, else assumed)."""

    time_limit_s: float = 0.0
    quota_bytes: int = 0
    reliable_tokens: int | None = None


def request_budget(
    info: EngineInfo,
    answer_tokens: int,
    bounds: Bounds = Bounds(),
    seconds_for: Callable[[int], float | None] = lambda _: None,
    free_kv_tokens: int | None = None,
) -> Budget:
    """The limits of one request on an engine.

    `free_kv_tokens` is what is left of the KV cache now, None where only its size is known; it bounds softly, as a
    request for more waits. `seconds_for` predicts the time to the first token of a prompt, None where no speed was
    measured; then time does not bind. Nor does the quota where the bytes of a token are not known. Limits never fall
    below 0.
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
        free = info.kv_tokens if free_kv_tokens is None else min(free_kv_tokens, info.kv_tokens)
        if info.kv_tokens - free > (info.kv_block_tokens or 0):  # vLLM keeps one page for itself
            reason = f"{free:,} of the KV cache's {info.kv_tokens:,} tokens are free now; more would wait"
            add(LimitName.FREE_KV_CACHE, free - answer_tokens, reason, hard=False)
    if bounds.quota_bytes > 0 and info.kv_bytes_per_token is not None:
        tokens = kv_tokens(bounds.quota_bytes, info.kv_bytes_per_token, info.kv_block_tokens or 1)
        reason = (
            f"{bounds.quota_bytes / GIB:g} GiB a request hold {tokens:,} tokens of {info.kv_bytes_per_token:,} bytes"
        )
        add(LimitName.QUOTA, tokens - answer_tokens, reason, hard=True)
    length = f"the engine takes {info.max_model_tokens:,} tokens a request"
    add(LimitName.MODEL_LENGTH, info.max_model_tokens - answer_tokens, length, hard=True)
    if (trusted := _reliable(info, bounds)) is not None:
        add(LimitName.RELIABLE_LENGTH, trusted[0] - answer_tokens, trusted[1], hard=False)
    if bounds.time_limit_s > 0 and seconds_for(1) is not None:
        tokens = tokens_within(bounds.time_limit_s, info.max_model_tokens, seconds_for)
        reason = f"about {tokens:,} tokens are read in {bounds.time_limit_s:g} s at the measured speed"
        add(LimitName.TIME_LIMIT, tokens, reason, hard=False)
    return Budget(tuple(limits), answer_tokens)


def _reliable(info: EngineInfo, bounds: Bounds) -> tuple[int, str] | None:
    """How far the model is trusted, and why; None where nothing is known of it."""
    if bounds.reliable_tokens is not None:
        return bounds.reliable_tokens, "as [router] reliable_tokens says"
    state = "" if info.rope is None else f" stretched by {info.rope.kind} ×{info.rope.factor:g}"
    if info.reliable_tokens is not None:
        return info.reliable_tokens, f"{info.model}{state} was measured to read so far reliably"
    if info.native_tokens is None:
        return None
    share = RELIABLE_NATIVE if info.rope is None else RELIABLE_EXTENDED
    reach = info.native_tokens if info.rope is None else info.max_model_tokens
    return int(reach * share), f"{share:.0%} of {reach:,} tokens{state}, as no reliable length was measured"


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
