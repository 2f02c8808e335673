"""Tiles of a prefill: every row once, heaviest first, contradictions refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.attention.layout import PageLayout
from engine.attention.plan import group_size, plan_prefill
from engine.errors import AttentionError

LENGTHS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 500)), max_size=6)


@given(lengths=LENGTHS, group=st.integers(1, 16))
def test_every_row_is_in_one_tile(lengths: list[tuple[int, int]], group: int) -> None:
    queries = [count for count, _ in lengths]
    contexts = [count + before for count, before in lengths]
    plan = plan_prefill(PageLayout(2, 64, 64), 2 * group, queries, contexts, "cpu")
    rows = [
        (sequence, row)
        for sequence, first, *_ in plan.tiles.tolist()
        for row in range(first, min(first + plan.rows, queries[sequence] * group))
    ]
    assert sorted(rows) == [(s, row) for s, count in enumerate(queries) for row in range(count * group)]
    assert plan.tokens == sum(queries)
    for sequence, _, first, count, context in plan.tiles.tolist():
        assert (first, count, context) == (sum(queries[:sequence]), queries[sequence], contexts[sequence])


def test_the_tile_with_most_keys_comes_first() -> None:
    # 4 heads a KV head: 32 tokens a tile; sequence 1 reaches 300 keys, sequence 0 ends at 64
    plan = plan_prefill(PageLayout(1, 128, 64), 4, [64, 40], [64, 300], "cpu")
    assert plan.tiles[:, :2].tolist() == [[1, 128], [1, 0], [0, 128], [0, 0]]


def test_a_window_makes_tiles_equal() -> None:
    plan = plan_prefill(PageLayout(1, 128, 64), 1, [512], [4096], "cpu", window=100)
    assert plan.tiles[:, 1].tolist() == [0, 128, 256, 384]


def test_an_empty_batch_has_no_tiles() -> None:
    assert plan_prefill(PageLayout(1, 64, 64), 1, [], [], "cpu").tiles.shape == (0, 5)


@pytest.mark.parametrize(
    ("queries", "contexts", "message"),
    [([2], [1], "sequence 0 has 2 query tokens in a context of 1"), ([1], [1, 2], "1 query lengths, 2 context")],
)
def test_lengths_that_contradict_each_other_are_refused(queries: list[int], contexts: list[int], message: str) -> None:
    with pytest.raises(AttentionError, match=message):
        plan_prefill(PageLayout(1, 64, 64), 1, queries, contexts, "cpu")


@pytest.mark.parametrize("query_heads", [1, 3, 34])
def test_groups_that_no_kernel_takes_are_refused(query_heads: int) -> None:
    with pytest.raises(AttentionError, match=f"{query_heads} query heads over 2 KV heads"):
        group_size(PageLayout(2, 64, 64), query_heads)


def test_tiles_are_int32_on_the_device() -> None:
    assert plan_prefill(PageLayout(1, 64, 64), 1, [3], [3], "cpu").tiles.dtype == torch.int32
