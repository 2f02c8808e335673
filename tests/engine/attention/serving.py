"""vLLM's part of a step, played by hand: block tables, slots and lengths as its model runner gives a backend."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from vllm.v1.attention.backend import CommonAttentionMetadata
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheLayout, KVCacheTensor, KVQuantMode
from vllm.v1.kv_cache_interface import create_kv_cache_views as vllm_views
from vllm.v1.worker.utils import customize_attention_spec

from engine.attention import reference
from engine.attention.backend import FathomBackend, FathomImpl
from engine.attention.metadata import FathomMetadata, FathomMetadataBuilder
from tests.engine.attention.batches import error
from tests.engine.attention.conftest import DEVICE

MOST_TOKENS = 512


def spec_of(heads: int, head_dim: int, block: int) -> FullAttentionSpec:
    """The spec of a layer as vLLM makes it for an FP8 cache, then as the backend changes it."""
    spec = FullAttentionSpec(
        block_size=block, num_kv_heads=heads, head_size=head_dim, dtype=torch.uint8,
        kv_quant_mode=KVQuantMode.FP8_PER_TENSOR,
    )  # fmt: skip
    return customize_attention_spec(FathomBackend, spec)


def vllm_settings(query_heads: int, drafts: int = 0) -> Any:
    """As much of a VllmConfig as a builder reads."""
    return SimpleNamespace(
        scheduler_config=SimpleNamespace(max_num_batched_tokens=MOST_TOKENS),
        compilation_config=SimpleNamespace(max_cudagraph_capture_size=8, static_forward_context={}),
        parallel_config=SimpleNamespace(decode_context_parallel_size=1),
        speculative_config=(
            SimpleNamespace(num_speculative_tokens=drafts, parallel_drafting=False) if drafts else None
        ),
        model_config=SimpleNamespace(get_num_attention_heads=lambda _: query_heads, dtype=torch.bfloat16),
        use_v2_model_runner=True,
    )


@dataclass
class Request:
    """One request: its blocks in order and every key and value that it has written."""

    blocks: list[int]
    keys: torch.Tensor
    values: torch.Tensor
    upper_bound: int = 0  # tokens that vLLM's host believes in, above those there are

    @property
    def tokens(self) -> int:
        return len(self.keys)


@dataclass
class Served:
    """One layer of a model behind the backend, its cache full of NaN at first."""

    heads: int = 2
    group: int = 2
    head_dim: int = 64
    block: int = 128
    kernel_block: int | None = None
    blocks: int = 12
    drafts: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spec = spec_of(self.heads, self.head_dim, self.block)
        page_bytes = self.spec.page_size_bytes
        raw = torch.full((self.blocks * page_bytes,), 0x7F, dtype=torch.int8, device=DEVICE)
        tensor = KVCacheTensor(
            size=raw.numel(), layers=["layer"], offset=0, layer_stride=raw.numel(), block_stride=page_bytes
        )
        self.page = self.kernel_block or self.block
        views = vllm_views(raw, self.spec, self.blocks, KVCacheLayout.LBHNC, tensor, self.page)
        self.cache = views[0]
        settings = vllm_settings(self.heads * self.group, self.drafts)
        spec = self.spec.copy_with_new_block_size(self.page)
        self.builder = FathomMetadataBuilder(spec, ["layer"], settings, DEVICE)
        self.impl = FathomImpl(
            self.heads * self.group, self.head_dim, self.head_dim**-0.5, self.heads, kv_cache_dtype="fp8",
            **self.options,
        )  # fmt: skip

    def request(self, *blocks: int) -> Request:
        """An empty request with these kernel blocks."""
        empty = torch.zeros(0, self.heads, self.head_dim, dtype=torch.bfloat16, device=DEVICE)
        return Request(list(blocks), empty, empty)

    def common(self, batch: list[tuple[Request, int]], padded: int = 0) -> CommonAttentionMetadata:
        """What the model runner says of a batch of requests whose last so many tokens are new."""
        lengths = [new for _, new in batch] + [0] * padded
        starts = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
        rows = len(lengths)
        tables = torch.zeros(rows, 8, dtype=torch.int32)
        contexts, slots = torch.zeros(rows, dtype=torch.int32), []
        upper = torch.zeros(rows, dtype=torch.int32)
        for row, (request, new) in enumerate(batch):
            tables[row, : len(request.blocks)] = torch.tensor(request.blocks, dtype=torch.int32)
            contexts[row] = request.tokens
            upper[row] = request.tokens + request.upper_bound
            for token in range(request.tokens - new, request.tokens):
                slots.append(request.blocks[token // self.page] * self.page + token % self.page)
        tokens = sum(lengths) + padded * (lengths[0] if padded else 0)
        slots += [-1] * (tokens - len(slots))
        return CommonAttentionMetadata(
            query_start_loc=starts.to(DEVICE),
            query_start_loc_cpu=starts,
            seq_lens=contexts.to(DEVICE),
            seq_lens_cpu_upper_bound=upper,
            num_reqs=rows,
            num_actual_tokens=tokens,
            max_query_len=max(lengths),
            max_seq_len=int(upper.max()),
            block_table_tensor=tables.to(DEVICE),
            slot_mapping=torch.tensor(slots, dtype=torch.int64, device=DEVICE),
        )

    def step(self, batch: list[tuple[Request, int]], padded: int = 0) -> tuple[FathomMetadata, list[float]]:
        """Gives each request new tokens, runs them, and tells each request's error against float64.

        `padded` requests without tokens stand at the end, as in a captured graph; rows beyond the batch are poisoned
        and must stay so.
        """
        for request, new in batch:
            shape = (new, self.heads, self.head_dim)
            keys = torch.randn(shape, device=DEVICE) + 3.0
            values = torch.randn(shape, device=DEVICE) + 0.5
            request.keys = torch.cat([request.keys, keys.to(torch.bfloat16)])
            request.values = torch.cat([request.values, values.to(torch.bfloat16)])
        metadata = self.builder.build(0, self.common(batch, padded))
        tokens = metadata.tokens
        spare = 3
        query = torch.randn(tokens + spare, self.heads * self.group, self.head_dim, device=DEVICE).to(torch.bfloat16)
        keys, values = (
            torch.cat([*(getattr(r, name)[r.tokens - n :] for r, n in batch), torch.full_like(r0[:1], torch.nan)])
            for name, r0 in (("keys", batch[0][0].keys), ("values", batch[0][0].values))
        )
        fill = tokens + spare - len(keys)
        keys, values = (torch.cat([part, part[-1:].expand(fill, -1, -1)]) for part in (keys, values))
        output = torch.full_like(query, torch.nan)
        result = self.impl.forward(None, query, keys, values, self.cache, metadata, output)
        assert result is output
        assert output[tokens:].isnan().all()
        errors, first = [], 0
        for request, new in batch:
            exact = reference.attention(
                query[first : first + new], request.keys, request.values, self.impl.scale,
                window=self.impl.window, softcap=self.impl.softcap,
            )  # fmt: skip
            errors.append(error(output[first : first + new], exact))
            first += new
        return metadata, errors
