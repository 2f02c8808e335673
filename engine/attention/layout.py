"""Where the numbers of a KV page lie: one run of bytes for each page and KV head.

For a page of N tokens and a head of D numbers a run holds, in this order,

    keys     e4m3 [N, D]   k − c, the key less the page's centre
    values   e4m3 [D, N]   transposed; tokens in `stored_order`, which the matrix units read without a shuffle
    centre   bf16 [D]      c, chosen when the page's first token is written and kept until the page is begun anew

The centre costs 2 · D bytes a run, rounded up to whole bytes a token. No scales are kept: k − c has lost what made
keys large. e4m3 has 3 bits after the point from 2⁻⁶ to 448, steps of 2⁻⁹ below, and saturates above: a model whose
values are all near 0.003 would lose a fifth of them.

An invariant that every reader relies on: value columns of tokens that are not written yet hold finite numbers. The
write that begins a page clears them. Keys need no such care, because logits outside the context are replaced.
"""

from dataclasses import dataclass

import torch

from ..errors import AttentionError
from ..kv.formats import centred_head_bytes
from .fit import FIRST_CAPABILITY, HEAD_DIMS, PAGES

E4M3 = torch.float8_e4m3fn
E4M3_MAX = 448.0
FEW = 16  # a page begun with fewer tokens takes its centre from the page before it


@dataclass(frozen=True)
class PageLayout:
    """The sizes of a layer's pages; `page` is in tokens, `heads` counts KV heads."""

    heads: int
    head_dim: int
    page: int = 128

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise AttentionError(f"{self.heads} KV heads", "a layer has at least one")
        if self.head_dim not in HEAD_DIMS:
            raise AttentionError(f"head_dim {self.head_dim} has no kernel", f"the kernels know {_listed(HEAD_DIMS)}")
        if self.page not in PAGES:
            raise AttentionError(f"pages of {self.page} tokens have no kernel", f"use {_listed(PAGES)}")

    @property
    def token_bytes(self) -> int:
        """Bytes of a token in one KV head: two e4m3 vectors and its share of the centre, rounded up."""
        return centred_head_bytes(self.head_dim, self.page)

    @property
    def run_bytes(self) -> int:
        """Bytes of a page in one KV head; a multiple of 16, as the tensor memory accelerator wants its strides."""
        return self.page * self.token_bytes

    @property
    def value_offset(self) -> int:
        """Bytes from a run's start to its values."""
        return self.page * self.head_dim

    @property
    def centre_offset(self) -> int:
        """Bytes from a run's start to its centre."""
        return 2 * self.page * self.head_dim

    def allocate(self, blocks: int, device: torch.device | str) -> torch.Tensor:
        """An empty cache, uint8 [blocks, heads, run_bytes]; pages are undefined until `write` begins them."""
        return torch.empty(blocks, self.heads, self.run_bytes, dtype=torch.uint8, device=device)

    def check(self, cache: torch.Tensor) -> None:
        """Raises AttentionError unless `cache` is uint8 [blocks, heads, run_bytes], contiguous, 16-byte aligned."""
        expected = (self.heads, self.run_bytes)
        if cache.dtype != torch.uint8 or cache.dim() != 3 or tuple(cache.shape[1:]) != expected:
            raise AttentionError(
                f"the cache is {cache.dtype} {list(cache.shape)}",
                f"pages of this layout are torch.uint8 [blocks, {expected[0]}, {expected[1]}]",
            )
        if not cache.is_contiguous() or cache.data_ptr() % 16:
            raise AttentionError("the cache is not contiguous or does not start at a multiple of 16 bytes", "copy it")

    def keys(self, cache: torch.Tensor) -> torch.Tensor:
        """A view of `cache`: e4m3 [blocks, heads, page, head_dim], keys less their page's centre."""
        return cache[..., : self.value_offset].view(E4M3).unflatten(-1, (self.page, self.head_dim))

    def values(self, cache: torch.Tensor) -> torch.Tensor:
        """A view of `cache`: e4m3 [blocks, heads, head_dim, page], columns in `stored_order`."""
        stored = cache[..., self.value_offset : self.centre_offset]
        return stored.view(E4M3).unflatten(-1, (self.head_dim, self.page))

    def centres(self, cache: torch.Tensor) -> torch.Tensor:
        """A view of `cache`: bf16 [blocks, heads, head_dim]."""
        end = self.centre_offset + 2 * self.head_dim
        return cache[..., self.centre_offset : end].view(torch.bfloat16)


def stored_order(page: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Which token of a page each value column holds, int64 [page].

    Column 16i + 4t + 2b + c holds token 16i + 8b + 2t + c. A thread of an FP8 matrix instruction gets its logits as
    pairs (2t, 2t + 1) of each 8 columns and must give its probabilities as 4 in a row: with this order they are the
    same registers, and the conversion needs no exchange between threads.
    """
    column = torch.arange(page, device=device)
    block, four, pair, parity = column // 16, column % 16 // 4, column % 4 // 2, column % 2
    return 16 * block + 8 * pair + 2 * four + parity


def check_device(device: torch.device) -> None:
    """Raises AttentionError for a GPU without FP8 matrix instructions (before compute capability 8.9)."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < FIRST_CAPABILITY:
        major, minor = torch.cuda.get_device_capability(device)
        raise AttentionError(
            f"{torch.cuda.get_device_name(device)} has compute capability {major}.{minor}; FP8 pages need 8.9",
            'use kv_cache = "auto" on this GPU: a bf16 cache',
        )


def check_vector(name: str, tensor: torch.Tensor, dtype: torch.dtype, length: int, device: torch.device) -> None:
    """Raises AttentionError unless `tensor` is contiguous, of this dtype, [length], and on this device."""
    if tensor.dtype != dtype or tuple(tensor.shape) != (length,) or not tensor.is_contiguous():
        raise AttentionError(f"{name}: {tensor.dtype} {list(tensor.shape)}", f"expected contiguous {dtype} [{length}]")
    if tensor.device != device:
        raise AttentionError(f"{name} on {tensor.device}, the cache on {device}", "one device for all")


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
