"""The contract of this room: messages in, a stream of text and one completion out, and what an engine is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .errors import EngineReplyError
from .rope.scaling import RopeScaling

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. Control tokens of the model inside `content` are read as plain text."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. Temperature 0 is greedy; `stop` strings end the text and are not part of it."""

    max_tokens: int = 256
    temperature: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request. `cached_tokens` of the prompt came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one request: until the first token (prefill and queue), and from it to the last (decode)."""

    first_token_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished request. `finish_reason` is "stop", "length" where max_tokens cut it, or "repetition" for a loop."""

    text: str
    finish_reason: str
    usage: Usage
    timings: Timings


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the text; the last one of a stream carries the completion."""

    text: str
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine runs. None means that the engine does not tell.

    `max_model_tokens` bounds prompt and completion together; `native_tokens` is what the model was trained for; `rope`
    is how its length is stretched, by fathom or by its own config; `reliable_tokens` is how far the model was measured
    to read reliably in this state; `parameters` counts the numbers of the weights; `attention` names who computes it,
    "fathom" or vLLM's name of one of its own; `kv_tokens` is how many tokens the KV cache holds for all requests, as
    the engine itself reports.
    """

    model: str
    backend: str
    device: str
    max_model_tokens: int
    native_tokens: int | None = None
    dtype: str | None = None
    attention: str | None = None
    kv_dtype: str | None = None
    kv_tokens: int | None = None
    kv_block_tokens: int | None = None
    kv_bytes_per_token: int | None = None
    rope: RopeScaling | None = None
    reliable_tokens: int | None = None
    parameters: int | None = None
    exact_tokens: bool = True
    start_s: dict[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """Reads prompts and writes completions. Not shared between threads."""

    @property
    def info(self) -> EngineInfo: ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text alone, without a chat template. An upper estimate where `info.exact_tokens` is false."""
        ...

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the whole prompt, chat template and the opening of the answer included."""
        ...

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        """The completion as it is written. Closing the iterator cancels the request.

        Raises ContextError before any work where the prompt and max_tokens exceed `max_model_tokens`.
        """
        ...

    def free_kv_tokens(self) -> int | None:
        """Tokens of the KV cache that no request holds now; those of the prefix cache are free. None where the engine
        does not tell."""
        ...

    def close(self) -> None:
        """Frees weights and cache. The engine cannot be used afterwards."""
        ...


def complete(
    engine: Engine, messages: Sequence[Message], sampling: Sampling, on_text: Callable[[str], None] | None = None
) -> Completion:
    """Runs a request to its end; `on_text` hears each piece. Raises EngineReplyError for a stream that breaks off."""
    for delta in engine.stream(messages, sampling):
        if on_text and delta.text:
            on_text(delta.text)
        if delta.completion is not None:
            return delta.completion
    raise EngineReplyError("the engine ended its answer without a last word", "ask again")
