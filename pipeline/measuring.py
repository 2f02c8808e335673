"""Fetching a model and measuring how fast this machine reads with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

from engine.base import Engine, Message, Sampling, complete
from engine.estimates.speed import Observation, SpeedProfile
from engine.models.resolution import DEFAULT_MODEL, pull

from .config import EngineSettings
from .engines import EmbeddedSource, speed_profile

FIRST_TOKENS, STEP = 256, 2  # lengths that are read: each twice the one before, up to the engine's own
MARGIN_TOKENS = 256  # of the engine's length, for the chat template and the answer
PATIENCE_S = 20.0  # longer readings are left to extrapolation
BRIEF_S, TIMES = 1.0, 3  # readings as brief as this are repeated, and their median counts


@dataclass(frozen=True, slots=True)
class PulledModel:
    """A model that is ready, and the prefill speeds measured with it."""

    model: str
    folder: str
    speeds: tuple[Observation, ...]


def pull_and_measure(settings: EngineSettings, measure: bool, say: Callable[[str], None]) -> PulledModel:
    """Fetches the model of the settings; where no speed is known here yet, starts it and reads a few lengths."""
    model = pull(settings.model or DEFAULT_MODEL, say)
    source = EmbeddedSource(settings, model)
    if not measure:
        return PulledModel(model.name, str(model.folder), ())
    profile = speed_profile(source.preview(0))
    if not profile.observations():
        say("starting the engine to measure its speed")
        try:
            engine = source.start(0, say)
            profile = speed_profile(engine.info)
            measure_speed(engine, profile, say)
        finally:
            source.close()
    return PulledModel(model.name, str(model.folder), tuple(profile.observations()))


def measure_speed(engine: Engine, profile: SpeedProfile, say: Callable[[str], None]) -> None:
    """Reads made-up prompts of several lengths, as long as one is predicted to take PATIENCE_S at most, and records
    the seconds to the first token. The very first reading does not count: it meets what is compiled on first use."""
    most = engine.info.max_model_tokens - MARGIN_TOKENS
    if most < 1:
        return
    reading_seconds(engine, min(FIRST_TOKENS, most))
    for length in measured_lengths(most):
        if (profile.predict(length) or 0.0) > PATIENCE_S:
            return
        say(f"measuring how fast {length:,} tokens are read")
        found = [reading_seconds(engine, length)]
        while found[-1].seconds <= BRIEF_S and len(found) < TIMES:
            found.append(reading_seconds(engine, length))
        profile.record(found[0].tokens, median(item.seconds for item in found))


def reading_seconds(engine: Engine, tokens: int) -> Observation:
    """Seconds to the first token of a prompt of about so many tokens, which begins like no other."""
    words = f"{uuid4().hex} " + " ".join(f"{number % 100_000:05}" for number in range(tokens))
    message = Message("user", words[: int(len(words) * tokens / engine.count_tokens(words))])
    done = complete(engine, [message], Sampling(max_tokens=1))
    return Observation(done.usage.prompt_tokens, done.timings.first_token_s)


def measured_lengths(most: int) -> Iterator[int]:
    """Lengths from FIRST_TOKENS to the engine's own, each STEP times the one before but the last."""
    length, last = FIRST_TOKENS, 0
    while length < most:
        yield length
        length, last = length * STEP, length
    if last * 1.5 < most:
        yield most
