"""The mended interpreter computes what a GPU does, where the kernels depend on it."""

import pytest
import torch
import triton
import triton.language as tl

from tests.engine.attention.conftest import DEVICE, ON_GPU
from tests.engine.attention.interpreter import TORCH_TYPES, convert


@pytest.mark.parametrize("target", [tl.float8e4nv, tl.bfloat16, tl.float16])
def test_conversion_rounds_as_torch_does(target: tl.dtype) -> None:
    numbers = torch.cat([torch.randn(1000) * 10.0 ** torch.randint(-3, 3, (1000,)), torch.tensor([1.97, 0.001, 0.0])])
    numbers = numbers.clamp(-448, 448)
    kind = TORCH_TYPES[target]
    expected = numbers.to(kind).float()
    found = torch.from_numpy(convert(numbers.numpy(), tl.float32, target)).view(kind).float()
    assert torch.equal(found, expected)


def test_e4m3_saturates() -> None:
    found = torch.from_numpy(convert(torch.tensor([1e4, -1e4]).numpy(), tl.float32, tl.float8e4nv))
    assert found.view(torch.float8_e4m3fn).float().tolist() == [448.0, -448.0]


def test_kernels_run_where_they_are_said_to() -> None:
    from engine.attention import write

    assert isinstance(write._fill_pages, triton.runtime.JITFunction) == ON_GPU
    assert (DEVICE.type == "cuda") == ON_GPU
