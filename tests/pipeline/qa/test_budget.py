"""Limits of a request: their arithmetic, which of them binds, and the bisection by time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base import EngineInfo
from engine.rope.scaling import RopeScaling
from pipeline.qa.budget import Bounds, Budget, Limit, LimitName, request_budget, tokens_within
from tests.support.records import info


def _tokens(budget: Budget) -> dict[LimitName, int]:
    return {limit.name: limit.tokens for limit in budget.limits}


def test_every_limit_has_the_answers_share_taken_off() -> None:
    budget = request_budget(info(8000, native_tokens=8000, kv_tokens=5000), 200)
    # 5000 - 200; 8000 - 200; 90% of 8000 - 200
    assert _tokens(budget) == {
        LimitName.KV_CACHE: 4800,
        LimitName.MODEL_LENGTH: 7800,
        LimitName.RELIABLE_LENGTH: 7000,
    }
    assert budget.binding().name is LimitName.KV_CACHE


def test_a_stretched_model_is_reliable_for_half_its_reach() -> None:
    stretched = EngineInfo("m", "b", "d", 32_000, 8000, rope=RopeScaling("yarn", 4.0, 8000))
    budget = request_budget(stretched, 1000)
    assert _tokens(budget)[LimitName.RELIABLE_LENGTH] == 15_000
    assert "yarn ×4" in budget.binding().reason


def test_what_the_engine_does_not_tell_does_not_bind() -> None:
    assert _tokens(request_budget(info(8000), 0)) == {LimitName.MODEL_LENGTH: 8000}


def test_a_measured_length_takes_the_place_of_the_assumed_one() -> None:
    stretched = EngineInfo("m", "b", "d", 32_000, 8000, rope=RopeScaling("yarn", 4.0, 8000), reliable_tokens=24_000)
    budget = request_budget(stretched, 1000)
    assert _tokens(budget)[LimitName.RELIABLE_LENGTH] == 23_000
    assert budget.binding().reason == "m stretched by yarn ×4 was measured to read so far reliably"
    told = request_budget(stretched, 1000, Bounds(reliable_tokens=5000))
    assert _tokens(told)[LimitName.RELIABLE_LENGTH] == 4000
    assert "[router] reliable_tokens" in told.binding().reason


def test_what_other_requests_hold_is_not_there() -> None:
    engine = info(8000, native_tokens=8000, kv_tokens=5000)
    budget = request_budget(engine, 200, free_kv_tokens=1500)
    assert _tokens(budget)[LimitName.KV_CACHE] == 4800
    assert _tokens(budget)[LimitName.FREE_KV_CACHE] == 1300
    assert budget.binding().reason == "1,500 of the KV cache's 5,000 tokens are free now; more would wait"
    assert budget.binding(hard_only=True).name is LimitName.KV_CACHE  # a full server makes a request wait
    assert _tokens(request_budget(engine, 200, free_kv_tokens=0))[LimitName.FREE_KV_CACHE] == 0
    # never more than the cache has, and vLLM's own page is not worth a word
    assert _tokens(request_budget(engine, 200, free_kv_tokens=9999))[LimitName.KV_CACHE] == 4800
    paged = EngineInfo("m", "b", "d", 8000, kv_tokens=5000, kv_block_tokens=16)
    near = request_budget(paged, 0, free_kv_tokens=4984).binding()
    assert (near.tokens, near.reason) == (5000, "the KV cache holds 5,000 tokens")


def test_a_quota_is_in_bytes_and_whole_pages() -> None:
    engine = EngineInfo("m", "b", "d", 8000, kv_tokens=8000, kv_block_tokens=16, kv_bytes_per_token=1_000_000)
    budget = request_budget(engine, 100, Bounds(quota_bytes=2**30))
    # 2^30 / 16,000,000 = 67.1 pages of 16: 1,072 tokens
    assert _tokens(budget)[LimitName.QUOTA] == 972
    assert budget.binding().hard
    assert budget.binding().reason == "1 GiB a request hold 1,072 tokens of 1,000,000 bytes"
    assert LimitName.QUOTA not in _tokens(request_budget(info(8000), 0, Bounds(quota_bytes=1)))
    assert LimitName.QUOTA not in _tokens(request_budget(engine, 0, Bounds()))


def test_limits_do_not_fall_below_zero() -> None:
    budget = request_budget(info(100, native_tokens=100, kv_tokens=64), 5000)
    assert set(_tokens(budget).values()) == {0}


@pytest.mark.parametrize(
    ("time_limit_s", "seconds_for", "expected"),
    [
        (2.0, lambda n: n / 100, 200),  # 200 tokens at 100 a second
        (2.0, lambda n: None, None),  # no speed was measured
        (0.0, lambda n: n / 100, None),  # switched off
        (1000.0, lambda n: n / 100, 8000),  # never beyond the model's length
        (2.0, lambda n: 3.0 + n, 0),  # not even one token
    ],
)
def test_time_binds_where_a_limit_and_a_speed_are_known(
    time_limit_s: float, seconds_for: object, expected: int | None
) -> None:
    assert callable(seconds_for)
    assert (
        _tokens(request_budget(info(8000), 0, Bounds(time_limit_s), seconds_for)).get(LimitName.TIME_LIMIT) == expected
    )


def test_soft_limits_do_not_bind_where_only_hard_ones_count() -> None:
    budget = request_budget(info(8000, native_tokens=1000, kv_tokens=9000), 0, Bounds(1.0), lambda n: n / 10)
    assert (budget.binding().name, budget.prompt_tokens()) == (LimitName.TIME_LIMIT, 10)
    assert (budget.binding(hard_only=True).name, budget.prompt_tokens(hard_only=True)) == (LimitName.MODEL_LENGTH, 8000)


def test_of_equal_limits_the_first_binds() -> None:
    first, second = Limit(LimitName.KV_CACHE, 5, "a", True), Limit(LimitName.TIME_LIMIT, 5, "b", False)
    assert Budget((first, second), 0).binding() is first


@given(
    seconds=st.floats(0, 50),
    most=st.integers(0, 120),
    steps=st.lists(st.floats(0, 2), min_size=121, max_size=121),
)
def test_the_bisection_finds_what_trying_every_length_finds(seconds: float, most: int, steps: list[float]) -> None:
    times = [sum(steps[: n + 1]) for n in range(121)]  # never falls
    brute = max((n for n in range(1, most + 1) if times[n] <= seconds), default=0)
    assert tokens_within(seconds, most, lambda n: times[n]) == brute


@given(
    kv=st.none() | st.integers(0, 10_000),
    length=st.integers(1, 10_000),
    native=st.none() | st.integers(1, 10_000),
    reserve=st.integers(0, 500),
)
def test_the_binding_limit_is_the_lowest(kv: int | None, length: int, native: int | None, reserve: int) -> None:
    budget = request_budget(info(length, native, kv), reserve)
    assert budget.prompt_tokens() == min(limit.tokens for limit in budget.limits) >= 0
    assert budget.prompt_tokens() <= budget.prompt_tokens(hard_only=True) <= max(0, length - reserve)
