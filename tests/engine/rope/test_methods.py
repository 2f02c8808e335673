"""Frequencies of every scaling: transformers' own functions, vLLM's caches, and one of each by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RopeError
from engine.rope.methods import Rotary, frequencies, ntk_base, temperature, untrained, wavelengths
from engine.rope.scaling import KINDS, RopeScaling

LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}


def _options(kind: str, dims: int) -> dict[str, Any]:
    if kind == "llama3":
        return dict(LLAMA3)
    if kind == "longrope":
        pairs = dims // 2
        return {
            "short_factor": tuple(1 + 0.01 * i for i in range(pairs)),
            "long_factor": tuple(1 + 0.5 * i for i in range(pairs)),
        }
    return {}


def _by_transformers(
    scaling: RopeScaling, base: float, dims: int, tokens: int | None, **more: Any
) -> tuple[Any, float]:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    options = {name: list(v) if isinstance(v, tuple) else v for name, v in scaling.options.items()}
    rope = {
        "rope_type": scaling.kind, "rope_theta": base, "factor": scaling.factor,
        "original_max_position_embeddings": scaling.original_tokens, **options, **more,
    }  # fmt: skip
    declared = scaling.original_tokens if scaling.kind == "dynamic" else scaling.reach_tokens
    config = LlamaConfig(
        hidden_size=2 * dims, num_attention_heads=2, head_dim=dims, max_position_embeddings=declared,
        rope_parameters=rope, original_max_position_embeddings=scaling.original_tokens,
    )  # fmt: skip
    found, heat = ROPE_INIT_FUNCTIONS[scaling.kind](config, "cpu", seq_len=tokens)
    return found.double().numpy(), float(heat)


@pytest.mark.parametrize("factor", [1.0, 1.5, 4.0, 32.0])
@pytest.mark.parametrize("base", [10_000.0, 500_000.0, 5_000_000.0])
@pytest.mark.parametrize("dims", [32, 64, 128, 256])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ntk"])
def test_frequencies_are_those_of_transformers(kind: str, dims: int, base: float, factor: float) -> None:
    scaling = RopeScaling(kind, factor, 8192, _options(kind, dims))
    for tokens in (100, 8192, 8193, int(8192 * factor)):
        expected, heat = _by_transformers(scaling, base, dims, tokens)
        found = frequencies(Rotary(base, dims), scaling, tokens)
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)
        # transformers computes in float32
        assert np.abs(np.log(found) - np.log(expected)).max() < 1e-5
        assert temperature(scaling) == pytest.approx(heat, rel=1e-6)


@pytest.mark.parametrize("stretch", [1.0, 2.0, 7.5])
@pytest.mark.parametrize("dims", [32, 128])
def test_ntk_is_the_dynamic_one_of_transformers_at_a_length_of_that_many_trainings(dims: int, stretch: float) -> None:
    # with a factor of 1 dynamic's base is base · (tokens / original)^(d / (d − 2))
    expected, _ = _by_transformers(RopeScaling("dynamic", 1.0, 4096), 10_000.0, dims, int(4096 * stretch))
    found = frequencies(Rotary(10_000.0, dims), RopeScaling("ntk", stretch, 4096))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"beta_fast": 16.0, "beta_slow": 2.0},
        {"truncate": False},
        {"attention_factor": 1.25},
        {"mscale": 1.0, "mscale_all_dim": 0.707},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_of_yarn_are_those_of_transformers(options: dict[str, Any]) -> None:
    scaling = RopeScaling("yarn", 40.0, 4096, options)
    expected, heat = _by_transformers(scaling, 10_000.0, 64, None)
    np.testing.assert_allclose(frequencies(Rotary(10_000.0, 64), scaling), expected, rtol=3e-6, atol=1e-6)
    assert temperature(scaling) == pytest.approx(heat)


LONGROPE = RopeScaling("longrope", 4.0, 100, {"short_factor": (1.0, 2.0), "long_factor": (2.0, 8.0)})
ROTARY = Rotary(10_000.0, 4)  # two pairs: 1 and 10000^(−1/2) = 0.01 radians a token


def test_plain_frequencies_and_wavelengths_by_hand() -> None:
    assert frequencies(ROTARY).tolist() == pytest.approx([1.0, 0.01])
    assert wavelengths(frequencies(ROTARY)).tolist() == pytest.approx([6.28319, 628.319], rel=1e-5)


@pytest.mark.parametrize(
    ("scaling", "tokens", "by_hand"),
    [
        (RopeScaling("linear", 4.0, 100), None, [0.25, 0.0025]),
        # base 10000 · 4^(4/2) = 160,000, whose root is 400
        (RopeScaling("ntk", 4.0, 100), None, [1.0, 1 / 400]),
        # at 200 tokens the stretch is 4 · 2 − 3 = 5: base 10000 · 25, root 500
        (RopeScaling("dynamic", 4.0, 100), 200, [1.0, 1 / 500]),
        (RopeScaling("dynamic", 4.0, 100), 100, [1.0, 0.01]),
        # 100 tokens: the first pair turns 15.9 times, the second 0.16 times. 32 turns lie before pair 0, one turn at
        # pair 4 · ln(100 / 2π) / (2 · ln 10000) = 0.6, rounded up to 1: pair 0 stays, pair 1 is divided
        (RopeScaling("yarn", 4.0, 100), None, [1.0, 0.0025]),
        (LONGROPE, 100, [1.0, 0.005]),
        (LONGROPE, 101, [0.5, 1 / 800]),
        # turns in 100 tokens: 15.9 (over 4: kept) and 0.16 (under 1: divided)
        (RopeScaling("llama3", 4.0, 100, LLAMA3), None, [1.0, 0.0025]),
        # turns in 1,000 tokens: 159 and 1.5915; kept to (1.5915 − 1) / 3 = 0.19718
        (RopeScaling("llama3", 4.0, 1000, LLAMA3), None, [1.0, 0.0025 * (1 - 0.19718) + 0.01 * 0.19718]),
    ],
)  # fmt: skip
def test_one_of_each_by_hand(scaling: RopeScaling, tokens: int | None, by_hand: list[float]) -> None:
    assert frequencies(ROTARY, scaling, tokens).tolist() == pytest.approx(by_hand, rel=1e-4)


def test_temperatures_by_hand() -> None:
    assert temperature(None) == temperature(RopeScaling("linear", 4.0, 100)) == 1.0
    assert temperature(RopeScaling("yarn", math.e**2, 100)) == pytest.approx(1.2)  # 0.1 · 2 + 1
    # √(1 + ln 16 / ln 4096) = √(1 + 4 / 12)
    found = temperature(RopeScaling("longrope", 16.0, 4096, _options("longrope", 4)))
    assert found == pytest.approx(math.sqrt(4 / 3))
    assert temperature(RopeScaling("longrope", 1.0, 4096, _options("longrope", 4))) == 1.0


@given(
    st.sampled_from(KINDS), st.sampled_from([8, 32, 64, 128]), st.floats(1.0, 64.0), st.integers(512, 131072),
    st.floats(1_000.0, 1e7),
)  # fmt: skip
def test_no_pair_turns_faster_and_the_order_of_pairs_stays(
    kind: str, dims: int, factor: float, original: int, base: float
) -> None:
    found = frequencies(Rotary(base, dims), RopeScaling(kind, factor, original, _options(kind, dims)))
    plain = frequencies(Rotary(base, dims))
    assert (found <= plain * (1 + 1e-12)).all()
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize("kind", ["linear", "ntk", "yarn"])
@given(factor=st.sampled_from([2.0, 4.0, 8.0]))
def test_a_scaling_keeps_its_slowest_pair_within_the_trained_angles(kind: str, factor: float) -> None:
    rotary, scaling = Rotary(10_000.0, 64), RopeScaling(kind, factor, 2048)
    assert untrained(rotary, None, scaling.reach_tokens, 2048)[-1]
    assert not untrained(rotary, scaling, scaling.reach_tokens, 2048)[-1]


def test_pairs_beyond_training_by_hand() -> None:
    # In 100 tokens pair 0 turns 15.9 times and has seen all; pair 1 has seen 1 radian, and meets 2 at 200 tokens.
    assert untrained(ROTARY, None, 100, 100).tolist() == [False, False]
    assert untrained(ROTARY, None, 200, 100).tolist() == [False, True]
    assert untrained(ROTARY, RopeScaling("linear", 2.0, 100), 200, 100).tolist() == [False, False]
    assert untrained(ROTARY, RopeScaling("linear", 2.0, 100), 201, 100).tolist() == [False, True]
    # 629 tokens of training are a full turn of pair 1
    assert untrained(ROTARY, None, 10_000, 629).tolist() == [False, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rope", 2.0, 100), "there is no RoPE scaling 'rope'"),
        (("yarn", 0.5, 100), "a RoPE scaling by 0.5 does not stretch"),
        (("yarn", math.nan, 100), "a RoPE scaling by nan does not stretch"),
        (("yarn", math.inf, 100), "a RoPE scaling by inf does not stretch"),
        (("yarn", 2.0, 0), "original length 0 is no length"),
        (("linear", 2.0, 100, {"beta_fast": 1.0}), "linear has no option beta_fast"),
        (("longrope", 2.0, 100, {"short_factor": (1.0,)}), "longrope needs long_factor"),
        (("yarn", 2.0, 100, {"beta_fast": -1.0}), "the RoPE scaling has beta_fast = -1.0"),
        (("yarn", 2.0, 100, {"truncate": 1.0}), "the RoPE scaling has truncate = 1.0"),
        (("longrope", 2.0, 9, {"short_factor": (), "long_factor": (1.0,)}), r"short_factor = \(\)"),
        (("longrope", 2.0, 9, {"short_factor": ("a",), "long_factor": (1.0,)}), "short_factor = "),
    ],
)
def test_a_scaling_that_cannot_be_is_refused_by_name(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(RopeError, match=said) as caught:
        RopeScaling(*arguments)
    assert caught.value.hint


def test_factors_for_other_heads_are_refused_with_both_numbers() -> None:
    scaling = RopeScaling("longrope", 2.0, 100, {"short_factor": (1.0,), "long_factor": (1.0,)})
    with pytest.raises(RopeError, match="long_factor has 1 factors, and heads turn 2 pairs"):
        frequencies(ROTARY, scaling)


def test_llama3s_bounds_in_the_wrong_order_are_refused() -> None:
    scaling = RopeScaling("llama3", 2.0, 100, {"low_freq_factor": 4.0, "high_freq_factor": 4.0})
    with pytest.raises(RopeError, match="high_freq_factor 4 is not over low_freq_factor 4"):
        frequencies(ROTARY, scaling)


def test_a_single_pair_has_no_base_to_change() -> None:
    with pytest.raises(RopeError, match="heads that turn 2 numbers"):
        ntk_base(Rotary(10_000.0, 2), 2.0)
