"""Fetching a model and measuring how fast this machine reads with it."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.base import Message, Sampling, complete
from engine.models import DEFAULT_MODEL, pull
from engine.speed import Observation

from .config import EngineSettings
from .engines import EmbeddedSource, speed_profile

LENGTHS = (256, 1024, 3072)  # tokens; apart enough to tell the linear from the quadratic part


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
    profile = speed_profile(source.preview(LENGTHS[0]))
    if not profile.observations():
        say("starting the engine to measure its speed")
        try:
            engine = source.start(max(LENGTHS) + 64, say)
            profile = speed_profile(engine.info)
            for length in LENGTHS:
                say(f"measuring how fast {length:,} tokens are read")
                # No prefix in common with another length; words of one size, so that characters measure tokens.
                words = " ".join(f"{length}-{i:04}" for i in range(length))
                message = Message("user", _cut(words, length, source))
                done = complete(engine, [message], Sampling(max_tokens=1))
                profile.record(done.usage.prompt_tokens, done.timings.first_token_s)
        finally:
            source.close()
    return PulledModel(model.name, str(model.folder), tuple(profile.observations()))


def _cut(words: str, tokens: int, source: EmbeddedSource) -> str:
    """The beginning of a text that has about so many tokens."""
    return words[: int(len(words) * tokens / max(1, source.count_tokens(words)))]
