"""Any OpenAI-compatible server as an Engine: `vllm serve`, a cluster of it, or another."""

import math
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .base import Completion, Delta, EngineInfo, Message, Sampling, Timings, Usage
from .chat.control_tokens import defuse
from .errors import ContextError, EngineError, EngineReplyError
from .http.transport import API_KEY, MAX_BODY_BYTES, Transport, decoded

__all__ = ["API_KEY", "DEFAULT_MODEL_TOKENS", "RemoteEngine"]

DEFAULT_MODEL_TOKENS = 8192  # where the server does not tell its length
_MOST_TOKENS = 10**9  # that a server may count
_NAME_CHARACTERS = 512
_NAMED = 20  # models in a message
_CHARACTERS_PER_TOKEN = 256  # at most; tokens of blanks are the longest
_EVENT_BYTES = 4096  # for each token, what stands around it included
_BYTES_PER_TOKEN = 2.5  # low, so that estimates lie above the truth for prose and tables
_TEMPLATE_TOKENS = 16  # a message's share of the chat template, estimated likewise
_CACHE_INFO = re.compile(r"^vllm:cache_config_info\{(?P<labels>[^\n]*)\}", re.M)
_USAGE = re.compile(r"^vllm:kv_cache_usage_perc(?:\{[^}\n]*\})?\s+([0-9.eE+-]+)\s*$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class RemoteEngine:
    """An Engine over HTTP. Tokens are counted by the server where it has vLLM's /tokenize, else estimated."""

    def __init__(
        self,
        url: str,
        model: str | None = None,
        timeout_s: float = 600.0,
        kv_tokens: int | None = None,
        send_key: bool = True,
    ) -> None:
        """Asks the server what it serves; `kv_tokens` is the size of its KV cache where that is known better here.

        `send_key`: the server may have the API key of the environment. Raises EngineUnreachableError, and
        EngineReplyError where it is no such server or lacks the model.
        """
        self._declared = kv_tokens
        self._server = Transport(url, timeout_s, send_key)
        self._url = self._server.shown
        try:
            self._info = self._describe(model)
        except BaseException:
            self.close()
            raise

    def _describe(self, model: str | None) -> EngineInfo:
        started = time.monotonic()
        card = self._choose(model)
        self._exact = self._tokenize({"prompt": "a"}, str(card["id"])) is not None
        length = card.get("max_model_len")
        return EngineInfo(
            model=str(card["id"]),
            backend="remote",
            device=self._url,
            max_model_tokens=_count(length) or DEFAULT_MODEL_TOKENS,
            kv_tokens=self._kv_tokens(),
            exact_tokens=self._exact,
            start_s={"connect": time.monotonic() - started},
        )

    def _choose(self, model: str | None) -> dict[str, Any]:
        data = self._server.json("GET", "/v1/models").get("data")
        cards = [card for card in data if _is_card(card)] if isinstance(data, list) else []
        if not cards:
            raise EngineReplyError(f"{self._url} serves no model", "start it with one, such as: vllm serve MODEL")
        if model is None:
            return dict(cards[0])
        for card in cards:
            if card["id"] == model:
                return dict(card)
        names = self._server.safe(", ".join(card["id"] for card in cards[:_NAMED]))
        raise EngineReplyError(f"{self._url} does not serve {model!r}", f"it serves: {names}")

    @property
    def info(self) -> EngineInfo:
        return self._info

    def count_tokens(self, text: str) -> int:
        if self._exact:
            count = self._tokenize({"prompt": defuse(text), "add_special_tokens": False}, self._info.model)
            if count is not None:
                return count
        return math.ceil(len(text.encode()) / _BYTES_PER_TOKEN)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        if self._exact:
            count = self._tokenize({"messages": _turns(messages)}, self._info.model)
            if count is not None:
                return count
        return sum(self.count_tokens(m.content) + _TEMPLATE_TOKENS for m in messages) + _TEMPLATE_TOKENS

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        prompt = self.prompt_tokens(messages)
        if prompt + sampling.max_tokens > self._info.max_model_tokens:
            raise ContextError(
                f"the prompt of {prompt:,} tokens and {sampling.max_tokens:,} for the answer exceed the "
                f"{self._info.max_model_tokens:,} that {self._url} takes",
                "use --route chunked, or a server started with a longer --max-model-len",
            )
        body: dict[str, Any] = {
            "model": self._info.model,
            "messages": _turns(messages),
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.repetition_penalty != 1.0:
            body["repetition_penalty"] = sampling.repetition_penalty
        return self._run(body, prompt, sampling.max_tokens)

    def _run(self, body: dict[str, Any], prompt: int, max_tokens: int) -> Iterator[Delta]:
        started, first = time.monotonic(), None
        parts: list[str] = []
        reason, usage, left = "", Usage(0, 0), max_tokens * _CHARACTERS_PER_TOKEN
        for event in self._events(body, max_tokens):
            try:
                text, ended_by = _piece(event)
                usage = _usage(event) or usage
            except (AttributeError, TypeError, ValueError) as error:
                raise EngineReplyError(
                    f"{self._url} sent an event that is no chat completion's: {error}", "see the server's log"
                ) from error
            reason = ended_by or reason
            left -= len(text)
            if left < 0:
                raise self._server.broken_off(f"it is longer than {max_tokens:,} tokens can be")
            if text:
                first = first or time.monotonic()
                parts.append(text)
                yield Delta(text)
        ended = time.monotonic()
        if not reason:
            raise self._server.broken_off("its stream ended without a finish_reason")
        first = first or ended
        used = Usage(usage.prompt_tokens or prompt, usage.completion_tokens or len(parts), usage.cached_tokens)
        yield Delta("", Completion("".join(parts), reason, used, Timings(first - started, ended - first)))

    def _events(self, body: dict[str, Any], max_tokens: int) -> Iterator[dict[str, Any]]:
        """Server-sent events of a chat completion, decoded."""
        most_bytes = MAX_BODY_BYTES + max_tokens * _EVENT_BYTES
        for line in self._server.lines("/v1/chat/completions", body, most_bytes):
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or data == "[DONE]":
                continue
            try:
                event = decoded(data)
                if not isinstance(event, dict):
                    raise ValueError(f"no object: {data[:1000]}")
            except ValueError as error:
                raise EngineReplyError(
                    f"{self._url} sent something that is no JSON: {self._server.safe(str(error))}", "ask again"
                ) from error
            if event.get("error"):
                raise self._server.refusal(200, data)
            yield event

    def _tokenize(self, body: dict[str, Any], model: str) -> int | None:
        """Tokens by vLLM's /tokenize; None where the server has none."""
        try:
            count = self._server.json("POST", "/tokenize", {"model": model, **body}).get("count")
        except EngineReplyError:
            return None
        return _count(count)

    def _kv_tokens(self) -> int | None:
        """Tokens of KV cache: those declared, or vLLM's own of /metrics; None where the server does not tell."""
        if self._declared is not None:
            return self._declared
        if not (match := _CACHE_INFO.search(self._metrics())):
            return None
        labels = dict(_LABEL.findall(match["labels"]))
        try:
            return _count(int(labels["num_gpu_blocks"][:20]) * int(labels["block_size"][:20]))
        except (KeyError, ValueError):
            return None

    def _metrics(self) -> str:
        """What /metrics says; nothing where the server has none."""
        try:
            return self._server.text("/metrics")
        except EngineError:
            return ""

    def free_kv_tokens(self) -> int | None:
        total = self._info.kv_tokens
        try:
            shares = [float(share) for share in _USAGE.findall(self._metrics())]
        except ValueError:
            return None
        # Of several engines behind one address the fullest may get the request.
        return None if total is None or not shares else int(total * (1 - min(1.0, max(0.0, *shares))))

    def close(self) -> None:
        self._server.close()


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": defuse(m.content)} for m in messages]


def _is_card(card: Any) -> bool:
    """Whether it describes a model by a name that can be shown and sent."""
    name = card.get("id") if isinstance(card, dict) else None
    return isinstance(name, str) and 0 < len(name) <= _NAME_CHARACTERS and name.isprintable()


def _count(value: Any) -> int | None:
    """A number of tokens as a server may tell it; None for anything else."""
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _piece(event: dict[str, Any]) -> tuple[str, str]:
    """Text of a streamed chunk, and its finish_reason, "" while there is none. Raises TypeError, AttributeError."""
    text, reason = "", ""
    for choice in event.get("choices") or []:
        text += (choice.get("delta") or {}).get("content") or ""
        reason = choice.get("finish_reason") or reason
    if not isinstance(reason, str):
        raise TypeError("its finish_reason is not a text")
    return text.encode("utf-8", "replace").decode(), reason[:_NAME_CHARACTERS]  # half a character becomes "?"


def _usage(event: dict[str, Any]) -> Usage | None:
    """Token counts of a chunk, 0 for those that it does not tell; None where it tells none."""
    if not (counted := event.get("usage")):
        return None
    details = counted.get("prompt_tokens_details") or {}
    return Usage(
        _count(counted.get("prompt_tokens")) or 0,
        _count(counted.get("completion_tokens")) or 0,
        _count(details.get("cached_tokens")) or 0,
    )
