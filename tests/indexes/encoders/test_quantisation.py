"""Rounding to eight bits: ranges and factors by hand, and a product beside NumPy's."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.encoders.processor import openvino
from indexes.encoders.quantisation import ChannelRange, bounds, factors, quantise

VALUES = st.floats(-1e4, 1e4, width=32)


@given(VALUES, VALUES)
def test_a_range_holds_both_ends_and_has_a_step_at_nought(one: float, other: float) -> None:
    low, high = bounds(min(one, other), max(one, other))
    span = high - low
    assert span > 0
    if (one, other) != (0, 0):
        assert low - 1e-5 * span <= min(one, other, 0)
        assert high + 1e-5 * span >= max(one, other, 0)
    step = span / 255
    assert abs(low / step - round(low / step)) < 1e-6


def test_a_range_wastes_less_than_a_step() -> None:
    # −1 … 3 in 255 steps: nought is nearest to step 64 (63.75), so a step is 3/191 to reach 3 and 1/64 to reach −1.
    assert bounds(-1, 3) == pytest.approx((-64 * 3 / 191, 3))
    assert bounds(2, 5) == (0, 5)


def test_factors_even_out_the_channels() -> None:
    found = ChannelRange(np.array([-8, -1], np.float32), np.array([2, 1], np.float32))
    weights = [np.array([[1, 0.5]], np.float32), np.array([[-0.25, 1]], np.float32)]
    # 8^0.7 / 1^0.3 and 1^0.7 / 1^0.3, by their geometric mean 8^0.35.
    assert factors(found, weights) == pytest.approx([8**0.35, 8**-0.35])


def test_silent_channels_stay_finite() -> None:
    nothing = np.zeros(2, np.float32)
    assert np.isfinite(factors(ChannelRange(nothing, nothing), [np.zeros((3, 2), np.float32)])).all()


def test_rounded_products_are_near_the_exact_ones() -> None:
    library = openvino()
    from openvino import opset13 as ops

    generator = np.random.default_rng(0)
    first = generator.normal(size=(16, 8)).astype(np.float32)  # [out, in]
    second = generator.normal(size=(16, 4)).astype(np.float32)  # [in, out]
    # A channel twenty times as loud as the others, as transformers have them.
    rows = generator.normal(size=(1, 40, 8)).astype(np.float32) * np.array([20, *[1] * 7], np.float32)
    source = ops.parameter([-1, -1, 8], np.float32, name="rows")
    mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
    hidden = ops.relu(ops.matmul(source, ops.constant(first), False, True))
    graph = library.Model(
        [ops.matmul(hidden, ops.constant(second), False, False), ops.convert(mask, "f32")], [source, mask]
    )
    for parameter, name in ((source, "rows"), (mask, "attention_mask")):
        parameter.output(0).get_tensor().set_names({name})
    inputs: dict[str, Any] = {"rows": rows, "attention_mask": np.ones((1, 40), np.int64)}
    assert quantise(graph, [inputs]) == 2
    found = library.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)[0]
    exact = np.maximum(rows @ first.T, 0) @ second
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert 0 < error < 0.02


def test_rounded_products_are_near_the_exact_ones_without_vnni() -> None:
    """OpenVINO reads the limit when it is loaded, so another process makes the same product."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "exact_ones and not vnni"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, "1 passed" in found.stdout) == (0, True), found.stdout
