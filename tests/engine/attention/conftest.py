"""Where the kernels run, with which random numbers, and how near to the oracle they must come."""

import importlib
import os
import random

import pytest
import torch

ON_GPU = torch.cuda.is_available()
if not ON_GPU:  # read when a kernel is defined, Triton's own too: before any import of Triton
    os.environ["TRITON_INTERPRET"] = "1"
    for module in ("decode", "prefill", "write"):
        importlib.import_module(f"engine.attention.{module}")
    from tests.engine.attention.interpreter import mend

    del os.environ["TRITON_INTERPRET"]

DEVICE = torch.device("cuda" if ON_GPU else "cpu")
needs_gpu = pytest.mark.skipif(not ON_GPU, reason="no GPU here")


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU the kernels' inner functions are interpreted too, and right."""
    if not ON_GPU:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        mend(monkeypatch)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Fresh random inputs each time; a failing test shows the seed, which KERNEL_TEST_SEED sets again."""
    number = int(os.environ.get("KERNEL_TEST_SEED", random.SystemRandom().randrange(2**31)))
    torch.manual_seed(number)
    print(f"KERNEL_TEST_SEED={number}")  # noqa: T201, pytest shows it beside a failure
