"""Block sizes of the kernels by head size, page and architecture; `docs/kernels.md` has their measurements."""

from dataclasses import dataclass

import torch

from .layout import PageLayout


@dataclass(frozen=True)
class Choice:
    """Rows of queries a program takes, its warps, and pages in flight."""

    rows: int
    warps: int
    stages: int


# (head_dim, page): measured on an H200. Any GPU from sm_89 on runs them; another may want other numbers.
PREFILL = {
    (64, 64): Choice(64, 4, 3),
    (64, 128): Choice(64, 4, 2),
    (96, 64): Choice(64, 4, 2),
    (96, 128): Choice(64, 4, 2),
    (128, 64): Choice(64, 4, 2),
    (128, 128): Choice(64, 4, 2),
    (256, 64): Choice(64, 8, 2),
    (256, 128): Choice(64, 8, 2),
}
SMALL_SHARED_MEMORY = 128 * 1024  # bytes a block; Ada and consumer Blackwell have less


def prefill_choice(layout: PageLayout, device: torch.device) -> Choice:
    """Sizes for the portable prefill kernel; fewer stages where shared memory is small."""
    choice = PREFILL[layout.head_dim, layout.page]
    if device.type == "cuda":
        room = torch.cuda.get_device_properties(device).shared_memory_per_block_optin
        if room < SMALL_SHARED_MEMORY:
            return Choice(choice.rows, choice.warps, 1)
    return choice


@dataclass(frozen=True)
class DecodeChoice:
    """Warps of a program, pages in flight, programs that the GPU holds at once."""

    warps: int
    stages: int
    resident: int

    def splits(self, pairs: int, pages: int) -> int:
        """Parts of each context for `pairs` (sequence, KV head) pairs and at most `pages` pages."""
        return max(1, min(self.resident // pairs, pages, MOST_SPLITS))


MOST_SPLITS = 64
DECODE_STAGES = {64: 4, 96: 3, 128: 3, 256: 2}


def decode_choice(layout: PageLayout, device: torch.device) -> DecodeChoice:
    """Sizes for the decode kernel."""
    stages = DECODE_STAGES[layout.head_dim]
    if device.type != "cuda":
        return DecodeChoice(4, stages, 8)
    properties = torch.cuda.get_device_properties(device)
    if properties.shared_memory_per_block_optin < SMALL_SHARED_MEMORY:
        stages = 2
    return DecodeChoice(4, stages, 2 * properties.multi_processor_count)
