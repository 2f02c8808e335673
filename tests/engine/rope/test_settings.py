"""Settings as those who read them understand them: transformers, vLLM's rotary layers, llama.cpp's flags by hand."""

from typing import Any

import numpy as np
import pytest

from engine.errors import RopeError
from engine.rope.config import rotary
from engine.rope.methods import Rotary, frequencies, temperature
from engine.rope.scaling import RopeScaling
from engine.rope.settings import hf_overrides, llama_cpp_arguments, vllm_arguments, vllm_settings

PLAIN = {"max_position_embeddings": 8192, "hidden_size": 256, "num_attention_heads": 4, "rope_theta": 100000.0}
LISTS = {"short_factor": tuple(1 + 0.01 * i for i in range(32)), "long_factor": tuple(1.0 + i for i in range(32))}
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
SCALINGS = [
    RopeScaling("linear", 4.0, 8192),
    RopeScaling("ntk", 4.0, 8192),
    RopeScaling("dynamic", 4.0, 8192),
    RopeScaling("yarn", 4.0, 8192, {"beta_fast": 16.0}),
    RopeScaling("longrope", 4.0, 8192, LISTS),
    RopeScaling("llama3", 4.0, 8192, LLAMA3),
]
KINDS = [scaling.kind for scaling in SCALINGS]


@pytest.mark.parametrize("scaling", SCALINGS, ids=KINDS)
def test_transformers_turns_by_the_settings_as_described(scaling: RopeScaling) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = LlamaConfig(**{**PLAIN, **hf_overrides(PLAIN, scaling)})
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        base = config.rope_parameters["rope_theta"]
        found, heat = [base ** (-2 * i / 64) for i in range(32)], 1.0
    else:
        tensor, heat = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=scaling.reach_tokens)
        found = tensor.tolist()
    np.testing.assert_allclose(found, frequencies(rotary(PLAIN), scaling), rtol=3e-6, atol=1e-6)
    assert heat == pytest.approx(temperature(scaling))


@pytest.mark.parametrize("scaling", SCALINGS, ids=KINDS)
def test_vllms_rotary_layers_turn_by_the_settings_as_described(scaling: RopeScaling) -> None:
    from vllm.config import ModelConfig, VllmConfig, set_current_vllm_config
    from vllm.model_executor.layers.rotary_embedding import get_rope

    overrides = vllm_settings(PLAIN, scaling)
    declared = overrides.get("max_position_embeddings", PLAIN["max_position_embeddings"])
    config = VllmConfig()
    config.model_config = ModelConfig.__new__(ModelConfig)
    config.model_config.max_model_len = scaling.reach_tokens
    with set_current_vllm_config(config):
        import torch

        layer = get_rope(64, declared, True, overrides["rope_parameters"], torch.float32)
    cache = getattr(layer, "cos_sin_cache", None)
    cache = layer.long_short_cos_sin_cache[8192:] if cache is None else cache
    assert len(cache) == scaling.reach_tokens or scaling.kind == "ntk"
    turns = frequencies(rotary(PLAIN), scaling)
    at = min(len(cache) - 1, 1000)
    expected = np.concatenate([np.cos(at * turns), np.sin(at * turns)]) * temperature(scaling)
    np.testing.assert_allclose(cache[at].numpy(), expected, atol=2e-4)  # an angle of 1,000 radians in float32
    assert not np.allclose(cache[at].numpy(), np.concatenate([np.cos(at * _plain()), np.sin(at * _plain())]), atol=0.05)


def _plain() -> Any:
    return Rotary(100000.0, 64).frequencies()


def test_vllms_arguments_by_hand() -> None:
    assert vllm_arguments(PLAIN, RopeScaling("yarn", 2.0, 8192)) == [
        "--hf-overrides",
        '{"max_position_embeddings": 16384, "rope_parameters": {"rope_type": "yarn", "factor": 2.0, '
        '"rope_theta": 100000.0, "original_max_position_embeddings": 8192}}',
        "--max-model-len",
        "16384",
    ]


def test_methods_that_multiply_the_length_themselves_keep_the_declared_one() -> None:
    for kind in ("linear", "dynamic"):
        overrides = hf_overrides(PLAIN, RopeScaling(kind, 4.0, 8192))
        assert overrides == {"rope_parameters": {"rope_type": kind, "factor": 4.0, "rope_theta": 100000.0}}


def test_vllms_dynamic_scaling_is_told_where_training_ended() -> None:
    assert vllm_settings(PLAIN, RopeScaling("dynamic", 4.0, 8192)) == {
        "max_position_embeddings": 32768,
        "rope_parameters": {
            "rope_type": "dynamic", "factor": 4.0, "rope_theta": 100000.0, "max_trained_positions": 8192,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scaling", "flags"),
    [
        (RopeScaling("linear", 4.0, 8192), "--ctx-size 32768 --rope-scaling linear --rope-scale 4"),
        # 100000 · 2^(64 / 62) = 204,522.4
        (RopeScaling("ntk", 2.0, 8192), "--ctx-size 16384 --rope-scaling none --rope-freq-base 204522.4"),
        (
            RopeScaling("yarn", 4.0, 8192),
            "--ctx-size 32768 --rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 8192",
        ),
        (
            # 1 + 0.1 · ln 4 = 1.138629 is llama.cpp's own; 1.138629 · 1.5 was asked for
            RopeScaling("yarn", 4.0, 8192, {"beta_fast": 16.0, "attention_factor": 1.5 * 1.1386294361119891}),
            "--ctx-size 32768 --rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 8192 --yarn-beta-fast 16"
            " --yarn-attn-factor 1.5",
        ),
    ],
    ids=["linear", "ntk", "yarn", "yarn with options"],
)
def test_llama_cpps_flags_by_hand(scaling: RopeScaling, flags: str) -> None:
    found = llama_cpp_arguments(PLAIN, scaling)
    for part, by_hand in zip(found, flags.split(), strict=True):
        assert part == by_hand or float(part) == pytest.approx(float(by_hand), rel=1e-6)


@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        (SCALINGS[4], "no flags for longrope: its factors are part of the GGUF file"),
        (SCALINGS[5], "no flags for llama3: its factors are part of the GGUF file"),
        (SCALINGS[2], "no flags for dynamic$"),
        (RopeScaling("yarn", 2.0, 8192, {"truncate": False}), "llama.cpp always rounds"),
    ],
)
def test_what_llama_cpp_cannot_be_told_is_refused(scaling: RopeScaling, said: str) -> None:
    with pytest.raises(RopeError, match=said) as caught:
        llama_cpp_arguments(PLAIN, scaling)
    assert caught.value.hint


def test_layers_that_turn_differently_get_no_settings() -> None:
    config = {**PLAIN, "rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {}}}
    with pytest.raises(RopeError, match="turn differently"):
        hf_overrides(config, SCALINGS[0])
