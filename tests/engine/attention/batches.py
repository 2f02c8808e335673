"""Batches of sequences for the tests: keys, values, shuffled pages full of stale bytes, and what must come out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from engine.attention import reference
from engine.attention.layout import E4M3, PageLayout, stored_order
from engine.attention.write import write
from tests.engine.attention.conftest import DEVICE, ON_GPU

# ‖result − expected‖ / ‖expected‖ against float64. Queries and probabilities in e4m3 (3 bits after the point) are off
# by 2.6% each on average, which averages out over keys: 0.7 to 1.8% were seen over some hundred, 3% over three. A key
# too many or too few is seen exactly by test_a_token_sees_exactly_what_it_may.
SHORT_CONTEXT = 0.06
LONG_CONTEXT = 0.01  # from about 5,000 tokens on, values with a mean


@dataclass(frozen=True)
class Batch:
    """Sequences whose pages are written; `keys` and `values` are each sequence's, [context, heads, D]."""

    layout: PageLayout
    query_heads: int
    query_lengths: list[int]
    context_lengths: list[int]
    query: torch.Tensor
    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    cache: torch.Tensor
    tables: torch.Tensor
    scale: float

    def exact(self, window: int = 0, softcap: float = 0.0) -> torch.Tensor:
        """Float64 attention over keys and values as they were, [sum of query lengths, Hq, D]."""
        parts, first = [], 0
        for keys, values, count in zip(self.keys, self.values, self.query_lengths, strict=True):
            part = self.query[first : first + count]
            parts.append(reference.attention(part, keys, values, self.scale, window=window, softcap=softcap))
            first += count
        return torch.cat(parts)

    def as_stored(self, window: int = 0, softcap: float = 0.0) -> torch.Tensor:
        """Float64 attention over what the pages hold."""
        return reference.paged_attention(
            self.query, self.cache, self.layout, self.tables, self.query_lengths, self.context_lengths, self.scale,
            window=window, softcap=softcap,
        )  # fmt: skip


def slots_of(layout: PageLayout, table: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Slots of a sequence's tokens start to stop, int64."""
    token = torch.arange(start, stop, device=table.device)
    return table[token // layout.page].long() * layout.page + token % layout.page


def previous_of(layout: PageLayout, table: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """The block before each token's page, int32, −1 where there is none."""
    page = torch.arange(start, stop, device=table.device) // layout.page
    return torch.where(page > 0, table[(page - 1).clamp(min=0)], -1).to(torch.int32)


def stale_cache(layout: PageLayout, blocks: int) -> torch.Tensor:
    """A cache whose every byte is an e4m3 NaN, as a reused page may hold."""
    return torch.full((blocks, layout.heads, layout.run_bytes), 0x7F, dtype=torch.uint8, device=DEVICE)


def make_batch(
    layout: PageLayout,
    group: int,
    query_lengths: Sequence[int],
    context_lengths: Sequence[int],
    *,
    key_bias: float = 0.0,
    value_mean: float = 0.5,
    dtype: torch.dtype = torch.bfloat16,
    chunks: int = 1,
) -> Batch:
    """Random sequences written into shuffled pages of a cache that was full of NaN, in `chunks` calls each.

    `key_bias` adds one vector of that size to all keys of a head, as key biases of real models do.
    """
    pages = [-(-length // layout.page) for length in context_lengths]
    order = torch.randperm(sum(pages) + 2, device=DEVICE)
    cache = stale_cache(layout, sum(pages) + 2)
    tables = torch.zeros(len(pages), max(max(pages), 1), dtype=torch.int32, device=DEVICE)
    taken = 0
    for sequence, count in enumerate(pages):
        tables[sequence, :count] = order[taken : taken + count].to(torch.int32)
        taken += count
    bias = key_bias * torch.randn(1, layout.heads, layout.head_dim, device=DEVICE)
    keys, values = [], []
    for length in context_lengths:
        shape = (length, layout.heads, layout.head_dim)
        keys.append((torch.randn(shape, device=DEVICE) + bias).to(dtype))
        values.append((torch.randn(shape, device=DEVICE) + value_mean).to(dtype))
    for chunk in range(chunks):
        spans = [(length * chunk // chunks, length * (chunk + 1) // chunks) for length in context_lengths]
        write(
            cache,
            layout,
            torch.cat([part[a:b] for part, (a, b) in zip(keys, spans, strict=True)]),
            torch.cat([part[a:b] for part, (a, b) in zip(values, spans, strict=True)]),
            torch.cat([slots_of(layout, table, a, b) for table, (a, b) in zip(tables, spans, strict=True)]),
            torch.cat([previous_of(layout, table, a, b) for table, (a, b) in zip(tables, spans, strict=True)]),
        )
    query_heads = layout.heads * group
    query = torch.randn(sum(query_lengths), query_heads, layout.head_dim, device=DEVICE).to(dtype)
    return Batch(
        layout, query_heads, list(query_lengths), list(context_lengths), query, keys, values, cache, tables,
        layout.head_dim**-0.5,
    )  # fmt: skip


def weights_of(batch: Batch, run: Callable[[], torch.Tensor]) -> torch.Tensor:
    """The weights of a batch of one sequence as a kernel has them, float32 [queries, Hq, context].

    Values are made one-hot in the token, as many tokens at a time as a value has numbers; the outputs are the weights.
    """
    layout, context = batch.layout, batch.context_lengths[0]
    column = stored_order(layout.page, DEVICE).argsort()
    parts = []
    for first in range(0, context, layout.head_dim):
        token = torch.arange(first, min(first + layout.head_dim, context), device=DEVICE)
        hot = torch.zeros(layout.values(batch.cache).shape, device=DEVICE)
        hot[batch.tables[0].long()[token // layout.page], :, token - first, column[token % layout.page]] = 1.0
        layout.values(batch.cache).copy_(hot.to(E4M3))
        parts.append(run()[..., : len(token)].float())
    return torch.cat(parts, -1)


def seen_by(batch: Batch, window: int = 0) -> torch.Tensor:
    """Which tokens each query of a batch of one sequence may see, bool [queries, Hq, context]."""
    queries, context = batch.query_lengths[0], batch.context_lengths[0]
    position = torch.arange(context - queries, context, device=DEVICE)[:, None]
    token = torch.arange(context, device=DEVICE)[None]
    seen = token <= position
    if window:
        seen &= token > position - window
    return seen[:, None].expand(-1, batch.query_heads, -1)


def error(result: torch.Tensor, expected: torch.Tensor) -> float:
    """‖result − expected‖ / ‖expected‖ in float64; NaN anywhere makes it NaN, which is under no bound."""
    return float((result.double() - expected.double()).norm() / expected.double().norm())


def poisoned(like: torch.Tensor) -> torch.Tensor:
    """An output full of NaN, so that what a kernel does not write is seen."""
    return torch.full_like(like, torch.nan, memory_format=torch.contiguous_format)


def on_gpu_or(gpu: list[int], interpreter: list[int]) -> list[int]:
    """Sizes for a GPU, or smaller ones for the interpreter."""
    return gpu if ON_GPU else interpreter
