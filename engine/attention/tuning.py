"""Block sizes of the kernels by head size, page and architecture; `docs/kernels.md` has their measurements.

The tables were measured on an H200 and hold for Hopper (sm_90). Other GPUs from sm_89 on get sizes that fit their
shared memory, found by compiling for them; they compute the same, and nobody has tuned them.
"""

from dataclasses import dataclass

import torch

from .layout import PageLayout

SMALL_SHARED_MEMORY = 128 * 1024  # bytes a block may have; Ada and consumer Blackwell stay under this


@dataclass(frozen=True)
class PrefillChoice:
    """Rows of queries a program takes, its warps, and pages in flight."""

    rows: int
    warps: int
    stages: int


@dataclass(frozen=True)
class DecodeChoice:
    """Warps of a program, pages in flight, and programs that the GPU holds at once."""

    warps: int
    stages: int
    resident: int

    def splits(self, pairs: int, pages: int) -> int:
        """Parts of each context for `pairs` (sequence, KV head) pairs and at most `pages` pages."""
        return max(1, min(self.resident // pairs, pages, MOST_SPLITS))


MOST_SPLITS = 128

# (head_dim, page) of the portable prefill kernel
PREFILL = {
    (64, 64): PrefillChoice(64, 4, 2),
    (64, 128): PrefillChoice(64, 4, 2),
    (96, 64): PrefillChoice(64, 4, 2),
    (96, 128): PrefillChoice(64, 4, 2),
    (128, 64): PrefillChoice(64, 4, 2),
    (128, 128): PrefillChoice(64, 4, 2),
    (256, 64): PrefillChoice(64, 4, 2),
    (256, 128): PrefillChoice(128, 8, 2),
}
# (head_dim, page): warps, pages in flight, programs a multiprocessor
DECODE = {
    (64, 64): (2, 3, 8),
    (64, 128): (4, 2, 4),
    (96, 64): (2, 2, 4),
    (96, 128): (2, 2, 4),
    (128, 64): (2, 3, 4),
    (128, 128): (2, 2, 4),
    (256, 64): (4, 2, 2),
    (256, 128): (4, 2, 2),
}

# Rows that a decode program takes, query tokens times query heads of one KV head: what fits the least shared memory.
MOST_ROWS = {64: 128, 96: 128, 128: 128, 256: 64}


def prefill_choice(layout: PageLayout, device: torch.device) -> PrefillChoice:
    """Sizes for the portable prefill kernel."""
    if device.type != "cuda" or is_hopper(device):
        return PREFILL[layout.head_dim, layout.page]
    return untuned_prefill(layout, shared_memory(device))


def untuned_prefill(layout: PageLayout, shared_bytes: int) -> PrefillChoice:
    """Sizes for a GPU that is no Hopper, whose blocks have this much shared memory."""
    large = layout.head_dim > 128
    return PrefillChoice(64, 8 if large else 4, 1 if large or shared_bytes < SMALL_SHARED_MEMORY else 2)


def decode_choice(layout: PageLayout, device: torch.device) -> DecodeChoice:
    """Sizes for the decode kernel; the interpreter counts as a GPU that holds 8 programs."""
    warps, stages, resident = DECODE[layout.head_dim, layout.page]
    if device.type != "cuda":
        return DecodeChoice(warps, stages, 8)
    processors: int = torch.cuda.get_device_properties(device).multi_processor_count
    return DecodeChoice(warps, decode_stages(layout, shared_memory(device)), resident * processors)


def decode_stages(layout: PageLayout, shared_bytes: int) -> int:
    """Pages in flight in decode where a block has this much shared memory."""
    return 1 if shared_bytes < SMALL_SHARED_MEMORY else DECODE[layout.head_dim, layout.page][1]


def is_hopper(device: torch.device) -> bool:
    """Whether this GPU is of the architecture that the tables were measured on."""
    return bool(torch.cuda.get_device_capability(device) == (9, 0))


def chains(device: torch.device) -> bool:
    """Whether a kernel may be launched before the one that it waits for has ended (programmatic dependent launch)."""
    return device.type == "cuda" and bool(torch.cuda.get_device_capability(device) >= (9, 0))


def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that a block of this GPU may have."""
    return int(torch.cuda.get_device_properties(device).shared_memory_per_block_optin)
