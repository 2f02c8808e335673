"""Prefill for Hopper (sm_90), written in Gluon: the same result as `prefill`'s portable kernel, faster.

A persistent block has two warpgroups of 64 query rows each (three for heads of 64) and a producer warp that brings
pages by the tensor memory accelerator. The groups read the same page in shared memory, and while one is in its softmax
the matrix units work for another. `docs/kernels.md` tells how this shape was found.
"""

import torch
import triton

from .layout import E4M3, PageLayout
from .plan import PrefillPlan
from .tuning import is_hopper

ROWS = 64  # of one warpgroup
SLOTS = 3  # pages in flight
# Registers a thread by number of consumers: at launch, then of a consumer; it takes from the producer's share.
REGISTERS = {2: (168, 240), 3: (128, 160)}
PRODUCER_REGISTERS = 24
TRITON = ".".join(triton.__version__.split(".")[:2])
WRITTEN_FOR = "3.6"  # Gluon's interface still changes; this is the version that vLLM 0.32 brings
SHAPES = {(64, 64), (64, 128), (128, 64), (128, 128)}  # (head_dim, page)


def supports(layout: PageLayout, device: torch.device, softcap: float) -> bool:
    """Whether this kernel runs there: a Hopper GPU, heads of 64 or 128, no soft-cap, its Triton."""
    if device.type != "cuda" or softcap or (layout.head_dim, layout.page) not in SHAPES or TRITON != WRITTEN_FOR:
        return False
    return is_hopper(device)


def prefill(
    query: torch.Tensor,
    cache: torch.Tensor,
    tables: torch.Tensor,
    plan: PrefillPlan,
    scale: float,
    window: int,
    out: torch.Tensor,
) -> None:
    """Fills `out`; the arguments are those of `prefill.prefill`, which has checked them."""
    from triton.experimental.gluon.language import NVMMASharedLayout, float8e4nv
    from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

    from .hopper_kernel import prefill_kernel

    layout = plan.layout
    page, dim = layout.page, layout.head_dim
    numbers = cache.view(E4M3).flatten()
    key_box = NVMMASharedLayout.get_default_for([page, dim], float8e4nv)
    value_box = NVMMASharedLayout.get_default_for([dim, page], float8e4nv)
    # a run is a whole number of key rows and of value rows, so each is a plain matrix over all bytes
    keys = TensorDescriptor(numbers, [numbers.numel() // dim, dim], [dim, 1], [page, dim], key_box)
    values = TensorDescriptor(numbers, [numbers.numel() // page, page], [page, 1], [dim, page], value_box)
    items = len(plan.tiles) * layout.heads
    consumers = plan.rows // ROWS
    at_launch, taken = REGISTERS[consumers]
    processors = torch.cuda.get_device_properties(cache.device).multi_processor_count
    prefill_kernel[(min(items, processors),)](
        query, query.stride(0), query.stride(1), keys, values, cache.view(torch.bfloat16), tables, tables.stride(0),
        out, plan.tiles, items, scale * 1.4426950408889634, window,
        HEADS=layout.heads, GROUP=plan.group, N=page, D=dim, WINDOWED=window > 0,
        M=ROWS, SLOTS=SLOTS, CONSUMERS=consumers, TAKEN=taken, LEFT=PRODUCER_REGISTERS,
        num_warps=4, maxnreg=at_launch,
    )  # fmt: skip
