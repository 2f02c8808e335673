"""Context plans by hand, and their settings as transformers' own configs and RoPE functions read them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ContextError, ModelDamagedError
from engine.rope.config import is_extended, native_tokens
from engine.rope.context import FACTORS, ContextPlan, plan_context, reach_tokens
from engine.rope.scaling import RopeScaling
from engine.rope.settings import vllm_overrides

SMOLLM2 = {
    "model_type": "llama",
    "max_position_embeddings": 8192,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
}
OLDER = {"max_position_embeddings": 8192, "rope_theta": 100000.0, "rope_scaling": None}


@pytest.mark.parametrize(
    ("needed", "expected"),
    [
        (1, ContextPlan(8192, 8192, None)),
        (8192, ContextPlan(8192, 8192, None)),
        (8193, ContextPlan(16384, 8192, RopeScaling("yarn", 2.0, 8192))),
        (16384, ContextPlan(16384, 8192, RopeScaling("yarn", 2.0, 8192))),
        (16385, ContextPlan(32768, 8192, RopeScaling("yarn", 4.0, 8192))),
        (32768, ContextPlan(32768, 8192, RopeScaling("yarn", 4.0, 8192))),
    ],
)
@pytest.mark.parametrize("config", [SMOLLM2, OLDER, {"text_config": OLDER}], ids=["today", "older", "nested"])
def test_plans_at_the_edges_of_8k(config: dict[str, Any], needed: int, expected: ContextPlan) -> None:
    assert plan_context(config, needed) == expected


def test_a_token_beyond_the_reach_is_refused_with_the_reach() -> None:
    with pytest.raises(
        ContextError, match=r"^32,769 tokens are beyond the model's reach of 32,768 \(trained for 8,192"
    ):
        plan_context(SMOLLM2, 32769)


@given(st.integers(1, 200_000), st.integers(1, 900_000))
def test_a_plan_holds_the_need_with_the_smallest_factor(native: int, needed: int) -> None:
    config = {"max_position_embeddings": native, "rope_theta": 10000.0}
    fitting = [factor for factor in (1.0, *FACTORS) if needed <= native * factor]
    if not fitting:
        with pytest.raises(ContextError):
            plan_context(config, needed)
        return
    plan = plan_context(config, needed)
    assert needed <= plan.max_model_tokens <= reach_tokens(config)
    assert plan.max_model_tokens == native * min(fitting)
    assert (plan.scaling.factor if plan.scaling else 1.0) == min(fitting)
    assert plan.native_tokens == native


@given(st.integers(1, 32768), st.integers(1, 32768))
def test_a_larger_need_never_gets_a_smaller_plan(first: int, second: int) -> None:
    less, more = sorted((first, second))
    assert plan_context(SMOLLM2, less).max_model_tokens <= plan_context(SMOLLM2, more).max_model_tokens


@pytest.mark.parametrize(
    ("rope", "reach"),
    [
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 500000.0}}, 8192),
        ({"rope_theta": 10000.0, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, 8192),
        # vLLM 0.32 multiplies, but for a family that declares the product; with dynamic it has no positions beyond
        ({"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.0}}, 16384),
        ({"rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "factor": 3.0}}, 8192),
        ({"model_type": "gemma3_text", "rope_scaling": {"type": "linear", "factor": 2.0}}, 8192),
    ],
)
def test_a_model_that_extends_itself_is_not_extended_twice(rope: dict[str, Any], reach: int) -> None:
    config = {"max_position_embeddings": 8192, **rope}
    assert is_extended(config)
    assert reach_tokens(config) == native_tokens(config) == reach
    with pytest.raises(ContextError):
        plan_context(config, reach + 1)


@pytest.mark.parametrize("rope", [{}, {"rope_scaling": "yarn"}, {"rope_theta": None}])
def test_a_model_without_rotary_positions_reaches_its_native_length(rope: dict[str, Any]) -> None:
    config = {"max_position_embeddings": 1024, **rope}
    assert not is_extended(config)
    assert reach_tokens(config) == 1024


@pytest.mark.parametrize("length", [None, 0, -1, "8192", 8192.0])
def test_a_config_without_a_length_is_refused_with_what_it_says(length: object) -> None:
    with pytest.raises(ModelDamagedError, match=f"max_position_embeddings = {length!r}"):
        native_tokens({"max_position_embeddings": length})


def test_without_a_scaling_nothing_is_overridden() -> None:
    assert vllm_overrides(SMOLLM2, plan_context(SMOLLM2, 8192)) == {}


@pytest.mark.parametrize("config", [SMOLLM2, OLDER], ids=["today", "older"])
def test_the_settings_of_a_scaling_name_every_parameter(config: dict[str, Any]) -> None:
    assert vllm_overrides(config, plan_context(config, 20000)) == {
        "max_position_embeddings": 32768,
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 8192,
            "rope_theta": 100000.0,
        },
    }


@pytest.mark.parametrize("factor", FACTORS)
def test_transformers_reads_the_settings_as_yarn(factor: float) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    plan = plan_context(SMOLLM2, int(8192 * factor))
    config = LlamaConfig(**{**SMOLLM2, **vllm_overrides(SMOLLM2, plan)})
    found, temperature = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    plain = [100000.0 ** (-2 * i / 64) for i in range(32)]
    # arXiv 2309.00071: the fastest dimension stays, the slowest is divided by the factor, 0.1 · ln s + 1 heats.
    assert float(found[0]) == pytest.approx(plain[0], rel=1e-6)
    assert float(found[-1]) == pytest.approx(plain[-1] / factor, rel=1e-6)
    assert temperature == pytest.approx(0.1 * math.log(factor) + 1)
    # Dimensions that turn more than 32 times in 8192 tokens stay: 8192 · f / 2π > 32, less one for rounding down.
    kept = sum(8192 * f / (2 * math.pi) > 32 for f in plain) - 1
    assert found[:kept].tolist() == pytest.approx(plain[:kept], rel=1e-5)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.5}},
        {"rope_theta": 10000.0, "partial_rotary_factor": 0.5},
        {"rope_theta": 10000.0, "rope_scaling": {"type": "default"}, "partial_rotary_factor": 0.5},
    ],
)
def test_a_model_that_turns_half_of_each_head_still_does_when_extended(rope: dict[str, Any]) -> None:
    config = {"max_position_embeddings": 8192, **rope}
    assert vllm_overrides(config, plan_context(config, 16384))["rope_parameters"] == {
        "rope_type": "yarn",
        "factor": 2.0,
        "original_max_position_embeddings": 8192,
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
    }


def test_settings_go_to_the_language_model_of_a_nested_config() -> None:
    flat = vllm_overrides(OLDER, plan_context(OLDER, 16384))
    nested = {"vision_config": {}, "text_config": OLDER}
    assert vllm_overrides(nested, plan_context(nested, 16384)) == {"text_config": flat}
