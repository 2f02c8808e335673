"""Settings → an engine: what it would be before it starts, and the engine itself."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from engine import fake
from engine.base import Engine, EngineInfo, Message
from engine.estimates.speed import SpeedProfile
from engine.models.resolution import DEFAULT_MODEL, ModelFiles, cache_folder, locate

from .config import EngineSettings

if TYPE_CHECKING:
    from engine.chat.tokenizer import ChatTokenizer
    from engine.preview import EmbeddedSettings

Say = Callable[[str], None]


class EngineSource(Protocol):
    """An engine that can be asked about before it runs; what is costly waits for `start`."""

    def preview(self, needed_tokens: int) -> EngineInfo:
        """What an engine for requests of `needed_tokens` would be, at most the model's reach; what runs, if it holds
        them."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, as Engine.count_tokens."""
        ...

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt, as Engine.prompt_tokens."""
        ...

    def start(self, needed_tokens: int, on_stage: Say) -> Engine:
        """The engine, running; `on_stage` hears what is happening."""
        ...

    def free_kv_tokens(self) -> int | None:
        """Free tokens of the KV cache as Engine.free_kv_tokens; None before the start."""
        ...

    def close(self) -> None:
        """Closes the engine, if one was started."""
        ...


def engine_source(settings: EngineSettings) -> EngineSource:
    """The source that settings name: a server is reached at once, a model folder is only read.

    Raises the engine room's ModelError and EngineUnreachableError.
    """
    if settings.url is None:
        return EmbeddedSource(settings, locate(settings.model or DEFAULT_MODEL))
    if settings.url.startswith(fake.URL):
        return RunningSource(fake.FakeEngine())
    from engine.remote import RemoteEngine

    return RunningSource(
        RemoteEngine(
            settings.url, settings.model, settings.timeout_s, settings.kv_cache_tokens, send_key=settings.sends_key
        )
    )


def speed_profile(info: EngineInfo) -> SpeedProfile:
    """Where the prefill speed of an engine is kept."""
    cache = info.kv_dtype or "auto"
    if info.attention == "fathom":
        cache += "-fathom"
    return SpeedProfile(cache_folder() / "profiles", info.model, info.device, cache)


class RunningSource:
    """An engine that runs already: a server, or the fake."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def preview(self, needed_tokens: int) -> EngineInfo:
        return self._engine.info

    def count_tokens(self, text: str) -> int:
        return self._engine.count_tokens(text)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return self._engine.prompt_tokens(messages)

    def start(self, needed_tokens: int, on_stage: Say) -> Engine:
        return self._engine

    def free_kv_tokens(self) -> int | None:
        return self._engine.free_kv_tokens()

    def close(self) -> None:
        self._engine.close()


class EmbeddedSource:
    """vLLM in this process, started for the length that the question turns out to need."""

    def __init__(self, settings: EngineSettings, model: ModelFiles) -> None:
        self._settings = settings
        self._model = model
        self._tokenizer: ChatTokenizer | None = None
        self._engine: Engine | None = None

    def preview(self, needed_tokens: int) -> EngineInfo:
        from engine.preview import preview

        if self._engine and self._engine.info.max_model_tokens >= needed_tokens:
            return self._engine.info
        return preview(self._model, self._embedded(needed_tokens))

    def count_tokens(self, text: str) -> int:
        return self._tokens().count(text)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._tokens().render(messages))

    def start(self, needed_tokens: int, on_stage: Say) -> Engine:
        if self._engine is not None and self._engine.info.max_model_tokens < needed_tokens:
            self.close()
        if self._engine is None:
            from engine.embedded import EmbeddedEngine

            log = cache_folder() / "logs" / "engine.log"
            self._engine = EmbeddedEngine(self._model, self._embedded(needed_tokens), log, on_stage, self._tokens())
        return self._engine

    def free_kv_tokens(self) -> int | None:
        return self._engine.free_kv_tokens() if self._engine else None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _tokens(self) -> "ChatTokenizer":
        if self._tokenizer is None:
            from engine.chat.tokenizer import ChatTokenizer

            self._tokenizer = ChatTokenizer(self._model.folder)
        return self._tokenizer

    def _embedded(self, needed_tokens: int) -> "EmbeddedSettings":
        from engine.preview import EmbeddedSettings

        return EmbeddedSettings(
            needed_tokens,
            self._settings.kv_cache_gib,
            self._settings.gpu_memory_utilization,
            self._settings.kv_cache,
            self._settings.threads,
        )
