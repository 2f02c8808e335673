"""The layout of a page: sizes by hand, views, the order of values, what is refused."""

import pytest
import torch

from engine.attention import layout as layouts
from engine.attention.layout import PageLayout, check_device, stored_order
from engine.errors import AttentionError


@pytest.mark.parametrize(
    ("head_dim", "page", "token_bytes"),
    [
        (64, 64, 130),  # 64 + 64 and 2 · 64 / 64 of the centre
        (64, 128, 129),
        (96, 64, 195),
        (96, 128, 194),  # 1.5 bytes of centre a token, rounded up
        (128, 64, 260),
        (128, 128, 258),
        (256, 64, 520),
        (256, 128, 516),
    ],
)
def test_bytes_of_a_token_and_a_run(head_dim: int, page: int, token_bytes: int) -> None:
    layout = PageLayout(2, head_dim, page)
    assert layout.token_bytes == token_bytes
    assert layout.run_bytes == page * token_bytes
    assert layout.run_bytes >= 2 * page * head_dim + 2 * head_dim
    assert layout.run_bytes % 16 == layout.value_offset % 16 == layout.centre_offset % 16 == 0


def test_the_parts_of_a_run_fill_it_without_meeting() -> None:
    layout = PageLayout(2, 64, 64)
    cache = torch.zeros(3, 2, layout.run_bytes, dtype=torch.uint8)
    layout.keys(cache)[1, 1] = 1.0
    layout.values(cache)[1, 1] = 2.0
    layout.centres(cache)[1, 1] = 3.0
    bytes_of = {name: number.view(torch.uint8).item() for name, number in _ones().items()}
    run = cache[1, 1]
    assert (run[:4096] == bytes_of["one"]).all()
    assert (run[4096:8192] == bytes_of["two"]).all()
    assert (run[8192:].view(torch.bfloat16) == 3.0).all()
    assert not cache[0].any()
    assert not cache[1, 0].any()


def _ones() -> dict[str, torch.Tensor]:
    return {"one": torch.tensor(1.0).to(layouts.E4M3), "two": torch.tensor(2.0).to(layouts.E4M3)}


def test_views_have_the_shapes_that_their_docstrings_say() -> None:
    layout = PageLayout(3, 96, 128)
    cache = layout.allocate(5, "cpu")
    assert layout.keys(cache).shape == (5, 3, 128, 96)
    assert layout.values(cache).shape == (5, 3, 96, 128)
    assert layout.centres(cache).shape == (5, 3, 96)
    layout.check(cache)


def test_stored_order_gives_a_thread_its_own_logits() -> None:
    # columns 0 to 3 are the probabilities of the first of four threads: its logits were 0, 1 and 8, 9
    assert stored_order(64)[:16].tolist() == [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15]
    assert stored_order(128)[16:32].tolist() == (stored_order(64)[:16] + 16).tolist()
    assert sorted(stored_order(128).tolist()) == list(range(128))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 64, 64), "KV heads"), ((1, 80, 64), "head_dim 80"), ((1, 64, 16), "pages of 16 tokens")],
)
def test_unknown_sizes_are_refused_with_the_known_ones(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(AttentionError, match=message) as raised:
        PageLayout(*arguments)
    assert raised.value.hint


@pytest.mark.parametrize("kind", ["dtype", "shape", "strides", "alignment"])
def test_a_cache_of_another_shape_is_refused(kind: str) -> None:
    layout = PageLayout(2, 64, 64)
    cache = layout.allocate(4, "cpu")
    wrong = {
        "dtype": cache.view(torch.int8),
        "shape": cache[..., :-16],
        "strides": layout.allocate(8, "cpu")[::2],
        "alignment": torch.empty(cache.numel() + 8, dtype=torch.uint8)[8:].view(cache.shape),
    }[kind]
    with pytest.raises(AttentionError, match="the cache is"):
        layout.check(wrong)


def test_an_older_gpu_is_told_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A10")
    with pytest.raises(AttentionError, match=r"NVIDIA A10 has compute capability 8\.6; FP8 pages need 8\.9") as raised:
        check_device(torch.device("cuda"))
    assert "bf16" in raised.value.hint


def test_a_newer_gpu_and_the_cpu_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (12, 0))
    check_device(torch.device("cuda"))
    check_device(torch.device("cpu"))
