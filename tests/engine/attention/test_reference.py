"""The reference against torch's own attention and against numbers worked out by hand."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from engine.attention import reference
from engine.attention.layout import E4M3, PageLayout


def test_attention_agrees_with_torch() -> None:
    query, keys, values = torch.randn(7, 6, 64), torch.randn(20, 2, 64), torch.randn(20, 2, 64)
    expected = scaled_dot_product_attention(
        query.double().transpose(0, 1),
        keys.double().repeat_interleave(3, 1).transpose(0, 1),
        values.double().repeat_interleave(3, 1).transpose(0, 1),
        attn_mask=torch.ones(7, 20, dtype=torch.bool).tril(13),
        scale=0.125,
    )
    torch.testing.assert_close(reference.attention(query, keys, values, 0.125), expected.transpose(0, 1))


def test_a_window_hides_what_lies_before_it() -> None:
    # token 3 with a window of 2 sees tokens 2 and 3 with equal logits: the mean of their values
    keys, values = torch.zeros(4, 1, 64), torch.arange(4.0)[:, None, None].expand(4, 1, 64)
    result = reference.attention(torch.zeros(1, 1, 64), keys, values, 1.0, window=2)
    assert (result == 2.5).all()


def test_a_soft_cap_flattens_large_logits() -> None:
    # logits 0 and 1000 capped at ln 3: weights 1 and e^(ln 3 · tanh(1000 / ln 3)) = 3
    keys = torch.zeros(2, 1, 64)
    keys[1, 0, 0] = 1000.0
    query = torch.zeros(1, 1, 64)
    query[0, 0, 0] = 1.0
    values = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 1, 64)
    result = reference.attention(query, keys, values, 1.0, softcap=float(torch.tensor(3.0).log()))
    assert result[0, 0, 0].item() == pytest.approx(0.75)


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    result = reference.attention(
        torch.randn(1, 1, 64), torch.randn(3, 1, 64), torch.randn(3, 1, 64), 1.0, positions=torch.tensor([-1])
    )
    assert not result.any()


def test_quantise_rounds_and_saturates() -> None:
    # e4m3 near 1 has steps of 1/8; its largest number is 448
    keys, centre = torch.tensor([1.06, 1.07, 500.0, -3.0]), torch.tensor([0.0, 0.0, 0.0, 1000.0])
    result = reference.quantise(keys, centre)
    assert result.dtype == E4M3
    assert result.float().tolist() == [1.0, 1.125, 448.0, -448.0]


def test_what_was_written_is_read_back() -> None:
    layout = PageLayout(2, 64, 64)
    cache = layout.allocate(4, "cpu")
    keys, values = torch.randn(100, 2, 64) + 20.0, torch.randn(100, 2, 64)
    table = torch.tensor([2, 0])
    slots = torch.cat([2 * 64 + torch.arange(64), torch.arange(36)])
    reference.write(cache, layout, keys, values, slots)
    kept_keys, kept_values = reference.read(cache, layout, table, 100)
    # 3 bits after the point of numbers up to about 4, and bf16's 8 bits of a centre near 20 are kept apart
    assert (kept_keys - keys).abs().max() < 0.3
    assert (kept_values - values).abs().max() < 0.3
    assert (kept_keys - keys).norm() / (keys - 20.0).norm() < 0.04


def test_page_scores_are_the_part_of_the_logits_that_the_centre_gives() -> None:
    layout = PageLayout(1, 64, 64)
    cache = layout.allocate(2, "cpu")
    centre = torch.randn(64).to(torch.bfloat16)
    reference.write(cache, layout, centre.float().expand(128, 1, 64), torch.randn(128, 1, 64), torch.arange(128))
    query = torch.randn(3, 4, 64)
    scores = reference.page_scores(query, cache, layout, torch.tensor([0, 1]), 0.5)
    expected = (query.double() @ centre.double()) * 0.5
    torch.testing.assert_close(scores.double(), expected[..., None].expand(3, 4, 2), atol=1e-4, rtol=1e-4)
