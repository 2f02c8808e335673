"""Workloads of the attention benchmark: their sizes, random tensors for them, and our pages of those."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from engine.attention.decode import decode
from engine.attention.layout import PageLayout
from engine.attention.plan import plan_prefill
from engine.attention.prefill import prefill
from engine.attention.write import write

Run = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A workload: heads, head size, and query and context lengths of its sequences."""

    name: str
    heads: tuple[int, int]
    head_dim: int
    query_lengths: list[int]
    context_lengths: list[int]

    @property
    def flops(self) -> float:
        """Causal operations of prefill."""
        pairs = sum(q * n - q * q / 2 for q, n in zip(self.query_lengths, self.context_lengths, strict=True))
        return 4 * self.heads[0] * self.head_dim * pairs

    @property
    def fp8_bytes(self) -> int:
        """Bytes of all FP8 keys and values, read once."""
        return 2 * self.heads[1] * self.head_dim * sum(self.context_lengths)


def one_length(name: str, heads: tuple[int, int], head_dim: int, queries: int, context: int, batch: int = 1) -> Case:
    """A batch of sequences of one length."""
    return Case(name, heads, head_dim, [queries] * batch, [context] * batch)


MIXED = [512, 1024, 1536, 2048, 3000, 4096, 4096, 6000, 8192, 8192, 10000, 12000, 16384, 20000, 24000, 32768]
PREFILL = [
    one_length("32/8 D128, 8K", (32, 8), 128, 8192, 8192),
    one_length("32/8 D128, 32K", (32, 8), 128, 8192, 32768),
    one_length("32/8 D128, 128K", (32, 8), 128, 8192, 131072),
    one_length("28/4 D128, 32K", (28, 4), 128, 8192, 32768),
    one_length("12/2 D128, 32K", (12, 2), 128, 8192, 32768),
    one_length("16/8 D128, 32K", (16, 8), 128, 8192, 32768),
    one_length("9/3 D64, 32K", (9, 3), 64, 8192, 32768),
    Case("32/8 D128, 16 mixed", (32, 8), 128, [min(512, n) for n in MIXED], MIXED),
]
DECODE = [
    one_length("32/8 D128, 128K × 1", (32, 8), 128, 1, 131072),
    one_length("32/8 D128, 128K × 16", (32, 8), 128, 1, 131072, 16),
    one_length("32/8 D128, 32K × 1", (32, 8), 128, 1, 32768),
    one_length("32/8 D128, 8K × 1", (32, 8), 128, 1, 8192),
    one_length("32/8 D128, 8K × 64", (32, 8), 128, 1, 8192, 64),
    one_length("32/8 D128, 2K × 256", (32, 8), 128, 1, 2048, 256),
    one_length("28/4 D128, 32K × 8", (28, 4), 128, 1, 32768, 8),
    one_length("9/3 D64, 32K × 8", (9, 3), 64, 1, 32768, 8),
]


@dataclass(frozen=True)
class Problem:
    """Sequences as plain tensors: query [tokens, Hq, D] bf16; keys and values [all pages · page, Hkv, D] bf16.

    Every sequence starts at a multiple of 128 in `keys` and `values`, at `starts`.
    """

    query: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    starts: list[int]
    query_lengths: list[int]
    context_lengths: list[int]
    scale: float

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.query.device

    def int32(self, numbers: list[int]) -> torch.Tensor:
        """Numbers on the device."""
        return torch.tensor(numbers, dtype=torch.int32, device=self.device)

    def query_starts(self) -> torch.Tensor:
        """Cumulative query lengths, int32 [sequences + 1]."""
        return self.int32([sum(self.query_lengths[:i]) for i in range(len(self.query_lengths) + 1)])

    def tables(self, page: int) -> torch.Tensor:
        """Block tables of pages in their order in `keys`, int32 [sequences, pages]."""
        most = max(-(-length // page) for length in self.context_lengths)
        rows = [[start // page + index for index in range(most)] for start in self.starts]
        last = self.keys.shape[0] // page - 1
        return torch.tensor(rows, dtype=torch.int32, device=self.device).clamp(max=last)


def make_problem(case: Case, key_bias: float = 0.0) -> Problem:
    """Random tensors; values have a mean of 0.5, and `key_bias` adds one vector of that size to all keys."""
    heads, kv_heads = case.heads
    starts, end = [], 0
    for length in case.context_lengths:
        starts.append(end)
        end += -(-length // 128) * 128
    shape = (end, kv_heads, case.head_dim)
    bias = key_bias * torch.randn(1, kv_heads, case.head_dim, device="cuda")
    keys = (torch.randn(shape, device="cuda") + bias).to(torch.bfloat16)
    values = (torch.randn(shape, device="cuda") + 0.5).to(torch.bfloat16)
    query = torch.randn(sum(case.query_lengths), heads, case.head_dim, device="cuda").to(torch.bfloat16)
    lengths = (case.query_lengths, case.context_lengths)
    return Problem(query, keys, values, starts, *lengths, case.head_dim**-0.5)


@dataclass(frozen=True)
class Ours:
    """A problem's pages as our kernels keep them, written by our write kernel into shuffled blocks."""

    problem: Problem
    layout: PageLayout
    cache: torch.Tensor
    tables: torch.Tensor

    @staticmethod
    def of(problem: Problem, page: int) -> "Ours":
        """Writes the problem's keys and values, 32,768 tokens a call."""
        layout = PageLayout(problem.keys.shape[1], problem.keys.shape[2], page)
        blocks = problem.keys.shape[0] // page
        order = torch.randperm(blocks, device="cuda")
        cache = layout.allocate(blocks, "cuda")
        token = torch.arange(problem.keys.shape[0], device="cuda")
        slots = order[token // page] * page + token % page
        for first in range(0, len(token), 32768):
            part = slice(first, first + 32768)
            write(cache, layout, problem.keys[part], problem.values[part], slots[part])
        return Ours(problem, layout, cache, order.to(torch.int32)[problem.tables(page).long()])

    def prefill(self, kernel: str = "auto") -> Run:
        """Our prefill of the problem's queries."""
        problem, heads = self.problem, self.problem.query.shape[1]
        plan = plan_prefill(self.layout, heads, problem.query_lengths, problem.context_lengths, "cuda")
        out = torch.empty_like(problem.query)
        return lambda: prefill(problem.query, self.cache, self.tables, plan, problem.scale, out=out, kernel=kernel)

    def decode(self) -> Run:
        """Our decode of the problem's queries, one a sequence."""
        problem, out = self.problem, torch.empty_like(self.problem.query)
        lengths = problem.int32(problem.context_lengths)
        return lambda: decode(problem.query, self.cache, self.layout, self.tables, lengths, problem.scale, out=out)

    def write(self) -> Run:
        """Our write of the last tokens of each sequence, as many as it has queries, once more."""
        problem, page = self.problem, self.layout.page
        pairs = list(zip(problem.query_lengths, problem.context_lengths, strict=True))
        positions = torch.cat([torch.arange(n - q, n, device=problem.device) for q, n in pairs])
        counts = torch.tensor(problem.query_lengths, device=problem.device)
        sequence = torch.repeat_interleave(torch.arange(len(pairs), device=problem.device), counts)
        slots = self.tables[sequence, positions // page].long() * page + positions % page
        previous = self.tables[sequence, (positions // page - 1).clamp(min=0)]
        keys, values = problem.keys[: len(positions)], problem.values[: len(positions)]

        def run() -> torch.Tensor:
            write(self.cache, self.layout, keys, values, slots, previous)
            return self.cache

        return run
