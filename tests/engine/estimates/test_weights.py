"""Bytes of weights by files, index and config."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModelDamagedError
from engine.estimates.weights import weight_bytes

# q, k, v, o 64 · 64 each; three products of 64 · 64; 100 · 64 of embedding, tied: 35,072 numbers of 2 bytes
TINY = {
    "num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 64, "intermediate_size": 64, "vocab_size": 100,
    "tie_word_embeddings": True,
}  # fmt: skip


def test_the_weights_are_those_of_the_files_where_there_are_any(tmp_path: Path) -> None:
    assert weight_bytes(TINY, tmp_path) == 70_144
    (tmp_path / "a.safetensors").write_bytes(b"x" * 100)
    (tmp_path / "b.safetensors").write_bytes(b"x" * 23)
    (tmp_path / "consolidated.safetensors").write_bytes(b"x" * 123)  # the same once more
    assert weight_bytes(TINY, tmp_path) == 123
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"metadata": {"total_size": 124}}', encoding="utf-8")
    assert weight_bytes(TINY, tmp_path) == 124
    index.write_text('{"metadata": {}}', encoding="utf-8")
    assert weight_bytes(TINY, tmp_path) == 123


@pytest.mark.parametrize(
    ("quantized", "expected"),
    [
        (None, 70_144),
        ({"quant_method": "gptq", "bits": 4}, 17_536),
        ({"quant_method": "fp8"}, 35_072),
        ({"quant_method": "mxfp4"}, 18_632),  # 35,072 · 4.25 / 8
        ({"quant_method": "new"}, 70_144),
    ],
)
def test_without_files_the_weights_have_the_bits_that_the_config_names(quantized: Any, expected: int) -> None:
    assert weight_bytes({**TINY, "quantization_config": quantized}, None) == expected


def test_a_model_of_unknown_parameters_needs_its_files(tmp_path: Path) -> None:
    config = {**TINY, "layer_types": ["mamba"], "mamba_expand": 2, "mamba_d_state": 16, "mamba_d_conv": 4}
    with pytest.raises(ModelDamagedError, match="known by its files alone"):
        weight_bytes(config, tmp_path)
