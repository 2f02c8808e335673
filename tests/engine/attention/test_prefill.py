"""Prefill against float64: shapes, lengths, GQA, windows, soft-caps, outliers, stale and shared pages."""

import pytest
import torch

from engine.attention import hopper, reference
from engine.attention.layout import PageLayout
from engine.attention.plan import plan_prefill
from engine.attention.prefill import prefill
from engine.errors import AttentionError
from tests.engine.attention.batches import (
    LONG_CONTEXT,
    SHORT_CONTEXT,
    Batch,
    error,
    make_batch,
    poisoned,
    seen_by,
    stale_cache,
    weights_of,
)
from tests.engine.attention.conftest import DEVICE, ON_GPU, needs_gpu

KERNELS = ["triton", "hopper"] if hopper.supports(PageLayout(1, 64, 64), DEVICE, 0.0) else ["triton"]
ALL_SHAPES = [
    (d, n, kernel)
    for d in (64, 96, 128, 256)
    for n in (64, 128)
    for kernel in KERNELS
    if kernel == "triton" or (d, n) in hopper.SHAPES
]


def run(batch: Batch, window: int = 0, softcap: float = 0.0, kernel: str = "auto") -> torch.Tensor:
    plan = plan_prefill(
        batch.layout, batch.query_heads, batch.query_lengths, batch.context_lengths, DEVICE, window=window
    )
    return prefill(
        batch.query, batch.cache, batch.tables, plan, batch.scale,
        window=window, softcap=softcap, out=poisoned(batch.query), kernel=kernel,
    )  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("length", [1, 63, 64, 65, 129])
def test_any_length(length: int, kernel: str) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [length], [length])
    assert error(run(batch, kernel=kernel), batch.as_stored()) < SHORT_CONTEXT


@pytest.mark.parametrize(("head_dim", "page", "kernel"), ALL_SHAPES)
def test_all_head_and_page_sizes_with_odd_lengths(head_dim: int, page: int, kernel: str) -> None:
    contexts = [page + 1, 3 * page - 1] if not ON_GPU else [page + 1, 1, 3001]
    queries = [7, 3] if not ON_GPU else [7, 1, 777]
    batch = make_batch(PageLayout(2, head_dim, page), 3, queries, contexts, chunks=2)
    assert error(run(batch, kernel=kernel), batch.as_stored()) < SHORT_CONTEXT


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("group", [1, 4, 7, 16])
def test_query_heads_that_share_a_kv_head(group: int, kernel: str) -> None:
    batch = make_batch(PageLayout(2, 64, 128), group, [21], [150])
    assert error(run(batch, kernel=kernel), batch.as_stored()) < SHORT_CONTEXT


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [1, 30, 64, 1000])
def test_sliding_windows(window: int, kernel: str) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 4, [40, 70], [200, 70])
    assert error(run(batch, window=window, kernel=kernel), batch.as_stored(window)) < SHORT_CONTEXT


@pytest.mark.parametrize("window", [0, 33])
def test_soft_caps(window: int) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [9], [150], key_bias=2.0)
    assert error(run(batch, window, 3.0), batch.as_stored(window, 3.0)) < SHORT_CONTEXT


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [0, 1, 30, 66, 70])
def test_a_token_sees_exactly_what_it_may(window: int, kernel: str) -> None:
    # 70 queries from 130 on in pages of 64: with a window of 70 the first reaches into page 0, the last into page 2
    batch = make_batch(PageLayout(1, 64, 64), 2, [70], [200])
    weights = weights_of(batch, lambda: run(batch, window=window, kernel=kernel))
    assert torch.equal(weights > 0, seen_by(batch, window))
    torch.testing.assert_close(weights.sum(-1), torch.ones(70, 2, device=DEVICE), atol=0.05, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_biased_keys_cost_nothing(kernel: str) -> None:
    # keys of 300 and more, as some models' biases make them: e4m3 alone has steps of 32 there
    batch = make_batch(PageLayout(1, 64, 64), 2, [30], [190], key_bias=300.0, dtype=torch.float16, value_mean=2.0)
    kept = run(batch, kernel=kernel)
    assert error(kept, batch.exact()) < SHORT_CONTEXT


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_huge_logit_takes_all(kernel: str) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 1, [5], [130])
    layout = batch.layout
    key = 100.0 * batch.query[:, 0].float().mean(0).sign()
    block = int(batch.tables[0, 1])
    layout.keys(batch.cache)[block, 0, 7] = key.to(torch.float8_e4m3fn)
    query = batch.query.abs() * key.sign().to(torch.bfloat16)
    huge = Batch(**{**vars(batch), "query": query})
    assert error(run(huge, kernel=kernel), huge.as_stored()) < 0.01


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_context_in_pages_that_another_request_wrote(kernel: str) -> None:
    layout = PageLayout(1, 64, 64)
    batch = make_batch(layout, 2, [64 + 20], [128 + 20])
    shared = torch.stack([batch.tables[0], batch.tables[0]])
    plan = plan_prefill(layout, 2, [20, 3], [148, 128], DEVICE)
    query = torch.cat([batch.query[-20:], batch.query[61:64]])
    both = prefill(query, batch.cache, shared, plan, batch.scale, out=poisoned(query), kernel=kernel)
    expected = reference.paged_attention(query, batch.cache, layout, shared, [20, 3], [148, 128], batch.scale)
    assert error(both[:20], expected[:20]) < SHORT_CONTEXT
    assert error(both[20:], expected[20:]) < SHORT_CONTEXT


@pytest.mark.parametrize("kernel", KERNELS)
def test_queries_and_tables_with_strides_are_read_in_place(kernel: str) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [10, 4], [100, 190])
    expected = run(batch, kernel=kernel)
    wide = torch.randn(14, 4, 64, device=DEVICE).to(torch.bfloat16)
    wide[:, 1:3] = batch.query
    tables = torch.zeros(2, 9, dtype=torch.int32, device=DEVICE)
    tables[:, : batch.tables.shape[1]] = batch.tables
    strided = Batch(**{**vars(batch), "query": wide[:, 1:3], "tables": tables[:, : batch.tables.shape[1]]})
    assert torch.equal(run(strided, kernel=kernel), expected)


def test_no_queries_give_an_empty_result() -> None:
    layout = PageLayout(1, 64, 64)
    plan = plan_prefill(layout, 2, [0], [10], DEVICE)
    query = torch.empty(0, 2, 64, device=DEVICE, dtype=torch.bfloat16)
    tables = torch.zeros(1, 1, dtype=torch.int32, device=DEVICE)
    assert prefill(query, stale_cache(layout, 1), tables, plan, 1.0).shape == (0, 2, 64)


@pytest.mark.parametrize(
    "kind", ["float32", "shape", "strides", "tables", "short tables", "out", "hopper", "unknown kernel", "window"]
)
def test_what_does_not_fit_is_refused(kind: str) -> None:
    batch = make_batch(PageLayout(1, 64, 64), 2, [4], [100])
    plan = plan_prefill(batch.layout, 2, [4], [100], DEVICE)
    query, tables, out, kernel, softcap = batch.query, batch.tables, None, "auto", 0.0
    if kind == "float32":
        query = query.float()
    elif kind == "shape":
        query = query[:3]
    elif kind == "strides":
        query = torch.zeros(4, 2, 128, device=DEVICE, dtype=torch.bfloat16)[..., ::2]
    elif kind == "tables":
        tables = tables.long()
    elif kind == "short tables":
        tables = tables[:, :1]
    elif kind == "out":
        out = torch.empty(4, 2, 32, device=DEVICE, dtype=torch.bfloat16)
    elif kind == "hopper":
        kernel, softcap = "hopper", 2.0
    elif kind == "unknown kernel":
        kernel = "cuda"
    window = -1 if kind == "window" else 0
    with pytest.raises(AttentionError) as raised:
        prefill(query, batch.cache, tables, plan, 1.0, out=out, kernel=kernel, softcap=softcap, window=window)
    assert raised.value.hint


def test_the_hopper_kernel_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(hopper, "TRITON", hopper.WRITTEN_FOR)
    assert hopper.supports(PageLayout(8, 128, 128), cuda, 0.0)
    assert not hopper.supports(PageLayout(8, 128, 128), cuda, 30.0)
    assert not hopper.supports(PageLayout(8, 256, 128), cuda, 0.0)
    assert not hopper.supports(PageLayout(8, 128, 128), torch.device("cpu"), 0.0)
    monkeypatch.setattr(hopper, "TRITON", "4.0")
    assert not hopper.supports(PageLayout(8, 128, 128), cuda, 0.0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    assert not hopper.supports(PageLayout(8, 128, 128), cuda, 0.0)


@needs_gpu
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("key_bias", [0.0, 20.0])
def test_two_hundred_thousand_tokens(kernel: str, key_bias: float) -> None:
    batch = make_batch(PageLayout(2, 128, 128), 4, [300], [200_000], key_bias=key_bias)
    expected = reference.attention(batch.query, batch.keys[0], batch.values[0], batch.scale)
    assert error(run(batch, kernel=kernel), expected) < LONG_CONTEXT


@needs_gpu
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_mixed_batch_in_bf16(kernel: str) -> None:
    queries, contexts = [1, 2000, 63, 500, 4096], [9000, 2000, 64, 20001, 4096]
    batch = make_batch(PageLayout(4, 128, 128), 7, queries, contexts, chunks=3)
    assert error(run(batch, kernel=kernel), batch.as_stored()) < SHORT_CONTEXT


@needs_gpu
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_same_inputs_give_the_same_bits_every_time(kernel: str) -> None:
    # an error that moves between runs would be a race
    batch = make_batch(PageLayout(2, 128, 128), 4, [1000, 300], [5000, 20_000])
    first = run(batch, kernel=kernel)
    assert all(torch.equal(first, run(batch, kernel=kernel)) for _ in range(20))


@needs_gpu
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_both_kinds_of_query(dtype: torch.dtype, kernel: str) -> None:
    batch = make_batch(PageLayout(2, 64, 128), 3, [700], [9001], dtype=dtype, key_bias=20.0)
    assert error(run(batch, kernel=kernel), batch.exact()) < LONG_CONTEXT
