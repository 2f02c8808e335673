"""Decode against float64: batches, speculation, splits, windows, empty contexts, CUDA graphs."""

import pytest
import torch

from engine.attention import reference
from engine.attention.decode import decode
from engine.attention.layout import PageLayout
from engine.attention.tuning import MOST_ROWS, DecodeChoice
from engine.errors import AttentionError
from tests.engine.attention.batches import (
    LONG_CONTEXT,
    SHORT_CONTEXT,
    Batch,
    error,
    make_batch,
    poisoned,
    seen_by,
    weights_of,
)
from tests.engine.attention.conftest import DEVICE, ON_GPU, needs_gpu


def run(
    batch: Batch, tokens: int = 1, window: int = 0, softcap: float = 0.0, splits: int | None = None
) -> torch.Tensor:
    lengths = torch.tensor(batch.context_lengths, dtype=torch.int32, device=DEVICE)
    return decode(
        batch.query, batch.cache, batch.layout, batch.tables, lengths, batch.scale,
        tokens=tokens, window=window, softcap=softcap, splits=splits, out=poisoned(batch.query),
    )  # fmt: skip


@pytest.mark.parametrize("splits", [None, 1, 3, 8])
def test_contexts_of_different_lengths(splits: int | None) -> None:
    contexts = [1, 64, 65, 200]
    batch = make_batch(PageLayout(1, 64, 64), 4, [1] * 4, contexts, chunks=2)
    assert error(run(batch, splits=splits), batch.as_stored()) < SHORT_CONTEXT


@pytest.mark.parametrize(("head_dim", "page"), [(d, n) for d in (64, 96, 128, 256) for n in (64, 128)])
def test_all_head_and_page_sizes(head_dim: int, page: int) -> None:
    contexts = [page + 1, 2 * page - 1] if not ON_GPU else [page + 1, 5001]
    batch = make_batch(PageLayout(1, head_dim, page), 3, [1] * 2, contexts)
    assert error(run(batch, splits=2), batch.as_stored()) < SHORT_CONTEXT


@pytest.mark.parametrize(("tokens", "group"), [(2, 1), (4, 7), (5, 16)])
def test_several_tokens_of_each_sequence(tokens: int, group: int) -> None:
    batch = make_batch(PageLayout(1, 64, 64), group, [tokens] * 2, [130, tokens])
    assert error(run(batch, tokens, splits=2), batch.as_stored()) < SHORT_CONTEXT


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("softcap", [0.0, 4.0])
def test_windows_and_soft_caps(softcap: float, splits: int) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [2, 2], [300, 20])
    result = run(batch, 2, window=70, softcap=softcap, splits=splits)
    assert error(result, batch.as_stored(70, softcap)) < SHORT_CONTEXT


@pytest.mark.parametrize("splits", [1, 4])
def test_an_empty_context_gives_zeros(splits: int) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [1, 1], [100, 0])
    result = run(batch, splits=splits)
    assert not result[1].any()
    assert torch.isfinite(result[0]).all()


def test_biased_keys_cost_nothing() -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [1], [190], key_bias=300.0, dtype=torch.float16, value_mean=2.0)
    assert error(run(batch, splits=2), batch.exact()) < SHORT_CONTEXT


def test_splits_do_not_change_the_result() -> None:
    batch = make_batch(PageLayout(1, 64, 64), 4, [1], [500])
    whole = run(batch, splits=1)
    for splits in (2, 5, 8, 30):
        assert error(run(batch, splits=splits), whole) < 0.02


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize(("tokens", "window"), [(1, 0), (3, 0), (1, 66), (3, 71), (3, 1)])
def test_a_token_sees_exactly_what_it_may(tokens: int, window: int, splits: int) -> None:
    # 200 tokens in four pages of 64; with a window of 71 the first of three queries still sees one token of page 1
    batch = make_batch(PageLayout(1, 64, 64), 2, [tokens], [200])
    weights = weights_of(batch, lambda: run(batch, tokens, window=window, splits=splits))
    assert torch.equal(weights > 0, seen_by(batch, window))
    torch.testing.assert_close(weights.sum(-1), torch.ones(tokens, 2, device=DEVICE), atol=0.05, rtol=0)


def test_no_query_sees_before_the_first_token() -> None:
    # padded speculation: two query tokens in a context of one
    batch = make_batch(PageLayout(1, 64, 64), 2, [2], [1])
    result = run(batch, 2, splits=1)
    assert not result[0].any()
    assert error(result[1], batch.values[0][0].expand(2, 64)) < SHORT_CONTEXT


REFUSED = ["lengths", "strided lengths", "rows", "query", "out", "splits", "window", "softcap"]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused(kind: str) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 16, [1], [10])
    lengths = torch.tensor([10], dtype=torch.int32, device=DEVICE)
    query, tokens, out = batch.query, 1, None
    splits, window, softcap = (0 if kind == "splits" else None), -int(kind == "window"), -float(kind == "softcap")
    if kind == "lengths":
        lengths = lengths.long()
    elif kind == "strided lengths":
        lengths = torch.zeros(4, dtype=torch.int32, device=DEVICE)[::2]
        query = query.expand(2, 16, 64).contiguous()
    elif kind == "rows":
        tokens = MOST_ROWS[64] // 16 + 1
        query = query.expand(tokens, 16, 64).contiguous()
    elif kind == "query":
        query = query.float()
    elif kind == "out":
        out = torch.empty(1, 16, 64, device=DEVICE)
    with pytest.raises(AttentionError) as raised:
        decode(
            query, batch.cache, batch.layout, batch.tables, lengths, 1.0,
            tokens=tokens, out=out, splits=splits, window=window, softcap=softcap,
        )  # fmt: skip
    assert raised.value.hint


def test_no_sequences_give_an_empty_result() -> None:
    layout = PageLayout(1, 64, 64)
    empty = torch.empty(0, dtype=torch.int32, device=DEVICE)
    query = torch.empty(0, 2, 64, device=DEVICE, dtype=torch.bfloat16)
    assert decode(query, layout.allocate(1, DEVICE), layout, empty.view(0, 1), empty, 1.0).shape == (0, 2, 64)


def test_splits_follow_the_room_that_the_gpu_has() -> None:
    choice = DecodeChoice(4, 3, 264)
    assert choice.splits(8, 1024) == 33
    assert choice.splits(128, 1024) == 2
    assert choice.splits(2048, 1024) == 1
    assert choice.splits(8, 5) == 5


@needs_gpu
@pytest.mark.parametrize("tokens", [1, 3])
def test_two_hundred_thousand_tokens(tokens: int) -> None:
    batch = make_batch(PageLayout(2, 128, 128), 4, [tokens], [200_000], key_bias=20.0)
    expected = reference.attention(batch.query, batch.keys[0], batch.values[0], batch.scale)
    assert error(run(batch, tokens), expected) < LONG_CONTEXT


@needs_gpu
def test_a_batch_of_256() -> None:
    contexts = torch.randint(1, 900, (256,)).tolist()
    batch = make_batch(PageLayout(2, 128, 128), 4, [1] * 256, contexts)
    assert error(run(batch), batch.as_stored()) < SHORT_CONTEXT


@needs_gpu
def test_a_cuda_graph_replays_with_other_lengths() -> None:
    batch = make_batch(PageLayout(2, 128, 64), 4, [1, 1], [500, 3000])
    lengths = torch.tensor([500, 3000], dtype=torch.int32, device=DEVICE)
    out = poisoned(batch.query)
    arguments = (batch.query, batch.cache, batch.layout, batch.tables, lengths, batch.scale)
    decode(*arguments, out=out)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        decode(*arguments, out=out)
    lengths.copy_(torch.tensor([77, 2049], dtype=torch.int32))
    out.fill_(torch.nan)
    graph.replay()
    shorter = Batch(**{**vars(batch), "context_lengths": [77, 2049]})
    assert error(out, shorter.as_stored()) < SHORT_CONTEXT
