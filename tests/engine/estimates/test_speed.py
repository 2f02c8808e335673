"""Predicted prefill times: hand arithmetic, SciPy's nonnegative least squares, the smallest error of all allowed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from engine.estimates.speed import KEPT, MIN_TOKENS, Observation, SpeedProfile, predict_seconds

_OBSERVATIONS = st.lists(
    st.builds(Observation, st.integers(MIN_TOKENS, 32768), st.floats(0.01, 100)), min_size=1, max_size=8
)


def _loss(observations: list[Observation], c: float, a: float, b: float) -> float:
    """Squares of relative errors: Σ ((c + a·n + b·n²)/t − 1)²."""
    return sum(((c + a * item.tokens + b * item.tokens**2) / item.seconds - 1) ** 2 for item in observations)


def _fitted(observations: list[Observation]) -> float:
    """The loss of the predictions themselves."""
    found = [predict_seconds(observations, item.tokens) or 0.0 for item in observations]
    return sum((p / item.seconds - 1) ** 2 for p, item in zip(found, observations, strict=True))


def test_without_observations_nothing_is_predicted() -> None:
    assert predict_seconds([], 1000) is None


def test_one_length_gives_a_constant_speed() -> None:
    # 1.0 s and 3.0 s for 1000 tokens: (1000/1 + 1000/3) / (1000² + 333.3²) = 1.2 ms a token
    assert predict_seconds([Observation(1000, 1.0), Observation(1000, 3.0)], 500) == pytest.approx(0.6)


def test_two_lengths_give_a_quadratic_without_a_constant() -> None:
    # t = 0.001·n + 10⁻⁶·n²: 1000 → 1 + 1 = 2, 2000 → 2 + 4 = 6, so 4000 → 4 + 16 = 20
    assert predict_seconds([Observation(1000, 2.0), Observation(2000, 6.0)], 4000) == pytest.approx(20.0)


def test_three_lengths_tell_the_constant_too() -> None:
    # t = 0.5 + 0.001·n + 10⁻⁶·n²
    observations = [Observation(n, 0.5 + 0.001 * n + 1e-6 * n * n) for n in (100, 1000, 2000)]
    assert predict_seconds(observations, 4000) == pytest.approx(20.5)
    assert predict_seconds(observations, 500) == pytest.approx(1.25)


def test_steeper_than_a_quadratic_is_taken_as_one() -> None:
    # a would be negative: b = (10⁶/1 + 4·10⁶/8) / (10¹² + 0.25·10¹²) = 1.2·10⁻⁶
    assert predict_seconds([Observation(1000, 1.0), Observation(2000, 8.0)], 1000) == pytest.approx(1.2)


def test_flatter_than_a_line_is_taken_as_one() -> None:
    # b would be negative: a = (1000/2 + 2000/2) / (500² + 1000²) = 1.2 ms
    assert predict_seconds([Observation(1000, 2.0), Observation(2000, 2.0)], 3000) == pytest.approx(3.6)


@given(_OBSERVATIONS)
def test_the_fit_is_that_of_scipys_nonnegative_least_squares(observations: list[Observation]) -> None:
    powers = {1: (1,), 2: (1, 2)}.get(len({item.tokens for item in observations}), (0, 1, 2))
    design = np.array([[(item.tokens / 32768) ** power / item.seconds for power in powers] for item in observations])
    _, norm = nnls(design, np.ones(len(observations)))
    assert _fitted(observations) == pytest.approx(norm**2, rel=1e-6, abs=1e-9)


@given(_OBSERVATIONS, st.floats(0, 1), st.floats(0, 1e-3), st.floats(0, 1e-6))
def test_no_other_allowed_fit_has_a_smaller_error(
    observations: list[Observation], c: float, a: float, b: float
) -> None:
    lengths = len({item.tokens for item in observations})
    assert _fitted(observations) <= _loss(observations, c if lengths > 2 else 0.0, a, b if lengths > 1 else 0.0) + 1e-9


def test_beyond_what_was_measured_time_grows_in_proportion_at_least() -> None:
    # A constant fits best: 0.5 s up to 2,000 tokens, and 50 times as much for 50 times as many
    flat = [Observation(500, 0.5), Observation(1000, 0.5), Observation(2000, 0.5)]
    assert predict_seconds(flat, 700) == pytest.approx(0.5)
    assert predict_seconds(flat, 2000) == pytest.approx(0.5)
    assert predict_seconds(flat, 100_000) == pytest.approx(25.0)


@given(_OBSERVATIONS, st.integers(1, 100_000), st.integers(1, 100_000))
def test_longer_prompts_never_take_less(observations: list[Observation], first: int, second: int) -> None:
    less, more = (predict_seconds(observations, n) for n in sorted((first, second)))
    assert less is not None
    assert more is not None
    assert 0 < less <= more


def test_what_is_recorded_is_read_by_the_next_run(tmp_path: Path) -> None:
    SpeedProfile(tmp_path / "profiles", "m", "cpu", "float32").record(1000, 2.0)
    SpeedProfile(tmp_path / "profiles", "m", "cpu", "float32").record(2000, 6.0)
    profile = SpeedProfile(tmp_path / "profiles", "m", "cpu", "float32")
    assert profile.observations() == [Observation(1000, 2.0), Observation(2000, 6.0)]
    assert profile.predict(4000) == pytest.approx(20.0)
    (file,) = (tmp_path / "profiles").iterdir()  # nothing half-written stays
    assert json.loads(file.read_text())["label"] == profile.label == "m on cpu, float32"


def test_models_devices_and_dtypes_are_kept_apart(tmp_path: Path) -> None:
    SpeedProfile(tmp_path, "m", "cpu", "float32").record(1000, 2.0)
    for other in (("n", "cpu", "float32"), ("m", "gpu", "float32"), ("m", "cpu", "bfloat16")):
        assert SpeedProfile(tmp_path, *other).predict(1000) is None


def test_the_oldest_observations_of_an_octave_go(tmp_path: Path) -> None:
    profile = SpeedProfile(tmp_path, "m", "cpu", "float32")
    profile.record(70_000, 9.0)
    for tokens in range(1024, 1024 + KEPT + 2):
        profile.record(tokens, 1.0)
    profile.record(1023, 1.0)
    kept = [70_000, *range(1026, 1026 + KEPT), 1023]
    assert [item.tokens for item in profile.observations()] == kept


@pytest.mark.parametrize(("tokens", "seconds"), [(MIN_TOKENS - 1, 1.0), (MIN_TOKENS, 0.0), (MIN_TOKENS, -1.0)])
def test_short_prompts_and_empty_times_are_not_taken(tmp_path: Path, tokens: int, seconds: float) -> None:
    profile = SpeedProfile(tmp_path, "m", "cpu", "float32")
    profile.record(tokens, seconds)
    assert list(tmp_path.iterdir()) == []
    profile.record(MIN_TOKENS, 0.5)
    assert profile.observations() == [Observation(MIN_TOKENS, 0.5)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"observations": 5}',
        b'{"observations": [5]}',
        b'{"observations": [{"tokens": 100}]}',
        b'{"observations": [{"tokens": 0, "seconds": 1.0}]}',
        b'{"observations": [{"tokens": 100, "seconds": -1.0}]}',
        b'{"observations": [{"tokens": 100, "seconds": NaN}]}',
        b'{"observations": [{"tokens": 1e999, "seconds": 1.0}]}',
    ],
)
def test_an_unreadable_file_counts_as_none_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    profile = SpeedProfile(tmp_path, "m", "cpu", "float32")
    profile.record(1000, 2.0)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert profile.predict(1000) is None
    profile.record(2000, 6.0)
    assert profile.observations() == [Observation(2000, 6.0)]
