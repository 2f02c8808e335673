"""Any OpenAI-compatible server as an Engine: `vllm serve`, a cluster of it, or another."""

import json
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .address import Address, parse_address, redacted
from .base import Completion, Delta, EngineInfo, Message, Sampling, Timings, Usage
from .errors import ContextError, EngineReplyError, EngineUnreachableError
from .tokenizer import defuse

API_KEY = "FATHOM_ENGINE_API_KEY"
DEFAULT_MODEL_TOKENS = 8192  # where the server does not tell its length
_BYTES_PER_TOKEN = 2.5  # low, so that estimates lie above the truth for prose and tables
_TEMPLATE_TOKENS = 16  # a message's share of the chat template, estimated likewise
_CACHE_INFO = re.compile(r"^vllm:cache_config_info\{(?P<labels>.*)\}", re.M)
_USAGE = re.compile(r"^vllm:kv_cache_usage_perc(?:\{[^}]*\})?\s+([0-9.eE+-]+)\s*$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


_CHECK = "check the address given with --engine"
_KEY_KEPT = (
    f"{API_KEY} goes only to a server that you name yourself: by --engine, FATHOM_ENGINE_URL or your own settings file"
)


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

        Raises EngineUnreachableError, and EngineReplyError where it is no such server or lacks the model.
        """
        import httpx

        self._declared = kv_tokens
        address = _address(url)
        self._url = address.shown.removesuffix("/v1")  # for people; never with a password
        key = os.environ.get(API_KEY, "").strip() if send_key else ""
        self._key, self._sends_key = key, send_key
        if not (key.isascii() and key.isprintable()):
            raise EngineUnreachableError(f"{API_KEY} holds characters that no HTTP header carries", "set it anew")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(timeout_s, connect=10.0)
        try:
            auth = None if address.user is None else (address.user, address.password)
            base = address.base.removesuffix("/v1")
            self._client = httpx.Client(base_url=base, headers=headers, timeout=timeout, auth=auth)
        except (httpx.InvalidURL, ValueError) as error:  # such as a port that is none
            raise self._unreachable(error) from error
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
            max_model_tokens=length if isinstance(length, int) and length > 0 else DEFAULT_MODEL_TOKENS,
            kv_tokens=self._kv_tokens(),
            exact_tokens=self._exact,
            start_s={"connect": time.monotonic() - started},
        )

    def _choose(self, model: str | None) -> dict[str, Any]:
        data = self._json("GET", "/v1/models").get("data")
        cards = [card for card in data if isinstance(card, dict) and card.get("id")] if isinstance(data, list) else []
        if not cards:
            raise EngineReplyError(f"{self._url} serves no model", "start it with one, such as: vllm serve MODEL")
        if model is None:
            return dict(cards[0])
        for card in cards:
            if card.get("id") == model:
                return dict(card)
        names = ", ".join(str(card.get("id")) for card in cards)
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
        return self._run(body, prompt)

    def _run(self, body: dict[str, Any], prompt: int) -> Iterator[Delta]:
        started, first = time.monotonic(), None
        parts: list[str] = []
        reason, usage = "", Usage(0, 0)
        for event in self._events(body):
            try:
                text, ended_by = _piece(event)
                usage = _usage(event) or usage
            except (AttributeError, TypeError, ValueError) as error:
                raise EngineReplyError(
                    f"{self._url} sent an event that is no chat completion's: {error}", "see the server's log"
                ) from error
            reason = ended_by or reason
            if text:
                first = first or time.monotonic()
                parts.append(text)
                yield Delta(text)
        ended = time.monotonic()
        if not reason:
            raise self._broken_off("its stream ended without a finish_reason")
        first = first or ended
        used = Usage(usage.prompt_tokens or prompt, usage.completion_tokens or len(parts), usage.cached_tokens)
        yield Delta("", Completion("".join(parts), reason, used, Timings(first - started, ended - first)))

    def _events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Server-sent events of a chat completion, decoded."""
        import httpx

        begun = False
        try:
            with self._client.stream("POST", "/v1/chat/completions", json=body) as reply:
                if reply.status_code != 200:
                    reply.read()
                    raise self._refusal(reply.status_code, reply.text)
                begun = True
                for line in reply.iter_lines():
                    data = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or data == "[DONE]":
                        continue
                    event = json.loads(data)
                    if not isinstance(event, dict):
                        raise ValueError(f"no object: {data[:100]}")
                    if event.get("error"):
                        raise self._refusal(200, data)
                    yield event
        except httpx.HTTPError as error:
            raise (self._broken_off(error) if begun else self._unreachable(error)) from error
        except ValueError as error:
            raise EngineReplyError(f"{self._url} sent something that is no JSON: {error}", "ask again") from error

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx

        try:
            reply = self._client.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last for a host name that is none
            raise self._unreachable(error) from error
        if reply.status_code != 200:
            raise self._refusal(reply.status_code, reply.text)
        try:
            content = reply.json()
        except ValueError as error:
            raise EngineReplyError(
                f"{self._url}{path} is no OpenAI-compatible server", "check the address given with --engine"
            ) from error
        return content if isinstance(content, dict) else {}

    def _tokenize(self, body: dict[str, Any], model: str) -> int | None:
        """Tokens by vLLM's /tokenize; None where the server has none."""
        try:
            return int(self._json("POST", "/tokenize", {"model": model, **body})["count"])
        except (EngineReplyError, KeyError, TypeError, ValueError):
            return None

    def _kv_tokens(self) -> int | None:
        """Tokens of KV cache: those declared, or vLLM's own of /metrics; None where the server does not tell."""
        if self._declared is not None:
            return self._declared
        if not (match := _CACHE_INFO.search(self._metrics())):
            return None
        labels = dict(_LABEL.findall(match["labels"]))
        try:
            return int(labels["num_gpu_blocks"]) * int(labels["block_size"])
        except (KeyError, ValueError):
            return None

    def _metrics(self) -> str:
        """What /metrics says; nothing where the server has none."""
        import httpx

        try:
            return self._client.get("/metrics").text
        except httpx.HTTPError:
            return ""

    def _refusal(self, status: int, text: str) -> EngineReplyError:
        hint = "see the server's log"
        if status in (401, 403):
            hint = f"set {API_KEY}" if self._sends_key else _KEY_KEPT
        said = text.replace(self._key, "***") if self._key else text
        return EngineReplyError(f"{self._url} answered {status}: {' '.join(said.split())[:300]}", hint)

    def _broken_off(self, reason: Exception | str) -> EngineReplyError:
        return EngineReplyError(f"{self._url} broke off in the middle of its answer: {reason}", "ask again")

    def _unreachable(self, error: Exception) -> EngineUnreachableError:
        return EngineUnreachableError(
            f"no engine answers at {self._url}: {error}",
            "start one (vllm serve MODEL) or check the address given with --engine",
        )

    def free_kv_tokens(self) -> int | None:
        total = self._info.kv_tokens
        try:
            shares = [float(share) for share in _USAGE.findall(self._metrics())]
        except ValueError:
            return None
        # Of several engines behind one address the fullest may get the request.
        return None if total is None or not shares else int(total * (1 - min(1.0, max(0.0, *shares))))

    def close(self) -> None:
        self._client.close()


def _address(url: str) -> Address:
    """The server of a URL. Raises EngineUnreachableError for one that is no URL or may be read in two ways."""
    try:
        return parse_address(url)
    except ValueError as error:
        raise EngineUnreachableError(
            f"no engine answers at {redacted(url)}: {error}", "check the address given with --engine"
        ) from error


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": defuse(m.content)} for m in messages]


def _piece(event: dict[str, Any]) -> tuple[str, str]:
    """Text of a streamed chunk, and its finish_reason, "" while there is none."""
    text, reason = "", ""
    for choice in event.get("choices") or []:
        text += (choice.get("delta") or {}).get("content") or ""
        reason = choice.get("finish_reason") or reason
    return text, reason


def _usage(event: dict[str, Any]) -> Usage | None:
    """Token counts of a chunk, 0 for those that it does not tell; None where it tells none."""
    if not (counted := event.get("usage")):
        return None
    details = counted.get("prompt_tokens_details") or {}
    return Usage(
        int(counted.get("prompt_tokens") or 0),
        int(counted.get("completion_tokens") or 0),
        int(details.get("cached_tokens") or 0),
    )
