"""Prefill: causal attention of a batch's new tokens over paged context, in Triton for any GPU from sm_89 on.

Where the device and the shapes allow, `hopper` does the same with its own scheduling, and faster.
"""

import torch
import triton
import triton.language as tl

from ..errors import AttentionError
from . import hopper
from .layout import check_device
from .pages import check_query, check_reach, output_for, page_descriptors, quantise_query, read_pages, row_scales
from .plan import PrefillPlan
from .tuning import prefill_choice

KERNELS = ("auto", "triton", "hopper")


def prefill(
    query: torch.Tensor,
    cache: torch.Tensor,
    tables: torch.Tensor,
    plan: PrefillPlan,
    scale: float,
    *,
    window: int = 0,
    softcap: float = 0.0,
    out: torch.Tensor | None = None,
    kernel: str = "auto",
) -> torch.Tensor:
    """Attention of the plan's queries [tokens, Hq, D], bf16 or float16, over their pages; same shape and dtype.

    The queries' own keys and values are in the pages already. `tables` int32 [sequences, pages] names the blocks of
    each sequence in order. `window` (tokens, 0: none) and `softcap` (0: none) as in `reference.attention`. `kernel` is
    "auto", "triton" or "hopper". Raises AttentionError for what does not fit.
    """
    layout = plan.layout
    layout.check(cache)
    check_device(cache.device)
    check_query(query, cache, tables, (plan.tokens, plan.query_heads, layout.head_dim), plan.sequences)
    if tables.shape[1] < plan.pages:
        raise AttentionError(f"block tables of {tables.shape[1]} pages, a context of {plan.pages}", "give all blocks")
    out = output_for(query, out)
    check_reach(window, softcap)
    able = hopper.supports(layout, cache.device, softcap)
    if kernel not in KERNELS or (kernel == "hopper" and not able):
        raise AttentionError(f"no kernel {kernel!r} for this device and shape", 'use kernel="auto"')
    if not len(plan.tiles):
        return out
    if able and kernel != "triton":
        hopper.prefill(query, cache, tables, plan, scale, window, out)
        return out
    choice = prefill_choice(layout, cache.device)
    keys, values = page_descriptors(cache, layout)
    parts = plan.rows // choice.rows
    _prefill[(len(plan.tiles) * layout.heads * parts,)](
        query, query.stride(0), query.stride(1), keys, values, cache.view(torch.bfloat16), tables, tables.stride(0),
        plan.tiles, out, scale, window, softcap,
        HEADS=layout.heads, GROUP=plan.group, PAGE=layout.page, DIM=layout.head_dim,
        WIDTH=triton.next_power_of_2(layout.head_dim), RUN=layout.run_bytes, ROWS=choice.rows, PARTS=parts,
        WINDOWED=window > 0, CAPPED=softcap > 0, STAGES=choice.stages, num_warps=choice.warps,
    )  # fmt: skip
    return out


@triton.jit
def _prefill(
    queries, token_stride, head_stride, keys, values, centres, tables, table_stride, tiles, out, scale, window, softcap,
    HEADS: tl.constexpr, GROUP: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr,
    RUN: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr, WINDOWED: tl.constexpr, CAPPED: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """One program: ROWS rows of one tile and one KV head over all pages that they see."""
    item = tl.program_id(0) // PARTS
    kv_head = item % HEADS
    tile = tiles + item // HEADS * 5
    sequence, first_row, first_token = tl.load(tile), tl.load(tile + 1), tl.load(tile + 2)
    count, context = tl.load(tile + 3), tl.load(tile + 4)
    first_row += tl.program_id(0) % PARTS * ROWS
    if first_row < count * GROUP:
        row = first_row + tl.arange(0, ROWS)
        dims = tl.arange(0, WIDTH)
        head = (kv_head * GROUP + row % GROUP).to(tl.int64)
        mask = (row < count * GROUP)[:, None] & (dims < DIM)[None, :]
        token = (first_token + row // GROUP).to(tl.int64)
        at = (token * token_stride + head * head_stride)[:, None] + dims[None, :]
        query = tl.load(queries + at, mask=mask, other=0.0)
        query8, query_scale = quantise_query(query)
        row_scale, centre_scale = row_scales(query_scale, scale, softcap, CAPPED)
        position = context - count + row // GROUP
        lowest, last = context - count + first_row // GROUP, context - count + (first_row + ROWS - 1) // GROUP
        stop = tl.minimum(last, context - 1) // PAGE + 1
        whole = (lowest + 1) // PAGE  # pages before this one are seen whole by all rows, unless a window cuts them
        start = 0
        accumulator = tl.zeros([ROWS, WIDTH], tl.float32)
        total = tl.zeros([ROWS], tl.float32)
        highest = tl.full([ROWS], -1.0e30, tl.float32)
        table = tables + sequence.to(tl.int64) * table_stride
        if WINDOWED:
            start = tl.maximum(lowest - window + 1, 0) // PAGE
            cut = tl.minimum(tl.maximum(tl.maximum(last - window + 1, 0) + PAGE - 1, 0) // PAGE, whole)
            cut = tl.maximum(cut, start)
            whole = tl.maximum(whole, cut)
            accumulator, total, highest = read_pages(
                accumulator, total, highest, query, query8, row_scale, centre_scale, keys, values, centres, table,
                kv_head, start, cut, position, window, softcap,
                HEADS, PAGE, DIM, WIDTH, RUN, ROWS, 16, True, True, CAPPED, STAGES,
            )  # fmt: skip
            start = cut
        accumulator, total, highest = read_pages(
            accumulator, total, highest, query, query8, row_scale, centre_scale, keys, values, centres, table,
            kv_head, start, whole, position, window, softcap,
            HEADS, PAGE, DIM, WIDTH, RUN, ROWS, 16, False, False, CAPPED, STAGES,
        )  # fmt: skip
        accumulator, total, highest = read_pages(
            accumulator, total, highest, query, query8, row_scale, centre_scale, keys, values, centres, table,
            kv_head, whole, stop, position, window, softcap,
            HEADS, PAGE, DIM, WIDTH, RUN, ROWS, 16, True, WINDOWED, CAPPED, STAGES,
        )  # fmt: skip
        result = accumulator / tl.where(total > 0.0, total, 1.0)[:, None]
        to = (token * (HEADS * GROUP) + head)[:, None] * DIM + dims[None, :]
        tl.store(out + to, result.to(query.dtype), mask=mask)
