"""A deterministic Engine without a model, for tests and dry runs: it quotes the prompt's best sentence."""

import re
from collections.abc import Callable, Iterator, Sequence

from .base import Completion, Delta, EngineInfo, Message, Sampling, Timings, Usage
from .chat.control_tokens import defuse
from .errors import ContextError

URL = "fake://"
_TOKEN = re.compile(r"\w+|[^\w\s]")
_PIECE = re.compile(rf"\s*(?:{_TOKEN.pattern})")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w{4,}")

Reply = Callable[[Sequence[Message]], str]


def quote_best_sentence(messages: Sequence[Message]) -> str:
    """The sentence of the last message that shares most words of four letters or more with its last line."""
    *body, question = messages[-1].content.strip().splitlines() or [""]
    wanted = set(_WORD.findall(question.lower()))
    sentences = [part.strip() for part in _SENTENCE.split("\n".join(body)) if part.strip()]
    return max(sentences, key=lambda s: len(wanted & set(_WORD.findall(s.lower()))), default="")


class FakeEngine:
    """An Engine whose tokens are words and signs, one of each, and whose answer is a function of the prompt."""

    def __init__(
        self,
        reply: Reply = quote_best_sentence,
        max_model_tokens: int = 8192,
        kv_tokens: int | None = 32768,
        native_tokens: int | None = None,
        parameters: int | None = None,
    ) -> None:
        self._reply = reply
        self._info = EngineInfo(
            model="fake",
            backend="fake",
            device="none",
            max_model_tokens=max_model_tokens,
            native_tokens=native_tokens or max_model_tokens,
            kv_tokens=kv_tokens,
            kv_block_tokens=16,
            parameters=parameters,
            start_s={"import": 0.0, "engine": 0.0},
        )
        self.prompts: list[tuple[Message, ...]] = []

    @property
    def info(self) -> EngineInfo:
        return self._info

    def count_tokens(self, text: str) -> int:
        return len(_TOKEN.findall(defuse(text)))

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return sum(self.count_tokens(m.content) + 4 for m in messages) + 2

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        prompt = self.prompt_tokens(messages)
        if prompt + sampling.max_tokens > self._info.max_model_tokens:
            raise ContextError(
                f"the prompt of {prompt:,} tokens and {sampling.max_tokens:,} for the answer exceed the "
                f"{self._info.max_model_tokens:,} of the fake engine"
            )
        self.prompts.append(tuple(messages))
        return self._run(self._reply(messages), prompt, sampling)

    def _run(self, text: str, prompt: int, sampling: Sampling) -> Iterator[Delta]:
        for stop in sampling.stop:
            text = text.partition(stop)[0]
        pieces = _PIECE.findall(text)
        kept = pieces[: sampling.max_tokens]
        for piece in kept:
            yield Delta(piece)
        reason = "stop" if len(kept) == len(pieces) else "length"
        yield Delta("", Completion("".join(kept), reason, Usage(prompt, len(kept)), Timings(0.0, 0.0)))

    def free_kv_tokens(self) -> int | None:
        return self._info.kv_tokens

    def close(self) -> None:
        pass
