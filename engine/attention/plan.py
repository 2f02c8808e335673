"""Which queries a prefill reads together: tiles of many sequences, heaviest first, laid out once for all layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import AttentionError
from .fit import MOST_HEADS_A_GROUP
from .layout import PageLayout

TILE_ROWS = {64: 192}  # rows of one tile by head size: (token, query head) pairs of one KV head
OTHER_TILE_ROWS = 128


@dataclass(frozen=True, eq=False)
class PrefillPlan:
    """Tiles of a batch, int32 [tiles, 5] on the device: sequence, first row, first token, queries, context.

    A tile has `rows` rows, (token, query head) pairs of one KV head, token first: with 4 query heads a KV head 128 rows
    are 32 tokens, and all of them read the same keys. Rows past a sequence's last are padding.
    """

    layout: PageLayout
    query_heads: int
    tokens: int
    sequences: int
    pages: int
    rows: int
    tiles: torch.Tensor

    @property
    def group(self) -> int:
        """Query heads that read one KV head."""
        return self.query_heads // self.layout.heads


def group_size(layout: PageLayout, query_heads: int) -> int:
    """Query heads a KV head. Raises AttentionError where they do not divide or are more than 16."""
    group, rest = divmod(query_heads, layout.heads)
    if rest or not 1 <= group <= MOST_HEADS_A_GROUP:
        raise AttentionError(
            f"{query_heads} query heads over {layout.heads} KV heads",
            f"the kernels take 1 to {MOST_HEADS_A_GROUP} query heads for each KV head",
        )
    return group


def plan_prefill(
    layout: PageLayout,
    query_heads: int,
    query_lengths: Sequence[int],
    context_lengths: Sequence[int],
    device: torch.device | str,
    window: int = 0,
) -> PrefillPlan:
    """The tiles of a batch; a context length counts the queries' own tokens, which stand at its end.

    Tiles with more keys to read come first, so that no long one is left at the end; `window` (tokens, 0: none)
    matters to that order alone. Raises AttentionError for lengths that contradict each other.
    """
    group = group_size(layout, query_heads)
    if len(query_lengths) != len(context_lengths):
        raise AttentionError(f"{len(query_lengths)} query lengths, {len(context_lengths)} context lengths", "pair them")
    for sequence, (queries, context) in enumerate(zip(query_lengths, context_lengths, strict=True)):
        if not 0 <= queries <= context:
            raise AttentionError(
                f"sequence {sequence} has {queries} query tokens in a context of {context}",
                "a context counts the query tokens too",
            )
    lengths, contexts = np.array(query_lengths, np.int64), np.array(context_lengths, np.int64)
    height = TILE_ROWS.get(layout.head_dim, OTHER_TILE_ROWS)
    count = -(-lengths * group // height)
    owner = np.arange(len(lengths)).repeat(count)
    rows = (np.arange(len(owner)) - (count.cumsum() - count)[owner]) * height
    queries, context = lengths[owner], contexts[owner]
    keys = np.minimum(context - queries + (rows + height - 1) // group + 1, context)
    if window:
        keys = np.minimum(keys, window + height // group)
    first = (lengths.cumsum() - lengths)[owner]
    heaviest = np.argsort(-keys, kind="stable")
    columns = np.stack([owner, rows, first, queries, context], 1)[heaviest]
    tiles = torch.from_numpy(columns.astype(np.int32))
    if torch.device(device).type == "cuda":  # a copy from pageable memory would wait for the GPU
        tiles = tiles.pin_memory()
    pages = -(-int(contexts.max(initial=0)) // layout.page)
    tiles = tiles.to(device, non_blocking=True)
    return PrefillPlan(layout, query_heads, int(lengths.sum()), len(lengths), pages, height, tiles)
