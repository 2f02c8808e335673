"""Bytes of a model's weights, by its files or, without them, by its config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelDamagedError, ModelUnsupportedError
from ..models.configs import read_json
from ..rope.config import text_config
from .cost import parameters

_MOST_BYTES = 2**53


def weight_bytes(config: Mapping[str, Any], folder: Path | None) -> int:
    """Bytes of a model's weights: what its index or its files say, else its parameters times the bits that its
    config names (16 where it names none). Raises ModelDamagedError where none of them tells."""
    if folder and (told := _indexed_bytes(folder / "model.safetensors.index.json")):
        return told
    # Some models bring the same weights a second time in a file of their maker's format.
    files = [file for file in folder.glob("*.safetensors") if "consolidated" not in file.name] if folder else []
    if files:
        return sum(file.stat().st_size for file in files)
    counted = parameters(config)
    if counted is None:
        raise ModelDamagedError(
            "the weights of this kind of model are known by its files alone", "name the folder that holds them"
        )
    return int(counted.total * _weight_bits(config) / 8)


def _indexed_bytes(index: Path) -> int | None:
    try:
        told = read_json(index)["metadata"]["total_size"]
    except (ModelDamagedError, ModelUnsupportedError, KeyError, TypeError):
        return None
    return int(told) if isinstance(told, int | float) and 0 < told < _MOST_BYTES else None


def _weight_bits(config: Mapping[str, Any]) -> float:
    """Bits of a weight by a config's quantization, 16 without one."""
    quantized = config.get("quantization_config") or text_config(config).get("quantization_config")
    if not isinstance(quantized, Mapping):
        return 16.0
    bits = quantized.get("bits")
    if isinstance(bits, int) and 0 < bits <= 16:
        return float(bits)
    return {"fp8": 8.0, "mxfp4": 4.25, "nvfp4": 4.5}.get(str(quantized.get("quant_method")), 16.0)
