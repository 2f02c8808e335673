"""What prefill and decode share: checks, descriptors of pages, and reading pages with an online softmax."""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from ..errors import AttentionError
from .layout import E4M3, PageLayout


def check_query(
    query: torch.Tensor, cache: torch.Tensor, tables: torch.Tensor, shape: tuple[int, int, int], sequences: int
) -> None:
    """Raises AttentionError unless queries and block tables have the shapes, dtypes and device that they must."""
    if tuple(query.shape) != shape or query.dtype not in (torch.bfloat16, torch.float16) or query.stride(-1) != 1:
        raise AttentionError(
            f"queries are {query.dtype} {list(query.shape)} with strides {list(query.stride())}",
            f"expected bfloat16 or float16 {list(shape)} whose last stride is 1",
        )
    if tables.dtype != torch.int32 or tables.dim() != 2 or tables.shape[0] < sequences or tables.stride(-1) != 1:
        raise AttentionError(
            f"block tables are {tables.dtype} {list(tables.shape)}", f"expected int32 [{sequences}, pages]"
        )
    if not query.device == tables.device == cache.device:
        raise AttentionError(
            f"queries on {query.device}, block tables on {tables.device}, cache on {cache.device}", "one device for all"
        )


def check_reach(window: int, softcap: float) -> None:
    """Raises AttentionError for a negative window or soft-cap; 0 means none."""
    if window < 0 or softcap < 0:
        raise AttentionError(f"window {window}, softcap {softcap}", "0 means none")


def output_for(query: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    """`out`, or a new tensor like the queries. Raises AttentionError for another shape, dtype or layout."""
    if out is None:
        return torch.empty_like(query, memory_format=torch.contiguous_format)
    if out.shape != query.shape or out.dtype != query.dtype or out.device != query.device or not out.is_contiguous():
        raise AttentionError(f"out is {out.dtype} {list(out.shape)}", "a contiguous tensor like the queries")
    return out


def page_descriptors(cache: torch.Tensor, layout: PageLayout) -> tuple[TensorDescriptor, TensorDescriptor]:
    """Descriptors of keys [blocks · heads, page, D] and values [blocks · heads, D, page], one run a block.

    A head of 96 is read as 128 numbers; those past its end arrive as zeros.
    """
    numbers = cache.view(E4M3).flatten()
    runs, page, dim, run = cache.shape[0] * layout.heads, layout.page, layout.head_dim, layout.run_bytes
    width = triton.next_power_of_2(dim)
    keys = TensorDescriptor(numbers, [runs, page, dim], [run, dim, 1], [1, page, width])
    values = TensorDescriptor(numbers[layout.value_offset :], [runs, dim, page], [run, page, 1], [1, width, page])
    return keys, values


@triton.jit
def quantise_query(query):
    """e4m3 of queries [ROWS, WIDTH] and their scales [ROWS]: the largest number of each row becomes 256."""
    wide = query.to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(wide), 1), 1e-6) / 256.0
    return (wide / scale[:, None]).to(tl.float8e4nv), scale


@triton.jit
def row_scales(query_scale, scale, softcap, CAPPED: tl.constexpr):
    """Factors of the logits of quantised queries [ROWS] and of q · c: to units of log2, or to tanh's argument."""
    if CAPPED:
        return query_scale * (scale / softcap), scale / softcap
    return query_scale * (scale * 1.4426950408889634), scale * 1.4426950408889634


@triton.jit
def read_pages(
    accumulator, total, highest, query, query8, row_scale, centre_scale, keys, values, centres, table,
    kv_head, start, stop, position, window, softcap,
    HEADS: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, RUN: tl.constexpr,
    ROWS: tl.constexpr, NEAR: tl.constexpr, MASKED: tl.constexpr, WINDOWED: tl.constexpr, CAPPED: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """(accumulator [ROWS, WIDTH], total [ROWS], highest [ROWS]) after pages start to stop of a block table.

    Pages go in groups of NEAR, whose centres one matrix product reads. The sum of a page's values is taken in a fresh
    accumulator and added in float32, because FP8 matrix units keep about 14 bits. Probabilities are scaled by 2⁸
    before e4m3, which then keeps those down to 2⁻¹⁷ of the highest.
    """
    dims, nearby, columns = tl.arange(0, WIDTH), tl.arange(0, NEAR), tl.arange(0, PAGE)
    for first in range(start, stop, NEAR):
        inside = first + nearby < stop
        blocks = tl.load(table + first + nearby, mask=inside, other=0).to(tl.int64)
        at = ((blocks * HEADS + kv_head) * RUN + 2 * PAGE * DIM) // 2
        centre = tl.load(centres + at[:, None] + dims[None, :], mask=inside[:, None] & (dims < DIM)[None, :], other=0.0)
        with_centres = tl.dot(query, centre.to(query.dtype).T) * centre_scale
        for page in tl.range(first, tl.minimum(first + NEAR, stop), num_stages=STAGES):
            run = tl.load(table + page) * HEADS + kv_head
            with_centre = tl.sum(tl.where((nearby == page - first)[None, :], with_centres, 0.0), 1)
            logits = tl.dot(query8, keys.load([run, 0, 0]).reshape(PAGE, WIDTH).T)
            if CAPPED:  # softcap · tanh of the whole logit, in units of log2
                whole = tl.clamp(logits * row_scale[:, None] + with_centre[:, None], -20.0, 20.0)
                logits = (2.0 / (1.0 + tl.exp2(-2.8853900817779268 * whole)) - 1.0) * (softcap * 1.4426950408889634)
            if MASKED:
                column = (page * PAGE + columns)[None, :]
                seen = column <= position[:, None]
                if WINDOWED:
                    seen = seen & (column > (position - window)[:, None])
                logits = tl.where(seen, logits, float("-inf"))
            if CAPPED:
                raised = tl.maximum(highest, tl.max(logits, 1))
                weights = tl.exp2(logits - (raised - 8.0)[:, None])
            else:
                raised = tl.maximum(highest, tl.max(logits, 1) * row_scale + with_centre)
                weights = tl.exp2(logits * row_scale[:, None] - (raised - 8.0 - with_centre)[:, None])
            fade = tl.exp2(highest - raised)
            highest = raised
            total = total * fade + tl.sum(weights, 1)
            # the stored order of the values: see layout.stored_order
            weights8 = weights.to(tl.float8e4nv).reshape(ROWS, PAGE // 16, 2, 4, 2).permute(0, 1, 3, 2, 4)
            page_values = values.load([run, 0, 0]).reshape(WIDTH, PAGE)
            accumulator = accumulator * fade[:, None] + tl.dot(weights8.reshape(ROWS, PAGE), page_values.T)
    return accumulator, total, highest
