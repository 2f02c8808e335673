"""Decode: a few new tokens of each sequence over its whole context, split among the GPU's processors and merged.

All sizes that decide the launch come from shapes, none from what a tensor holds, so that a CUDA graph can replay it.
"""

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from ..errors import AttentionError
from .layout import PageLayout, check_device, check_vector
from .pages import check_query, check_reach, output_for, page_descriptors, quantise_query, read_pages, row_scales
from .plan import group_size
from .tuning import MOST_ROWS, chains, decode_choice


def decode(
    query: torch.Tensor,
    cache: torch.Tensor,
    layout: PageLayout,
    tables: torch.Tensor,
    context_lengths: torch.Tensor,
    scale: float,
    *,
    tokens: int = 1,
    window: int = 0,
    softcap: float = 0.0,
    splits: int | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention of `tokens` queries a sequence, [sequences · tokens, Hq, D], bf16 or float16; same shape and dtype.

    The queries are the last of each context and their keys and values are in the pages already. `tables` int32
    [sequences, pages], `context_lengths` int32 [sequences] on the same device; a context of 0 gives zeros. `window`
    and `softcap` as in `reference.attention`. `splits` parts of each context are read at once and merged in float32;
    by default as many as keep the GPU busy. Raises AttentionError for what does not fit.
    """
    layout.check(cache)
    check_device(cache.device)
    sequences, query_heads = context_lengths.shape[0], query.shape[1]
    group = group_size(layout, query_heads)
    check_query(query, cache, tables, (sequences * tokens, query_heads, layout.head_dim), sequences)
    check_vector("context_lengths", context_lengths, torch.int32, sequences, cache.device)
    check_reach(window, softcap)
    if tokens < 1 or tokens * group > MOST_ROWS[layout.head_dim]:
        raise AttentionError(
            f"{tokens} query tokens of {group} heads a KV head",
            f"decode takes 1 to {MOST_ROWS[layout.head_dim]} of both multiplied; longer queries are a prefill",
        )
    if splits is not None and splits < 1:
        raise AttentionError(f"{splits} splits", "at least one, or None for as many as keep the GPU busy")
    out = output_for(query, out)
    if not sequences:
        return out
    choice = decode_choice(layout, cache.device)
    if splits is None:
        splits = choice.splits(sequences * layout.heads, tables.shape[1])
    rows = max(16, triton.next_power_of_2(tokens * group))
    parts = out
    states = out
    if splits > 1:
        shape = (sequences, layout.heads, splits, tokens * group)
        parts = torch.empty(*shape, layout.head_dim, dtype=torch.float32, device=query.device)
        states = torch.empty(*shape, 2, dtype=torch.float32, device=query.device)
    keys, values = page_descriptors(cache, layout)
    width = triton.next_power_of_2(layout.head_dim)
    chained = chains(cache.device)
    _decode[(splits, layout.heads, sequences)](
        query, query.stride(0), query.stride(1), keys, values, cache.view(torch.bfloat16), tables, tables.stride(0),
        context_lengths, parts, states, splits, scale, window, softcap,
        TOKENS=tokens, HEADS=layout.heads, GROUP=group, PAGE=layout.page, DIM=layout.head_dim, WIDTH=width,
        RUN=layout.run_bytes, ROWS=rows, WHOLE=splits == 1, WINDOWED=window > 0, CAPPED=softcap > 0,
        STAGES=choice.stages, CHAINED=chained, num_warps=choice.warps, launch_pdl=chained,
    )  # fmt: skip
    if splits > 1:
        padded = triton.next_power_of_2(splits)
        _merge[(tokens * group, layout.heads, sequences)](
            parts, states, context_lengths, out, splits, window, HEADS=layout.heads, GROUP=group, TOKENS=tokens,
            PAGE=layout.page, DIM=layout.head_dim, WIDTH=width, PADDED=padded, WINDOWED=window > 0,
            CHAINED=chained, num_warps=2 if padded * width <= 64 * 128 else 4, launch_pdl=chained,
        )  # fmt: skip
    return out


@triton.jit(do_not_specialize=["splits"])
def _decode(
    queries, token_stride, head_stride, keys, values, centres, tables, table_stride, context_lengths, parts, states,
    splits, scale, window, softcap,
    TOKENS: tl.constexpr, HEADS: tl.constexpr, GROUP: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr,
    WIDTH: tl.constexpr, RUN: tl.constexpr, ROWS: tl.constexpr, WHOLE: tl.constexpr, WINDOWED: tl.constexpr,
    CAPPED: tl.constexpr, STAGES: tl.constexpr, CHAINED: tl.constexpr,
):  # fmt: skip
    """One part of one sequence's context for one KV head; with one part, the result itself."""
    if CHAINED:  # launched while the kernel before still runs; waits here for all that it wrote
        gdc_wait()
        gdc_launch_dependents()
    part, kv_head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    context = tl.load(context_lengths + sequence)
    row, dims = tl.arange(0, ROWS), tl.arange(0, WIDTH)
    head = (kv_head * GROUP + row % GROUP).to(tl.int64)
    token = sequence * TOKENS + row // GROUP
    mask = (row < TOKENS * GROUP)[:, None] & (dims < DIM)[None, :]
    at = (token * token_stride + head * head_stride)[:, None] + dims[None, :]
    query = tl.load(queries + at, mask=mask, other=0.0)
    query8, query_scale = quantise_query(query)
    row_scale, centre_scale = row_scales(query_scale, scale, softcap, CAPPED)
    position = context - TOKENS + row // GROUP
    start, pages, share = _shares(context, splits, window, TOKENS, PAGE, WINDOWED)
    first = start + part * share
    accumulator, total, highest = read_pages(
        tl.zeros([ROWS, WIDTH], tl.float32), tl.zeros([ROWS], tl.float32), tl.full([ROWS], -1.0e30, tl.float32),
        query, query8, row_scale, centre_scale, keys, values, centres, tables + sequence * table_stride,
        kv_head, first, tl.minimum(first + share, pages), position, window, softcap,
        HEADS, PAGE, DIM, WIDTH, RUN, ROWS, 16, True, WINDOWED, CAPPED, STAGES,
    )  # fmt: skip
    if WHOLE:
        result = accumulator / tl.where(total > 0.0, total, 1.0)[:, None]
        to = (token * (HEADS * GROUP) + head)[:, None] * DIM + dims[None, :]
        tl.store(parts + to, result.to(query.dtype), mask=mask)
    elif first < pages:  # the merge reads no empty part
        line = ((sequence * HEADS + kv_head) * splits + part) * (TOKENS * GROUP) + row
        tl.store(parts + line[:, None] * DIM + dims[None, :], accumulator, mask=mask)
        tl.store(states + line * 2, highest, mask=row < TOKENS * GROUP)
        tl.store(states + line * 2 + 1, total, mask=row < TOKENS * GROUP)


@triton.jit
def _shares(context, splits, window, TOKENS: tl.constexpr, PAGE: tl.constexpr, WINDOWED: tl.constexpr):
    """(first page that is read, pages of the context, pages of each part): parts from the left, the last ones empty."""
    start = 0
    if WINDOWED:
        start = tl.maximum(context - TOKENS - window + 1, 0) // PAGE
    pages = tl.cdiv(context, PAGE)
    return start, pages, tl.cdiv(pages - start, splits)


@triton.jit(do_not_specialize=["splits"])
def _merge(
    parts, states, context_lengths, out, splits, window,
    HEADS: tl.constexpr, GROUP: tl.constexpr, TOKENS: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr,
    WIDTH: tl.constexpr, PADDED: tl.constexpr, WINDOWED: tl.constexpr, CHAINED: tl.constexpr,
):  # fmt: skip
    """The parts of one query and head as one: each weighs 2 to its highest logit."""
    if CHAINED:
        gdc_wait()
    row, kv_head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    part, dims = tl.arange(0, PADDED), tl.arange(0, WIDTH)
    line = ((sequence * HEADS + kv_head) * splits + part) * (TOKENS * GROUP) + row
    start, pages, share = _shares(tl.load(context_lengths + sequence), splits, window, TOKENS, PAGE, WINDOWED)
    there = (part < splits) & (start + part * share < pages)
    highest = tl.load(states + line * 2, mask=there, other=-1.0e30)
    total = tl.load(states + line * 2 + 1, mask=there, other=0.0)
    weight = tl.exp2(highest - tl.max(highest, 0))
    sums = tl.load(parts + line[:, None] * DIM + dims[None, :], mask=there[:, None] & (dims < DIM)[None, :], other=0.0)
    total = tl.sum(total * weight, 0)
    result = tl.sum(sums * weight[:, None], 0) / tl.where(total > 0.0, total, 1.0)
    to = ((sequence * TOKENS + row // GROUP) * (HEADS * GROUP) + kv_head * GROUP + row % GROUP) * DIM + dims
    tl.store(out + to, result.to(out.dtype.element_ty), mask=dims < DIM)
