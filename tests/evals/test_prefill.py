"""The benchmark of predicted prefill times: which lengths it reads, and what it makes of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.base import Completion, Delta, Message, Sampling, Timings, Usage
from engine.estimates.speed import SpeedProfile
from engine.fake import FakeEngine
from evals.bench.serving.prefill import Predicted, between, compared, table


class Reader(FakeEngine):
    """Takes 1 ms a token."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        tokens = self.prompt_tokens(messages)
        yield Delta("", Completion("x", "length", Usage(tokens, 1), Timings(tokens / 1000, 0.0)))


def test_lengths_lie_between_neighbours() -> None:
    assert between([256, 1024, 256]) == [512]
    assert between([1000, 4000, 64_000]) == [2000, 16_000]
    assert between([1000]) == []


def test_predictions_are_compared_with_readings_that_they_were_not_made_from(tmp_path: Path) -> None:
    profile = SpeedProfile(tmp_path, "m", "d", "k")
    for tokens in (256, 1024, 4096):
        profile.record(tokens, tokens / 500)  # half as fast as the engine is now
    before = profile.observations()
    found = compared(Reader(), profile, 2)
    assert profile.observations() == before
    assert [item.tokens for item in found] == pytest.approx([512, 2048], rel=0.15)
    for item in found:
        assert item.measured_s == pytest.approx(item.tokens / 1000)
        assert len(item.readings_s) == 2
        assert item.ratio == pytest.approx(2.0)


def test_the_table_counts_what_is_within_a_fifth() -> None:
    lines = table([Predicted(1000, 1.0, (1.0,), 1.2), Predicted(2000, 1.0, (1.0,), 0.79)])
    assert lines[2] == "| 1,000 | 1.000 | 1.200 | 1.20 |"
    assert lines[-1] == "1 of 2 predictions are within 20%."
