"""The same attention in plain PyTorch: what the kernels must agree with, slow and easy to read.

`attention` is the oracle, float64 over the keys and values as they were. `paged_attention` is float64 over what the
pages hold, so that the error of the format and the error of a kernel can be told apart.
"""

from collections.abc import Sequence

import torch

from .layout import E4M3, E4M3_MAX, FEW, PageLayout, stored_order


def quantise(keys: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """e4m3 of keys [..., D] less `centre` [..., D], rounded to nearest even, saturating at ±448."""
    return (keys.float() - centre.float()).clamp(-E4M3_MAX, E4M3_MAX).to(E4M3)


def write(
    cache: torch.Tensor,
    layout: PageLayout,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    previous: torch.Tensor | None = None,
) -> None:
    """What `engine.attention.write.write` does, token by token; the arguments are the same."""
    places: list[int] = slots.tolist()
    before: list[int] = [-1] * len(places) if previous is None else previous.tolist()
    begun = [token for token, slot in enumerate(places) if slot >= 0 and slot % layout.page == 0]
    at_hand = {token: _at_hand(places, token, layout.page) for token in begun}
    few = [token for token in begun if at_hand[token] < FEW and before[token] >= 0]
    for token in begun:
        block = places[token] // layout.page
        layout.values(cache)[block] = 0
        if token not in few:
            centre = keys[token : token + at_hand[token]].float().mean(0)
            layout.centres(cache)[block] = torch.where(centre.isfinite(), centre, 0.0).to(torch.bfloat16)
    for token in few:
        centre = layout.centres(cache)[before[token]]
        layout.centres(cache)[places[token] // layout.page] = torch.where(centre.isfinite(), centre, 0.0)
    order = stored_order(layout.page).argsort().tolist()
    for token, slot in enumerate(places):
        if slot >= 0:
            block, position = divmod(slot, layout.page)
            layout.keys(cache)[block, :, position] = quantise(keys[token], layout.centres(cache)[block])
            layout.values(cache)[block, :, :, order[position]] = quantise(values[token], torch.zeros(()))


def _at_hand(places: list[int], token: int, page: int) -> int:
    """How many tokens a call brings for the page that `token` begins: an unbroken run of slots."""
    count = 1
    while count < page and places[token + count : token + count + 1] == [places[token] + count]:
        count += 1
    return count


def read(
    cache: torch.Tensor, layout: PageLayout, blocks: torch.Tensor, tokens: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `tokens` keys and values in these blocks as the pages hold them, float64 [tokens, heads, D] both."""
    blocks = blocks[: -(-tokens // layout.page)].long()
    keys = layout.keys(cache)[blocks].double() + layout.centres(cache)[blocks].double()[:, :, None]
    order = stored_order(layout.page, cache.device).argsort()
    values = layout.values(cache)[blocks].double()[..., order].transpose(2, 3)
    return keys.transpose(1, 2).flatten(0, 1)[:tokens], values.transpose(1, 2).flatten(0, 1)[:tokens]


def attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scale: float,
    *,
    window: int = 0,
    softcap: float = 0.0,
    positions: torch.Tensor | None = None,
) -> torch.Tensor:
    """Causal attention of one sequence's queries [T, Hq, D] over its keys and values [n, Hkv, D], float64 [T, Hq, D].

    The queries are the last T of the n tokens, or stand at `positions` [T]. Query head h reads KV head
    h // (Hq / Hkv). A token at i sees j ≤ i, with a `window` w only j > i − w. `softcap` s replaces a scaled logit x
    by s · tanh(x / s). A query that sees nothing gets zeros.
    """
    count, group = keys.shape[0], query.shape[1] // keys.shape[1]
    if positions is None:
        positions = torch.arange(count - query.shape[0], count, device=query.device)
    seen = torch.arange(count, device=query.device)
    visible = seen[None] <= positions[:, None]
    if window:
        visible &= seen[None] > positions[:, None] - window
    outputs = []
    for head in range(query.shape[1]):
        logits = query[:, head].double() @ keys[:, head // group].double().T * scale
        if softcap:
            logits = softcap * torch.tanh(logits / softcap)
        weights = torch.where(visible, logits, -torch.inf).softmax(-1).nan_to_num(0.0)
        outputs.append(weights @ values[:, head // group].double())
    return torch.stack(outputs, 1)


def paged_attention(
    query: torch.Tensor,
    cache: torch.Tensor,
    layout: PageLayout,
    tables: torch.Tensor,
    query_lengths: Sequence[int],
    context_lengths: Sequence[int],
    scale: float,
    *,
    window: int = 0,
    softcap: float = 0.0,
) -> torch.Tensor:
    """`attention` of many sequences over what their pages hold, float64 [sum of query_lengths, Hq, D].

    `tables` int [sequences, pages] are block tables; a context length counts the queries' own tokens too.
    """
    outputs, first = [], 0
    for table, queries, context in zip(tables, query_lengths, context_lengths, strict=True):
        keys, values = read(cache, layout, table, context)
        part = query[first : first + queries]
        outputs.append(attention(part, keys, values, scale, window=window, softcap=softcap))
        first += queries
    return torch.cat(outputs)


def page_scores(
    query: torch.Tensor, cache: torch.Tensor, layout: PageLayout, blocks: torch.Tensor, scale: float
) -> torch.Tensor:
    """The logit of each query with the centre of each page, float32 [T, Hq, pages]; higher is nearer.

    These numbers are part of every prefill, because q·k = q·(k − c) + q·c, and rank the pages for free.
    """
    centres = layout.centres(cache)[blocks.long()].float().repeat_interleave(query.shape[1] // layout.heads, 1)
    return torch.einsum("thd,phd->thp", query.float(), centres) * scale
