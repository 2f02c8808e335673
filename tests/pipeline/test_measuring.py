"""Fetching a model and measuring it: what is read, what is kept, and when nothing is done."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine.base import Completion, Delta, Engine, EngineInfo, Message, Sampling, Timings, Usage
from engine.errors import ModelMissingError
from engine.estimates.speed import Observation, SpeedProfile
from engine.fake import FakeEngine
from engine.models.resolution import ModelFiles
from pipeline import measuring
from pipeline.config import EngineSettings
from pipeline.engines import speed_profile
from pipeline.measuring import (
    FIRST_TOKENS,
    MARGIN_TOKENS,
    PATIENCE_S,
    TIMES,
    measure_speed,
    measured_lengths,
    pull_and_measure,
)


class Reader(FakeEngine):
    """Reads 1,500 tokens a second, and ten times slower what it reads first."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        tokens = self.prompt_tokens(messages)
        self.prompts.append(tuple(messages))
        yield Delta(
            "",
            Completion(
                "x", "length", Usage(tokens, 1), Timings(tokens / (1500 if len(self.prompts) > 1 else 100), 0.0)
            ),
        )


class Source:
    """Stands for the embedded engine: starts a Reader."""

    made: list["Source"]

    def __init__(self, settings: EngineSettings, model: ModelFiles) -> None:
        self.engine = Reader(max_model_tokens=40_000)
        self.needed: list[int] = []
        self.closed = False
        self.made.append(self)

    def preview(self, needed_tokens: int) -> EngineInfo:
        return self.engine.info

    def count_tokens(self, text: str) -> int:
        return self.engine.count_tokens(text)

    def start(self, needed_tokens: int, on_stage: Callable[[str], None]) -> Engine:
        self.needed.append(needed_tokens)
        return self.engine

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    Source.made = []
    monkeypatch.setattr(measuring, "EmbeddedSource", Source)
    return Source.made


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 8192}), encoding="utf-8")
    return EngineSettings(model=str(tmp_path))


def test_lengths_are_read_as_long_as_it_takes_no_long_time(settings: EngineSettings, sources: list[Source]) -> None:
    said: list[str] = []
    pulled = pull_and_measure(settings, True, said.append)
    (source,) = sources
    lengths = [256, 512, 1024, 2048, 4096, 8192, 16384]  # the next one would take 22 s
    assert source.engine.info.max_model_tokens - MARGIN_TOKENS > PATIENCE_S * 1500
    assert [point.tokens for point in pulled.speeds] == pytest.approx(lengths, rel=0.15)
    assert all(point.seconds == point.tokens / 1500 for point in pulled.speeds)
    assert speed_profile(source.engine.info).predict(1500) == pytest.approx(1.0)
    assert source.closed
    assert source.needed == [0]
    assert len(said) == 1 + len(lengths)
    assert len(source.engine.prompts) == 1 + 3 * TIMES + 4  # short ones are read again
    assert (pulled.model, pulled.folder) == (settings.model, settings.model)


def test_an_engine_too_short_to_be_measured_is_left_alone(tmp_path: Path) -> None:
    engine = Reader(max_model_tokens=MARGIN_TOKENS)
    profile = SpeedProfile(tmp_path, "m", "d", "k")
    measure_speed(engine, profile, lambda _: None)
    assert (engine.prompts, profile.observations()) == ([], [])
    measure_speed(Reader(max_model_tokens=MARGIN_TOKENS + 100), profile, lambda _: None)
    assert [point.tokens for point in profile.observations()] == pytest.approx([100], rel=0.2)


def test_no_prompt_begins_like_another(settings: EngineSettings, sources: list[Source]) -> None:
    pull_and_measure(settings, True, lambda _: None)
    texts = [prompt[-1].content for prompt in sources[0].engine.prompts]
    assert len({text[:8] for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("most", "lengths"),
    [
        (0, []),
        (100, [100]),
        (256, [256]),
        (300, [256]),  # not twice nearly the same
        (4000, [256, 512, 1024, 2048, 4000]),
        (4096, [256, 512, 1024, 2048, 4096]),
        (5000, [256, 512, 1024, 2048, 4096]),
    ],
)
def test_the_lengths_end_with_the_engines_own(most: int, lengths: list[int]) -> None:
    assert list(measured_lengths(most)) == lengths
    assert FIRST_TOKENS == 256


def test_a_known_speed_is_not_measured_again(settings: EngineSettings, sources: list[Source]) -> None:
    speed_profile(Reader().info).record(500, 5.0)
    pulled = pull_and_measure(settings, True, lambda _: None)
    assert pulled.speeds == (Observation(500, 5.0),)
    assert sources[0].needed == []


def test_without_measuring_nothing_starts(settings: EngineSettings, sources: list[Source]) -> None:
    assert pull_and_measure(settings, False, lambda _: None).speeds == ()
    assert all(source.needed == [] for source in sources)


def test_a_model_that_does_not_exist_is_told(sources: list[Source]) -> None:
    with pytest.raises(ModelMissingError, match="nonesuch"):
        pull_and_measure(EngineSettings(model="nonesuch"), True, lambda _: None)
    assert sources == []
