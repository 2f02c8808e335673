"""What a step of vLLM is to the kernels: its batch split into decodes and prefills, once for all layers.

Decode can be replayed in a CUDA graph: whatever it reads stays at one address.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from vllm.config import VllmConfig
from vllm.v1.attention.backend import (
    AttentionCGSupport,
    AttentionMetadata,
    AttentionMetadataBuilder,
    CommonAttentionMetadata,
    max_decode_query_len,
)
from vllm.v1.attention.backends.utils import get_num_attention_heads_from_layers, split_decodes_and_prefills
from vllm.v1.kv_cache_interface import AttentionSpec

from ..errors import AttentionError
from .decode import decode
from .fit import PAGES, PREFERRED_PAGE
from .layout import FEW, PageLayout
from .plan import PrefillPlan, group_size, plan_prefill
from .plugin import BACKEND
from .prefill import prefill
from .tuning import MOST_ROWS
from .write import previous_blocks, write

_ELSEWHERE = "leave --attention-backend away, or take another backend"


def page_of(block_size: int) -> int:
    """Tokens of the pages that vLLM's blocks consist of: the largest page that divides them, 128 for other sizes."""
    return next((page for page in sorted(PAGES, reverse=True) if block_size % page == 0), PREFERRED_PAGE)


def layout_of(spec: AttentionSpec) -> PageLayout:
    """The page layout of a layer's cache. Raises AttentionError for a head size without kernels."""
    return PageLayout(spec.num_kv_heads, spec.head_size, page_of(spec.block_size))


@dataclass
class FathomMetadata(AttentionMetadata):
    """One step's batch. Requests are in vLLM's order, decodes first; tensors are on the device.

    `tokens` counts the batch's tokens, padding of a captured graph included; `slots` int64 and `previous` int32 are
    [tokens] as `write` takes them, `previous` None where no page begins with few tokens. `tables` int32
    [requests, pages], `contexts` int32 [requests].
    """

    tokens: int
    slots: torch.Tensor
    previous: torch.Tensor | None
    tables: torch.Tensor
    contexts: torch.Tensor
    decodes: int
    tokens_a_decode: int
    plan: PrefillPlan | None


def warm_up(layout: PageLayout, query_heads: int, window: int, dtype: torch.dtype, device: torch.device) -> None:
    """Compiles the kernels for one kind of layer, so that no request waits for it; soft-capped ones are left out."""
    cache = layout.allocate(32, device)
    tables = torch.arange(32, dtype=torch.int32, device=device)[None]
    for tokens in (1, 2 * layout.page, 1100):
        numbers = torch.zeros(tokens, query_heads + 2 * layout.heads, layout.head_dim, dtype=dtype, device=device)
        query, keys, values = numbers.split([query_heads, layout.heads, layout.heads], 1)
        slots = torch.arange(tokens, device=device) % (32 * layout.page)
        for previous in (None, torch.full_like(slots, -1, dtype=torch.int32)):
            write(cache, layout, keys, values, slots, previous)
    plan = plan_prefill(layout, query_heads, [tokens], [tokens], device, window)
    prefill(query, cache, tables, plan, 1.0, window=window)
    context = torch.tensor([tokens], dtype=torch.int32, device=device)
    decode(query[:1], cache, layout, tables, context, 1.0, window=window)
    write(cache, layout, keys[:1], values[:1], slots[:1], torch.full_like(slots[:1], -1, dtype=torch.int32), apart=True)


class FathomMetadataBuilder(AttentionMetadataBuilder[FathomMetadata]):
    """Splits a batch into decodes of equal length and the rest, and lays out the rest for the prefill kernel."""

    _cudagraph_support: ClassVar[AttentionCGSupport] = AttentionCGSupport.UNIFORM_BATCH

    def __init__(
        self, kv_cache_spec: AttentionSpec, layer_names: list[str], vllm_config: VllmConfig, device: torch.device
    ) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        _check_alone(vllm_config)
        self.layout = layout_of(kv_cache_spec)
        self.query_heads: int = get_num_attention_heads_from_layers(
            vllm_config, layer_names
        ) or vllm_config.model_config.get_num_attention_heads(vllm_config.parallel_config)
        self.window: int = getattr(kv_cache_spec, "sliding_window", None) or 0
        longest = _longest_decode(vllm_config, self.layout.head_dim, group_size(self.layout, self.query_heads))
        self._init_reorder_batch_threshold(1, supports_spec_as_decode=longest > 1)
        # With speculation vLLM's host does not know how many drafts were accepted, so its lengths are upper bounds.
        self.speculates = vllm_config.speculative_config is not None
        captured = vllm_config.compilation_config.max_cudagraph_capture_size or 0
        tokens = max(vllm_config.scheduler_config.max_num_batched_tokens, captured)
        self.previous = torch.full((tokens,), -1, dtype=torch.int32, device=device)
        if device.type == "cuda":
            warm_up(self.layout, self.query_heads, self.window, vllm_config.model_config.dtype, device)

    @classmethod
    def get_cudagraph_support(cls, vllm_config: VllmConfig, kv_cache_spec: AttentionSpec) -> AttentionCGSupport:
        """Decode graphs also for drafts under verification, where a program can take that many rows."""
        config = vllm_config.model_config
        group = config.get_num_attention_heads(vllm_config.parallel_config) // kv_cache_spec.num_kv_heads
        if _longest_decode(vllm_config, kv_cache_spec.head_size, group) < max_decode_query_len(vllm_config):
            return AttentionCGSupport.UNIFORM_SINGLE_TOKEN_DECODE
        return cls._cudagraph_support

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> FathomMetadata:
        common = common_attn_metadata
        if common.causal is not True:
            raise AttentionError("vLLM asks for attention that is not causal", _ELSEWHERE)
        contexts = common.seq_lens_cpu_upper_bound
        if contexts is None:
            contexts = common.seq_lens.cpu()  # waits, also for a copy of the query lengths that is still on its way
        tokens = common.num_actual_tokens
        starts = common.query_start_loc_cpu
        lengths = starts[1:] - starts[:-1]
        decodes, _, decode_tokens, _ = split_decodes_and_prefills(
            common, decode_threshold=self.reorder_batch_threshold or 1, require_uniform=True
        )
        each = int(lengths[0]) if decodes else 0
        if not each or decodes * each != decode_tokens:  # requests without tokens among them
            decodes, decode_tokens, each = 0, 0, 0
        previous = None
        if decode_tokens == tokens or self._begins_with_few(contexts, lengths):
            previous = self.previous[:tokens]
            previous_blocks(
                common.block_table_tensor, common.query_start_loc, common.seq_lens, self.layout.page, previous
            )
        return FathomMetadata(
            tokens,
            common.slot_mapping[:tokens],
            previous,
            common.block_table_tensor,
            common.seq_lens,
            decodes,
            each,
            self._plan(common, contexts, lengths, decodes) if decode_tokens < tokens else None,
        )

    def build_for_cudagraph_capture(self, common_attn_metadata: CommonAttentionMetadata) -> FathomMetadata:
        found = self.build(0, common_attn_metadata)
        if found.plan is not None:  # its tiles would not be there when the graph is replayed
            raise AttentionError("vLLM captures a graph of a batch that is not all decodes", _ELSEWHERE)
        return found

    def _begins_with_few(self, contexts: torch.Tensor, lengths: torch.Tensor) -> bool:
        """Whether some page may take its centre from the one before it, because few of its tokens are here."""
        if self.speculates:
            return True
        last = contexts[: len(lengths)].numpy() % self.layout.page
        return bool(((last > 0) & (last < FEW) & (last <= lengths.numpy())).any())

    def _plan(
        self, common: CommonAttentionMetadata, contexts: torch.Tensor, lengths: torch.Tensor, decodes: int
    ) -> PrefillPlan:
        plan = plan_prefill(
            self.layout,
            self.query_heads,
            lengths[decodes:].tolist(),
            contexts[decodes : len(lengths)].tolist(),
            self.device,
            self.window,
        )
        if self.speculates:
            plan.tiles[:, 4] = common.seq_lens[decodes:][plan.tiles[:, 0].long()]
        return plan


def _check_alone(vllm_config: VllmConfig) -> None:
    """Raises AttentionError where some layers of a model are served by another backend: their pages differ."""
    layers = vllm_config.compilation_config.static_forward_context.items()
    served: dict[str, Any] = {name: layer.get_attn_backend().get_name() for name, layer in layers if _attends(layer)}
    others = {name: backend for name, backend in served.items() if backend != BACKEND}
    if others:
        name, backend = next(iter(others.items()))
        raise AttentionError(f"{len(others)} of {len(served)} layers are {backend}'s, such as {name}", _ELSEWHERE)


def _attends(layer: Any) -> bool:
    return hasattr(layer, "get_attn_backend") and getattr(layer, "kv_cache_dtype", None) is not None


def _longest_decode(vllm_config: VllmConfig, head_dim: int, group: int) -> int:
    """Tokens of a request that the decode kernel takes: all that are verified, or one at a time."""
    verified: int = max_decode_query_len(vllm_config)
    return verified if verified * group <= MOST_ROWS[head_dim] else 1
