"""The write kernels against the reference, token by token: any start, stale bytes, centres, skipped slots."""

import pytest
import torch

from engine.attention import reference
from engine.attention.layout import PageLayout
from engine.attention.write import write
from engine.errors import AttentionError
from tests.engine.attention.batches import previous_of, slots_of, stale_cache
from tests.engine.attention.conftest import DEVICE, ON_GPU

SHAPES = [(64, 64), (96, 64), (128, 128)] if not ON_GPU else [(d, n) for d in (64, 96, 128, 256) for n in (64, 128)]


def assert_same(cache: torch.Tensor, layout: PageLayout, expected: torch.Tensor, keys_too: bool = True) -> None:
    """Centres to one bf16 step (sums in another order), the numbers equal but for what the centre's step moves."""
    ours, theirs = layout.centres(cache).float(), layout.centres(expected).float()
    torch.testing.assert_close(ours, theirs, rtol=2**-7, atol=1e-6, equal_nan=True)
    torch.testing.assert_close(
        layout.values(cache).float(), layout.values(expected).float(), rtol=0, atol=0, equal_nan=True
    )
    if keys_too:
        whole = [(layout.keys(c).float() + layout.centres(c).float()[:, :, None]) for c in (cache, expected)]
        torch.testing.assert_close(whole[0], whole[1], rtol=0.07, atol=0.02, equal_nan=True)


def numbers(tokens: int, layout: PageLayout, dtype: torch.dtype = torch.bfloat16) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (tokens, layout.heads, layout.head_dim)
    return (torch.randn(shape, device=DEVICE) * 2).to(dtype), torch.randn(shape, device=DEVICE).to(dtype)


@pytest.mark.parametrize(("head_dim", "page"), SHAPES)
def test_a_prompt_in_chunks_gives_the_pages_of_the_reference(head_dim: int, page: int) -> None:
    layout = PageLayout(2, head_dim, page)
    table = torch.randperm(5, device=DEVICE)[:4].to(torch.int32)
    keys, values = numbers(3 * page + 7, layout)
    ours, theirs = stale_cache(layout, 5), stale_cache(layout, 5)
    for start, stop in [(0, 5), (5, page + 3), (page + 3, 2 * page + 1), (2 * page + 1, 3 * page + 7)]:
        slots, previous = slots_of(layout, table, start, stop), previous_of(layout, table, start, stop)
        for kernel, cache in ((write, ours), (reference.write, theirs)):
            kernel(cache, layout, keys[start:stop], values[start:stop], slots, previous)
    assert_same(ours, layout, theirs)
    assert torch.isnan(layout.keys(ours)[int(table[3]), :, 8:].float()).all()  # nothing past the last token


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keys_are_what_the_kept_centre_leaves(dtype: torch.dtype) -> None:
    layout = PageLayout(2, 64, 64)
    cache = stale_cache(layout, 2)
    keys, values = numbers(64, layout, dtype)
    write(cache, layout, keys, values, torch.arange(64, 128, device=DEVICE))
    expected = reference.quantise(keys, layout.centres(cache)[1]).transpose(0, 1)
    torch.testing.assert_close(layout.keys(cache)[1].float(), expected.float(), rtol=0, atol=0)
    torch.testing.assert_close(
        layout.centres(cache)[1].float(), keys.float().mean(0).to(torch.bfloat16).float(), rtol=2**-7, atol=1e-6
    )


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("head_dim", "page"), SHAPES)
def test_one_token_each_of_many_sequences(head_dim: int, page: int, apart: bool) -> None:
    layout = PageLayout(2, head_dim, page)
    ours, theirs = stale_cache(layout, 8), stale_cache(layout, 8)
    keys, values = numbers(page, layout)
    for cache in (ours, theirs):  # two sequences have a full page, blocks 0 and 3
        reference.write(cache, layout, keys, values, torch.arange(page, device=DEVICE))
        reference.write(cache, layout, keys + 5, values, torch.arange(page, device=DEVICE) + 3 * page)
    keys, values = numbers(4, layout)
    slots = torch.tensor([6 * page, -1, 5 * page, 7 * page], device=DEVICE)  # one is skipped, one without predecessor
    previous = torch.tensor([0, -1, 3, -1], dtype=torch.int32, device=DEVICE)
    write(ours, layout, keys, values, slots, previous, apart=apart)
    reference.write(theirs, layout, keys, values, slots, previous)
    assert_same(ours, layout, theirs)
    assert torch.equal(layout.centres(ours)[6], layout.centres(ours)[0])
    assert torch.equal(layout.centres(ours)[5], layout.centres(ours)[3])
    assert torch.equal(layout.centres(ours)[7], keys[3])


@pytest.mark.parametrize("known", [False, True])
def test_tokens_apart_grow_a_page_as_one_call_would(known: bool) -> None:
    layout = PageLayout(2, 64, 64)
    ours, theirs = stale_cache(layout, 3), stale_cache(layout, 3)
    keys, values = numbers(70, layout)
    keys[5, 0, 3] = torch.inf
    table = torch.tensor([2, 0], dtype=torch.int32, device=DEVICE)
    for token in range(70):
        arguments = (
            keys[token : token + 1], values[token : token + 1], slots_of(layout, table, token, token + 1),
            previous_of(layout, table, token, token + 1) if known else None,
        )  # fmt: skip
        write(ours, layout, *arguments, apart=True)
        reference.write(theirs, layout, *arguments)
    assert_same(ours, layout, theirs)


def test_many_tokens_take_the_same_way_as_few() -> None:
    layout = PageLayout(1, 64, 64)
    few, many = stale_cache(layout, 18), stale_cache(layout, 18)
    keys, values = numbers(1090, layout)
    slots = torch.arange(1090, device=DEVICE) + 5
    for first in range(0, 1090, 545):
        part = slice(first, first + 545)
        write(few, layout, keys[part], values[part], slots[part])
    write(many, layout, keys, values, slots)
    begun = torch.ones(18, dtype=torch.bool, device=DEVICE)
    begun[[0, 550 // 64, 1095 // 64]] = False  # not begun here, begun in another call, not full
    assert torch.equal(few[begun], many[begun])


def test_a_page_begun_by_few_tokens_takes_the_mean_of_the_page_before_in_the_same_call() -> None:
    layout = PageLayout(1, 64, 64)
    keys, values = numbers(70, layout)
    table = torch.tensor([1, 0], dtype=torch.int32, device=DEVICE)
    cache = stale_cache(layout, 2)
    write(cache, layout, keys, values, slots_of(layout, table, 0, 70), previous_of(layout, table, 0, 70))
    assert torch.equal(layout.centres(cache)[0], layout.centres(cache)[1])


@pytest.mark.parametrize("sharer_first", [False, True])
def test_two_requests_that_share_a_page_which_the_same_call_fills(sharer_first: bool) -> None:
    # A brings 64 + 5 tokens into blocks 1 and 2; B shares block 1 and brings 5 tokens into block 3
    layout = PageLayout(1, 64, 64)
    keys, values = numbers(74, layout)
    keys += 300.0  # a wrong centre would saturate
    slots = torch.cat([torch.arange(64, 133), torch.arange(192, 197)]).to(DEVICE)
    previous = torch.tensor([-1] * 64 + [1] * 10, dtype=torch.int32, device=DEVICE)
    if sharer_first:
        order = torch.cat([torch.arange(69, 74), torch.arange(69)]).to(DEVICE)
        keys, values, slots, previous = keys[order], values[order], slots[order], previous[order]
    ours, theirs = stale_cache(layout, 4), stale_cache(layout, 4)
    for kernel, cache in ((write, ours), (reference.write, theirs)):
        kernel(cache, layout, keys, values, slots, previous)
    assert_same(ours, layout, theirs)
    assert torch.equal(layout.centres(ours)[1], layout.centres(ours)[2])
    assert torch.equal(layout.centres(ours)[1], layout.centres(ours)[3])


def test_the_centre_stays_while_a_page_grows() -> None:
    layout = PageLayout(1, 64, 64)
    keys, values = numbers(64, layout)
    cache = stale_cache(layout, 1)
    slots = torch.arange(64, device=DEVICE)
    write(cache, layout, keys[:20], values[:20], slots[:20])
    before = layout.centres(cache).clone()
    write(cache, layout, keys[20:] + 100, values[20:], slots[20:])
    assert torch.equal(before, layout.centres(cache))


def test_beginning_a_page_clears_stale_values() -> None:
    layout = PageLayout(1, 96, 64)
    cache = stale_cache(layout, 2)
    keys, values = numbers(1, layout)
    write(cache, layout, keys, values, torch.tensor([64], device=DEVICE))
    kept = layout.values(cache)[1].float()
    assert torch.isfinite(kept).all()
    assert not kept[..., 1:].any()
    assert torch.isnan(layout.values(cache)[0].float()).all()


def test_a_key_that_is_not_a_number_does_not_become_the_centre() -> None:
    layout = PageLayout(1, 64, 64)
    keys, values = numbers(20, layout, torch.float32)
    keys[3, 0, 5] = torch.nan
    cache = stale_cache(layout, 1)
    write(cache, layout, keys, values, torch.arange(20, device=DEVICE))
    assert torch.isfinite(layout.centres(cache)).all()


def test_strided_keys_of_a_fused_projection_are_read_in_place() -> None:
    layout = PageLayout(2, 64, 64)
    fused = torch.randn(30, 8, 64, device=DEVICE)
    ours, theirs = stale_cache(layout, 1), stale_cache(layout, 1)
    slots = torch.arange(30, device=DEVICE)
    write(ours, layout, fused[:, 4:6], fused[:, 6:], slots)
    write(theirs, layout, fused[:, 4:6].contiguous(), fused[:, 6:].contiguous(), slots)
    assert torch.equal(ours, theirs)


def test_no_tokens_change_nothing() -> None:
    layout = PageLayout(1, 64, 64)
    cache = stale_cache(layout, 1)
    keys, values = numbers(0, layout)
    write(cache, layout, keys, values, torch.empty(0, dtype=torch.int64, device=DEVICE))
    assert (cache == 0x7F).all()


REFUSED = ["shape", "strides", "slots", "strided slots", "previous", "wide previous", "float64"]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused(kind: str) -> None:
    layout = PageLayout(1, 64, 64)
    cache = stale_cache(layout, 1)
    keys, values = numbers(4, layout)
    slots, previous = torch.arange(4, device=DEVICE), None
    if kind == "shape":
        keys = keys[..., :32]
    elif kind == "strides":
        values = torch.randn(4, 1, 128, device=DEVICE)[..., ::2]
    elif kind == "slots":
        slots = slots.to(torch.int32)
    elif kind == "strided slots":
        slots = torch.arange(8, device=DEVICE)[::2]
    elif kind == "wide previous":
        previous = torch.zeros(4, dtype=torch.int64, device=DEVICE)
    elif kind == "previous":
        previous = torch.zeros(3, dtype=torch.int32, device=DEVICE)
    else:
        keys = keys.double()
    with pytest.raises(AttentionError):
        write(cache, layout, keys, values, slots, previous)
