"""Sizes of the kernels: tables for Hopper, and for GPUs that are not here, what their compiler says."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from engine.attention.fit import HEAD_DIMS, PAGES
from engine.attention.layout import PageLayout
from engine.attention.tuning import DECODE, PREFILL, decode_choice, prefill_choice

SHAPES = {(head_dim, page) for head_dim in HEAD_DIMS for page in PAGES}
CUDA = torch.device("cuda")


def pretend(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], shared_bytes: int) -> None:
    """A GPU of this capability with 100 multiprocessors."""
    properties = SimpleNamespace(multi_processor_count=100, shared_memory_per_block_optin=shared_bytes)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)


def test_the_tables_have_every_shape() -> None:
    assert set(PREFILL) == set(DECODE) == SHAPES


def test_hopper_gets_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, (9, 0), 232_448)
    for head_dim, page in SHAPES:
        layout = PageLayout(1, head_dim, page)
        warps, stages, programs = DECODE[head_dim, page]
        assert prefill_choice(layout, CUDA) == PREFILL[head_dim, page]
        found = decode_choice(layout, CUDA)
        assert (found.warps, found.stages, found.resident) == (warps, stages, 100 * programs)


@pytest.mark.parametrize(("capability", "shared_bytes"), [((8, 9), 101_376), ((12, 0), 101_376)])
def test_little_shared_memory_means_one_page_in_flight(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], shared_bytes: int
) -> None:
    pretend(monkeypatch, capability, shared_bytes)
    assert prefill_choice(PageLayout(1, 128, 128), CUDA).stages == 1
    assert decode_choice(PageLayout(1, 128, 128), CUDA).stages == 1


def test_kernels_compile_for_ada_and_blackwell_and_fit_their_shared_memory() -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.attention.compiling", "89:128", "120:256", "100:256"],
        capture_output=True,
        text=True,
        check=False,
        env=surroundings,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert len(found) == 3
    for wanted in found.values():
        allowed = wanted.pop("allowed")
        assert set(wanted) == {"begin", "append", "fill", "prefill", "decode", "merge"}
        assert all(0 < size <= allowed for size in wanted.values()), (wanted, allowed)
