"""Float32 products with constant weights → products of eight-bit integers, in a model of OpenVINO.

Activations get one range for all tokens. Their channels are divided by factors first and the weights multiplied by the
same: "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models", 2022, arXiv
2211.10438. Deviations: products that share an input share its factors; factors are bounded and have a geometric mean of
1; ranges are asymmetric. On a processor without VNNI, weights use half of their range: 255 · 64 · 2 fits sixteen bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .processor import cpu_flags, openvino, sums_saturate

Floats = npt.NDArray[np.float32]

# How much of an activation's magnitude the weights take over. Tried on MiniLM: 0.5, 0.7 and 0.85; the best of five for
# each input, by the error of its products, was no better.
STRENGTH = 0.7
_BOUND = 100.0
_LEVELS = 256


@dataclass(slots=True)
class _Shared:
    """One input of products, and the products that read it: OpenVINO's nodes and their weights [out, in]."""

    source: Any
    products: list[Any] = field(default_factory=list)
    weights: list[Floats] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ChannelRange:
    """Least and greatest value of each channel of an input, [channels]."""

    low: Floats
    high: Floats


def quantise(model: Any, batches: Sequence[Mapping[str, npt.NDArray[np.int64]]]) -> int:
    """Changes the model in place; returns how many products it changed. `batches` are inputs like those to come."""
    shared = _inputs_of_products(model)
    ranges = _ranges(model, shared, batches)
    for item, found in zip(shared, ranges, strict=True):
        _replace(item, found)
    model.validate_nodes_and_infer_types()
    return sum(len(item.products) for item in shared)


def factors(found: ChannelRange, weights: Sequence[Floats]) -> Floats:
    """By what each channel is divided, [channels]; weights are [out, channels] each."""
    activation = np.maximum(np.maximum(np.abs(found.low), np.abs(found.high)), 1e-5)
    weight = np.maximum(np.abs(np.concatenate(weights)).max(axis=0), 1e-5)
    raw = activation**STRENGTH / weight ** (1 - STRENGTH)
    centred = raw / np.exp(np.log(raw).mean())
    bounded: Floats = np.clip(centred, 1 / _BOUND, _BOUND).astype(np.float32)
    return bounded


def bounds(low: float, high: float) -> tuple[float, float]:
    """The least range of 256 equal steps that holds both and in which 0 is a step."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return -1.0, 1.0 - 2 / _LEVELS
    steps = _LEVELS - 1
    zero = min(max(round(-low / (high - low) * steps), int(low < 0)), steps - int(high > 0))
    step = max(-low / zero if zero else 0.0, high / (steps - zero) if zero < steps else 0.0)
    return -zero * step, (steps - zero) * step


def _inputs_of_products(model: Any) -> list[_Shared]:
    found: dict[tuple[str, int], _Shared] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        weight = node.input_value(1).get_node()
        if weight.get_type_name() != "Constant" or len(weight.shape) != 2 or node.get_attributes()["transpose_a"]:
            continue
        matrix = np.asarray(weight.data, dtype=np.float32)
        source = node.input_value(0)
        key = (source.get_node().get_friendly_name(), source.get_index())
        item = found.setdefault(key, _Shared(source))
        item.products.append(node)
        item.weights.append(matrix if node.get_attributes()["transpose_b"] else matrix.T)
    return list(found.values())


def _ranges(
    model: Any, shared: Sequence[_Shared], batches: Sequence[Mapping[str, npt.NDArray[np.int64]]]
) -> list[ChannelRange]:
    """Of each input, over all tokens that are no padding."""
    names = [(item.source.get_node().get_friendly_name(), item.source.get_index()) for item in shared]
    watched = model.clone()
    before = len(watched.outputs)
    nodes = {node.get_friendly_name(): node for node in watched.get_ops()}
    watched.add_outputs([nodes[name].output(index) for name, index in names])
    compiled = openvino().Core().compile_model(watched, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    lows: list[list[Floats]] = [[] for _ in shared]
    highs: list[list[Floats]] = [[] for _ in shared]
    for batch in batches:
        results = compiled(batch)
        tokens = batch["attention_mask"].astype(bool)
        for i in range(len(shared)):
            values = np.asarray(results[before + i], dtype=np.float32)
            # After pooling there is one row a text instead of one a token.
            rows = values[tokens] if values.shape[:2] == tokens.shape else values.reshape(-1, values.shape[-1])
            lows[i].append(rows.min(axis=0))
            highs[i].append(rows.max(axis=0))
    return [ChannelRange(np.min(low, axis=0), np.max(high, axis=0)) for low, high in zip(lows, highs, strict=True)]


def _replace(item: _Shared, found: ChannelRange) -> None:
    """Puts the rounding before the products of one input, and rounded weights into them."""
    openvino()
    from openvino import opset13 as ops

    def steps(value: Any, low: Any, high: Any, levels: int) -> Any:
        ends = [ops.constant(np.asarray(end, dtype=np.float32)) for end in (low, high)]
        return ops.fake_quantize(value, *ends, *ends, levels)

    divisors = factors(found, item.weights)
    scaled = ops.multiply(item.source, ops.constant((1 / divisors).astype(np.float32)))
    low, high = bounds(float((found.low / divisors).min()), float((found.high / divisors).max()))
    activation = steps(scaled, low, high, _LEVELS)
    spare = np.float32(2 if sums_saturate(cpu_flags()) else 1)
    for product, weights in zip(item.products, item.weights, strict=True):
        matrix = (weights * divisors).astype(np.float32)
        greatest = spare * np.maximum(np.abs(matrix).max(axis=1, keepdims=True), np.float32(1e-9))
        new = ops.matmul(activation, steps(ops.constant(matrix), -greatest, greatest, _LEVELS - 1), False, True)
        new.set_friendly_name(product.get_friendly_name())
        for target in product.output(0).get_target_inputs():
            target.replace_source_output(new.output(0))
