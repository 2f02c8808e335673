"""Triton's interpreter with its faults mended, so that it rounds and multiplies as a GPU does.

Triton 3.9 rounds to e4m3 without a carry (1.97 becomes 1.0), takes 256 for its largest number, cuts what lies below
2⁻⁶, cuts bf16 instead of rounding it, and multiplies bf16 matrices as if their bits were integers.
"""

from typing import Any

import numpy as np
import pytest
import torch
import triton.language as tl
from triton.runtime import interpreter

TORCH_TYPES = {
    tl.float32: torch.float32,
    tl.float16: torch.float16,
    tl.bfloat16: torch.bfloat16,
    tl.float8e4nv: torch.float8_e4m3fn,
}
_BITS = {1: (torch.uint8, np.uint8), 2: (torch.uint16, np.uint16), 4: (torch.uint32, np.uint32)}


def convert(numbers: Any, source: Any, target: Any) -> Any:
    """Numbers stored as `source` stored as `target`, to nearest even; e4m3 saturates at ±448 as hardware does."""
    torch_source, torch_target = TORCH_TYPES[source], TORCH_TYPES[target]
    bits = np.ascontiguousarray(numbers).reshape(-1).view(_BITS[torch_source.itemsize][1])
    values = torch.from_numpy(bits.copy()).view(torch_source).float()
    if torch_target == torch.float8_e4m3fn:
        values = values.clamp(-448.0, 448.0)
    stored = values.to(torch_target).view(_BITS[torch_target.itemsize][0])
    return stored.numpy().reshape(np.shape(numbers))


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts `convert`, and a product of bf16 matrices, into the interpreter for one test."""
    theirs, dot = interpreter._convert_float, interpreter.InterpreterBuilder.create_dot

    def converted(numbers: Any, source: Any, target: Any, rounding: Any) -> Any:
        if source in TORCH_TYPES and target in TORCH_TYPES:
            return convert(numbers, source, target)
        return theirs(numbers, source, target, rounding)

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar == tl.bfloat16:
            return interpreter.TensorHandle(convert(handle.data, tl.bfloat16, tl.float32).view(np.float32), tl.float32)
        return handle

    def product(self: Any, left: Any, right: Any, *rest: Any) -> Any:
        return dot(self, widened(left), widened(right), *rest)

    monkeypatch.setattr(interpreter, "_convert_float", converted)
    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", product)
