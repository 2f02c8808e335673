"""What configs of real families say of positions, and what is said of a broken one."""

from typing import Any

import pytest

from engine.errors import ModelDamagedError, ModelUnsupportedError, RopeError
from engine.rope.config import DEFAULT_BASES, head_dim, is_extended, own_scaling, rope_theta, rotary
from engine.rope.context import plan_context, reach_tokens
from engine.rope.methods import Rotary
from engine.rope.scaling import RopeScaling

LLAMA = {
    "max_position_embeddings": 131072,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
}
DEEPSEEK = {
    "max_position_embeddings": 163840,
    "hidden_size": 5120,
    "num_attention_heads": 128,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "rope_theta": 10000.0,
    "rope_scaling": {
        "type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707,
        "original_max_position_embeddings": 4096,
    },
}  # fmt: skip
PHI = {
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096,
    "hidden_size": 3072,
    "num_attention_heads": 32,
    "partial_rotary_factor": 0.75,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "su", "short_factor": [1.0, 1.5], "long_factor": [2.0, 64]},
}
GEMMA = {
    "max_position_embeddings": 131072,
    "head_dim": 256,
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    },
}
PLAIN = {"max_position_embeddings": 8192, "hidden_size": 576, "num_attention_heads": 9, "rope_theta": 100000.0}


@pytest.mark.parametrize(
    ("config", "turns", "scaling"),
    [
        (PLAIN, Rotary(100000.0, 64), None),
        ({"vision_config": {}, "text_config": PLAIN}, Rotary(100000.0, 64), None),
        ({**PLAIN, "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]}}, Rotary(100000.0, 64), None),
        (
            LLAMA,
            Rotary(500000.0, 128),
            RopeScaling("llama3", 8.0, 8192, {"low_freq_factor": 1.0, "high_freq_factor": 4.0}),
        ),
        (
            DEEPSEEK,  # latent attention: only the rope part of a head turns
            Rotary(10000.0, 64),
            RopeScaling(
                "yarn", 40.0, 4096, {"beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}
            ),
        ),
        (
            PHI,  # 96 · 0.75 = 72 numbers turn; 131072 / 4096 = 32
            Rotary(10000.0, 72),
            RopeScaling("longrope", 32.0, 4096, {"short_factor": (1.0, 1.5), "long_factor": (2.0, 64)}),
        ),
        (GEMMA, Rotary(1000000.0, 256), RopeScaling("linear", 8.0, 131072)),
    ],
    ids=["plain", "nested", "mrope", "llama3", "latent", "longrope", "layered"],
)
def test_positions_of_real_families(config: dict[str, Any], turns: Rotary, scaling: RopeScaling | None) -> None:
    assert rotary(config) == turns
    assert own_scaling(config) == scaling
    assert is_extended(config) is (scaling is not None)
    if scaling:
        assert reach_tokens(config) == config["max_position_embeddings"]


def test_kinds_of_layers_that_turn_differently_are_not_stretched() -> None:
    plain = {"rope_type": "default", "rope_theta": 10000.0}
    config = {**GEMMA, "rope_parameters": {"full_attention": plain, "sliding_attention": plain}}
    assert own_scaling(config) is None
    assert reach_tokens(config) == 131072
    assert plan_context(config, 131072).scaling is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rope_theta": None}, "no rope_theta"),
        ({"rope_theta": 1.0}, "rope_theta = 1, which must be over 1"),
        ({"partial_rotary_factor": 0}, "partial_rotary_factor = 0"),
        ({"partial_rotary_factor": 1.5}, "partial_rotary_factor = 1.5"),
        ({"head_dim": 65}, "makes 65 numbers of a head turn"),
        ({"hidden_size": 577}, "hidden_size = 577, which 9 attention heads do not divide"),
        ({"hidden_size": None}, "hidden_size = None"),
        ({"num_attention_heads": True}, "num_attention_heads = True"),
    ],
)
def test_sizes_that_contradict_each_other_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelDamagedError, match=said) as caught:
        rotary({**PLAIN, **change})
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rope", "said"),
    [
        ({"rope_type": "fourier"}, "rope_type 'fourier', which fathom does not know"),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 9000}, r"= 9000 beside .* = 8,192"),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": "4096"}, "= '4096' beside"),
        ({"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 1024}, "8,192 tokens, and its YaRN reach"),
        ({"type": "linear", "factor": "4"}, "a RoPE factor of '4'"),
    ],
)
def test_a_scaling_that_contradicts_its_config_is_named(rope: dict[str, Any], said: str) -> None:
    unknown = "not know" in said
    with pytest.raises(ModelUnsupportedError if unknown else ModelDamagedError, match=said) as caught:
        own_scaling({**PLAIN, "rope_scaling": rope})
    assert caught.value.hint


def test_a_factor_under_one_in_a_config_is_refused() -> None:
    with pytest.raises(RopeError, match=r"by 0\.5 does not stretch"):
        own_scaling({**PLAIN, "rope_scaling": {"type": "linear", "factor": 0.5}})


def test_a_null_factor_is_the_declared_length_over_the_original() -> None:
    rope = {"type": "yarn", "factor": None, "original_max_position_embeddings": 2048}
    assert own_scaling({**PLAIN, "rope_scaling": rope}) == RopeScaling("yarn", 4.0, 2048)


def test_a_head_size_of_its_own_comes_before_the_division() -> None:
    assert head_dim({"head_dim": 128, "hidden_size": 1000, "num_attention_heads": 16}) == 128


@pytest.mark.parametrize("family", sorted(DEFAULT_BASES))
def test_a_config_that_names_no_base_has_that_of_its_family(family: str) -> None:
    from transformers import AutoConfig

    theirs = AutoConfig.for_model(family).rope_parameters
    assert rope_theta({"model_type": family}) == theirs["rope_theta"]
    assert theirs.get("partial_rotary_factor", 1.0) == 1.0
    assert rope_theta({"model_type": family, "rope_theta": 7e6}) == 7e6
    assert rope_theta({"model_type": family, "rope_theta": None}) is None
    assert rope_theta({"model_type": "gpt2"}) is None
