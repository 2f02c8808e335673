"""Engines by settings: what each source tells before it starts, and when it starts anew."""

import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import engine.chat.tokenizer
import engine.embedded
import engine.preview
from engine.base import EngineInfo, Message
from engine.errors import EngineUnreachableError, ModelDamagedError, ModelMissingError
from engine.fake import FakeEngine
from engine.models.resolution import ModelFiles, cache_folder
from engine.preview import EmbeddedSettings
from pipeline.config import EngineSettings
from pipeline.engines import EmbeddedSource, RunningSource, engine_source, speed_profile
from tests.support.records import info

CONFIG = {
    "max_position_embeddings": 1000,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}


def _silent(_: str) -> None:
    pass


def test_the_fake_is_there_at_once() -> None:
    source = engine_source(EngineSettings(url="fake://"))
    messages = [Message("user", "one two")]
    started = source.start(10, _silent)
    assert isinstance(started, FakeEngine)
    assert source.preview(10**9) == started.info
    assert source.count_tokens("one two, three") == started.count_tokens("one two, three") == 4
    assert source.prompt_tokens(messages) == started.prompt_tokens(messages)
    source.close()


def test_a_server_that_refuses_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(EngineUnreachableError, match=url) as caught:
            engine_source(EngineSettings(url=url))
    assert "--engine" in caught.value.hint


def test_a_model_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="there is no model 'nonesuch'"):
        engine_source(EngineSettings(model="nonesuch"))
    with pytest.raises(ModelMissingError, match="has not been fetched yet"):
        engine_source(EngineSettings())
    with pytest.raises(ModelDamagedError, match="holds no model"):
        engine_source(EngineSettings(model=str(tmp_path)))


def test_speeds_are_kept_apart_by_model_and_device_in_the_cache() -> None:
    profile = speed_profile(info(model="a"))
    profile.record(1000, 2.0)
    assert speed_profile(info(model="a")).predict(500) == pytest.approx(1.0)
    assert speed_profile(info(model="b")).predict(500) is None
    assert len(list((cache_folder() / "profiles").iterdir())) == 1
    fp8 = replace(info(model="a"), kv_dtype="fp8")
    assert len({speed_profile(found).label for found in (info(model="a"), fp8, replace(fp8, attention="fathom"))}) == 3


class Words:
    """Stands for a model's tokenizer: one token a word."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def count(self, text: str) -> int:
        return len(text.split())

    def render(self, messages: Sequence[Message]) -> list[int]:
        return [0 for message in messages for _ in message.content.split()]


class Started:
    """Stands for the engine that the room next door starts: remembers how, and whether it was closed."""

    made: list["Started"]

    def __init__(
        self,
        model: ModelFiles,
        settings: EmbeddedSettings,
        log: Path,
        on_stage: Callable[[str], None],
        tokenizer: Words,
    ) -> None:
        self.info: EngineInfo = engine.preview.preview(model, settings)
        self.log, self.folder, self.closed = log, tokenizer.folder, False
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    Started.made = []
    monkeypatch.setattr(engine.embedded, "EmbeddedEngine", Started)
    monkeypatch.setattr(engine.preview, "device_name", lambda: "cpu")
    monkeypatch.setattr(engine.chat.tokenizer, "ChatTokenizer", Words)
    return Started.made


@pytest.fixture
def source(tmp_path: Path, started: list[Started]) -> EmbeddedSource:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    found = engine_source(EngineSettings(model=str(tmp_path), kv_cache_gib=1))
    assert isinstance(found, EmbeddedSource)
    return found


def test_a_preview_starts_nothing_and_stretches_for_what_is_needed(
    source: EmbeddedSource, started: list[Started]
) -> None:
    assert source.preview(1000).rope is None
    stretched = source.preview(1001)
    assert stretched.rope is not None
    assert (stretched.max_model_tokens, stretched.rope.factor) == (2000, 2.0)
    assert source.preview(10**6).max_model_tokens == 4000  # the reach
    # 2 (K, V) · 2 layers · 2 KV heads · 8 · 4 bytes = 256 bytes a token; 1 GiB / 256 = 4,194,304 tokens
    assert source.preview(1).kv_tokens == 4_194_304
    assert started == []


def test_tokens_are_counted_by_the_models_tokenizer_without_an_engine(
    source: EmbeddedSource, started: list[Started]
) -> None:
    assert source.count_tokens("one two three") == 3
    assert source.prompt_tokens([Message("system", "one"), Message("user", "two three")]) == 3
    assert started == []


def test_an_engine_is_started_once_and_anew_only_for_more(source: EmbeddedSource, started: list[Started]) -> None:
    source.start(500, _silent)
    source.start(1000, _silent)
    assert len(started) == 1
    assert source.preview(0) == source.preview(1000) == started[0].info  # what runs
    assert source.preview(1001).max_model_tokens == 2000  # what it would be started anew as
    source.start(1500, _silent)
    assert [(item.info.max_model_tokens, item.closed) for item in started] == [(1000, True), (2000, False)]
    source.close()
    source.close()
    assert started[1].closed
    assert started[0].log == cache_folder() / "logs" / "engine.log"


def test_closing_a_running_source_closes_its_engine() -> None:
    closed: list[bool] = []

    class Closing(FakeEngine):
        def close(self) -> None:
            closed.append(True)

    RunningSource(Closing()).close()
    assert closed == [True]
