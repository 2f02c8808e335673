"""Predicted prefill times: hand arithmetic, NumPy's polyfit, and the smallest error among all fits allowed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.speed import KEPT, MIN_TOKENS, Observation, SpeedProfile, predict_seconds

_OBSERVATIONS = st.lists(
    st.builds(Observation, st.integers(MIN_TOKENS, 32768), st.floats(0.01, 100)), min_size=1, max_size=8
)


def _loss(observations: list[Observation], a: float, b: float) -> float:
    """Squares of seconds a token: Σ (t/n − a − b·n)²."""
    return sum((item.seconds / item.tokens - a - b * item.tokens) ** 2 for item in observations)


def _fit(observations: list[Observation]) -> tuple[float, float]:
    """a and b of a·n + b·n², from the predictions p(1) = a + b and p(2) = 2a + 4b."""
    one, two = predict_seconds(observations, 1), predict_seconds(observations, 2)
    assert one is not None
    assert two is not None
    b = (two - 2 * one) / 2
    return one - b, b


def test_without_observations_nothing_is_predicted() -> None:
    assert predict_seconds([], 1000) is None


def test_one_length_gives_a_constant_speed() -> None:
    # 1.0 s and 3.0 s for 1000 tokens: 2 ms a token on average
    assert predict_seconds([Observation(1000, 1.0), Observation(1000, 3.0)], 500) == pytest.approx(1.0)


def test_a_quadratic_is_found_again() -> None:
    # t = 0.001·n + 10⁻⁶·n²: 1000 → 1 + 1 = 2, 2000 → 2 + 4 = 6, so 4000 → 4 + 16 = 20
    assert predict_seconds([Observation(1000, 2.0), Observation(2000, 6.0)], 4000) == pytest.approx(20.0)


def test_steeper_than_a_quadratic_is_taken_as_one() -> None:
    # t/n = 1 ms, 4 ms: the line meets 0 at a < 0, so a = 0 and b = (1 + 8) / (1000² + 2000²) = 1.8·10⁻⁶
    assert predict_seconds([Observation(1000, 1.0), Observation(2000, 8.0)], 1000) == pytest.approx(1.8)


def test_flatter_than_a_line_is_taken_as_one() -> None:
    # t/n = 2 ms, 1 ms falls, so b = 0 and a = 1.5 ms
    assert predict_seconds([Observation(1000, 2.0), Observation(2000, 2.0)], 3000) == pytest.approx(4.5)


@given(st.floats(1e-4, 1e-2), st.floats(1e-8, 1e-6), st.lists(st.integers(64, 32768), min_size=3, unique=True))
def test_predictions_equal_polyfit_where_both_terms_are_positive(a: float, b: float, lengths: list[int]) -> None:
    # a pattern of 1% above and below the curve
    observations = [Observation(n, (a * n + b * n * n) * (1.01 if i % 2 else 0.99)) for i, n in enumerate(lengths)]
    slope, intercept = np.polyfit(lengths, [item.seconds / item.tokens for item in observations], 1)
    if slope > 1e-12 and intercept > 1e-9:
        assert predict_seconds(observations, 5000) == pytest.approx(intercept * 5000 + slope * 5000**2, rel=1e-6)


@given(_OBSERVATIONS, st.floats(0, 1), st.floats(0, 1e-3))
def test_no_other_allowed_fit_has_a_smaller_error(observations: list[Observation], a: float, b: float) -> None:
    found = _fit(observations)
    least = _loss(observations, *found)
    for other in ((a, b), (a, 0.0), (0.0, b), (found[0] * 1.01, found[1]), (found[0], found[1] * 0.99)):
        if len({item.tokens for item in observations}) > 1 or other[1] == 0:
            assert least <= _loss(observations, *other) + 1e-9


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


def test_the_oldest_observations_go(tmp_path: Path) -> None:
    profile = SpeedProfile(tmp_path, "m", "cpu", "float32")
    for tokens in range(1000, 1000 + KEPT + 2):
        profile.record(tokens, 1.0)
    assert [item.tokens for item in profile.observations()] == list(range(1002, 1002 + KEPT))


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
