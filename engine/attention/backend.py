"""fathom's attention as a backend of vLLM 0.32: centred FP8 pages in vLLM's paged cache, our kernels over them.

A step of vLLM is a batch of decoding requests, a few tokens each, followed by prefills. The builder looks at the batch
once for all layers; the implementation writes a layer's new keys and values, then decodes and prefills. Decode can be
replayed in a CUDA graph: whatever it reads stays at one address.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from vllm.config import VllmConfig
from vllm.v1.attention.backend import (
    AttentionBackend,
    AttentionCGSupport,
    AttentionImpl,
    AttentionMetadata,
    AttentionMetadataBuilder,
    AttentionType,
    CommonAttentionMetadata,
)
from vllm.v1.attention.backends.utils import get_num_attention_heads_from_layers, split_decodes_and_prefills
from vllm.v1.kv_cache_interface import AttentionSpec, KVCacheLayout, KVQuantMode

from ..errors import AttentionError
from .decode import decode
from .layout import FEW, FIRST_CAPABILITY, HEAD_DIMS, PAGES, PREFERRED_PAGE, PageLayout
from .plan import PrefillPlan, group_size, plan_prefill
from .plugin import BACKEND
from .prefill import prefill
from .tuning import MOST_ROWS
from .write import previous_blocks, write


def page_of(block_size: int) -> int:
    """Tokens of the pages that vLLM's blocks consist of: the largest page that divides them, 128 for other sizes."""
    return next((page for page in sorted(PAGES, reverse=True) if block_size % page == 0), PREFERRED_PAGE)


def layout_of(spec: AttentionSpec) -> PageLayout:
    """The page layout of a layer's cache. Raises AttentionError for a head size without kernels."""
    return PageLayout(spec.num_kv_heads, spec.head_size, page_of(spec.block_size))


def pages_in(kv_cache: torch.Tensor, layout: PageLayout) -> torch.Tensor:
    """vLLM's cache of a layer, uint8 [blocks, heads, page, token_bytes], as [blocks, heads, run_bytes]."""
    if kv_cache.dim() != 4 or not kv_cache.is_contiguous():
        raise AttentionError(
            f"vLLM's cache is {list(kv_cache.shape)} with strides {list(kv_cache.stride())}",
            "the kernels need each layer's blocks in one piece: leave VLLM_KV_CACHE_LAYOUT unset",
        )
    return kv_cache.view(kv_cache.shape[0], layout.heads, layout.run_bytes)


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


def warm_up(layout: PageLayout, dtype: torch.dtype, device: torch.device) -> None:
    """Compiles the forms of `write` that depend on the number of tokens, so that no request waits for it.

    vLLM's own warm-up and the capture of graphs run the other kernels.
    """
    cache = layout.allocate(32, device)
    for tokens in (1, 2 * layout.page, 1100):
        numbers = torch.zeros(tokens, 3 * layout.heads, layout.head_dim, dtype=dtype, device=device)
        keys, values = numbers[:, : layout.heads], numbers[:, layout.heads : 2 * layout.heads]
        slots = torch.arange(tokens, device=device) % (32 * layout.page)
        for previous in (None, torch.full_like(slots, -1, dtype=torch.int32)):
            write(cache, layout, keys, values, slots, previous)


class FathomMetadataBuilder(AttentionMetadataBuilder[FathomMetadata]):
    """Splits a batch into decodes of equal length and the rest, and lays out the rest for the prefill kernel."""

    _cudagraph_support: ClassVar[AttentionCGSupport] = AttentionCGSupport.UNIFORM_BATCH

    def __init__(
        self, kv_cache_spec: AttentionSpec, layer_names: list[str], vllm_config: VllmConfig, device: torch.device
    ) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
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
            warm_up(self.layout, vllm_config.model_config.dtype, device)

    @classmethod
    def get_cudagraph_support(cls, vllm_config: VllmConfig, kv_cache_spec: AttentionSpec) -> AttentionCGSupport:
        """Decode graphs also for drafts under verification, where a program can take that many rows."""
        config = vllm_config.model_config
        group = config.get_num_attention_heads(vllm_config.parallel_config) // kv_cache_spec.num_kv_heads
        if _longest_decode(vllm_config, kv_cache_spec.head_size, group) < _verified_tokens(vllm_config):
            return AttentionCGSupport.UNIFORM_SINGLE_TOKEN_DECODE
        return cls._cudagraph_support

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> FathomMetadata:
        common = common_attn_metadata
        tokens = common.num_actual_tokens
        starts = common.query_start_loc_cpu
        lengths = starts[1:] - starts[:-1]
        decodes, _, decode_tokens, _ = split_decodes_and_prefills(
            common, decode_threshold=self.reorder_batch_threshold or 1, require_uniform=True
        )
        each = int(lengths[0]) if decodes else 0
        if decodes * each != decode_tokens:  # requests without tokens among them
            decodes, decode_tokens, each = 0, 0, 0
        previous = None
        if decode_tokens == tokens or self._begins_with_few(common, lengths):
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
            self._plan(common, lengths, decodes) if decode_tokens < tokens else None,
        )

    def _begins_with_few(self, common: CommonAttentionMetadata, lengths: torch.Tensor) -> bool:
        """Whether some page may take its centre from the one before it, because few of its tokens are here."""
        contexts = common.seq_lens_cpu_upper_bound
        if contexts is None or self.speculates:
            return True
        last = contexts[: len(lengths)].numpy() % self.layout.page
        return bool(((last > 0) & (last < FEW) & (last <= lengths.numpy())).any())

    def _plan(self, common: CommonAttentionMetadata, lengths: torch.Tensor, decodes: int) -> PrefillPlan:
        contexts = common.seq_lens_cpu_upper_bound
        exact = contexts is None or not self.speculates
        if contexts is None:
            contexts = common.seq_lens.cpu()
        plan = plan_prefill(
            self.layout,
            self.query_heads,
            lengths[decodes:].tolist(),
            contexts[decodes : len(lengths)].tolist(),
            self.device,
            self.window,
        )
        if not exact:
            plan.tiles[:, 4] = common.seq_lens[decodes:][plan.tiles[:, 0].long()]
        return plan


class FathomImpl(AttentionImpl[FathomMetadata]):
    """One layer's attention."""

    def __init__(
        self,
        num_heads: int,
        head_size: int,
        scale: float,
        num_kv_heads: int | None = None,
        alibi_slopes: list[float] | None = None,
        sliding_window: int | None = None,
        kv_cache_dtype: str = "auto",
        logits_soft_cap: float | None = None,
        attn_type: str = AttentionType.DECODER,
        kv_sharing_target_layer_name: str | None = None,
    ) -> None:
        if alibi_slopes is not None:
            raise AttentionError("a layer uses ALiBi", 'use kv_cache = "auto", or serve it with another backend')
        self.num_heads = num_heads
        self.head_size = head_size
        self.scale = float(scale)
        self.num_kv_heads = num_kv_heads or num_heads
        self.kv_cache_dtype = kv_cache_dtype
        self.window = sliding_window or 0
        self.softcap = float(logits_soft_cap or 0.0)
        self.writes = kv_sharing_target_layer_name is None

    def forward(
        self,
        layer: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: FathomMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Writes the new keys and values and fills `output` [tokens, Hq, D], both past the batch's end excepted.

        Scales of a checkpoint's FP8 cache are not used: pages are centred instead.
        """
        if output_scale is not None or output_block_scale is not None:
            raise NotImplementedError("fathom's attention writes its output unquantised")
        if attn_metadata is None:  # vLLM measures the memory that the rest of the model needs
            return output.fill_(0)
        batch = attn_metadata
        layout = PageLayout(self.num_kv_heads, self.head_size, page_of(kv_cache.shape[2]))
        cache = pages_in(kv_cache, layout)
        tokens = batch.tokens
        if self.writes:
            apart = batch.plan is None and batch.tokens_a_decode == 1
            write(cache, layout, key[:tokens], value[:tokens], batch.slots, batch.previous, apart=apart)
        decoded = batch.decodes * batch.tokens_a_decode
        if batch.decodes:
            decode(
                query[:decoded], cache, layout, batch.tables, batch.contexts[: batch.decodes], self.scale,
                tokens=batch.tokens_a_decode, window=self.window, softcap=self.softcap, out=output[:decoded],
            )  # fmt: skip
        if batch.plan is not None:
            prefill(
                query[decoded:tokens], cache, batch.tables[batch.decodes :], batch.plan, self.scale,
                window=self.window, softcap=self.softcap, out=output[decoded:tokens],
            )  # fmt: skip
        return output


class FathomBackend(AttentionBackend):
    """Centred FP8 pages for decoder-only models; what it does not serve it says before anything is loaded."""

    supported_dtypes: ClassVar[list[torch.dtype]] = [torch.bfloat16, torch.float16]
    supported_kv_cache_dtypes: ClassVar[list[str]] = ["fp8", "fp8_e4m3"]
    forward_includes_kv_cache_update = True

    @staticmethod
    def get_name() -> str:
        return BACKEND

    @staticmethod
    def get_impl_cls() -> type[FathomImpl]:
        return FathomImpl

    @staticmethod
    def get_builder_cls() -> type[FathomMetadataBuilder]:
        return FathomMetadataBuilder

    @classmethod
    def supported_kv_cache_layouts(cls) -> tuple[KVCacheLayout, ...]:
        """Layers apart, and in a layer each head's page in one piece."""
        return (KVCacheLayout.LBHNC,)

    @classmethod
    def customize_spec(cls, spec: AttentionSpec) -> AttentionSpec:
        """The bytes of a token in a page, its share of the centre included."""
        if spec.state_content_bytes is not None or spec.kv_quant_mode != KVQuantMode.FP8_PER_TENSOR:
            return spec
        return replace(spec, state_content_bytes=layout_of(spec).token_bytes)

    @staticmethod
    def get_supported_kernel_block_sizes(kv_cache_spec: AttentionSpec | None = None) -> list[int]:
        return list(PAGES)

    @classmethod
    def get_preferred_block_size(cls, default_block_size: int) -> int:
        return default_block_size if default_block_size % PREFERRED_PAGE == 0 else PREFERRED_PAGE

    @classmethod
    def get_supported_head_sizes(cls) -> list[int]:
        return list(HEAD_DIMS)

    @classmethod
    def supports_sliding_window(cls) -> bool:
        return True

    @classmethod
    def supports_kv_cache_dtype(cls, kv_cache_dtype: str | None) -> bool:
        return kv_cache_dtype in cls.supported_kv_cache_dtypes

    @classmethod
    def supports_compute_capability(cls, capability: Any) -> bool:
        return bool((capability.major, capability.minor) >= FIRST_CAPABILITY)

    @classmethod
    def supports_device_cpu_query_lens_mismatch(cls) -> bool:
        return False


def _verified_tokens(vllm_config: VllmConfig) -> int:
    """Tokens of one request in a decode step: one, and the drafts that it verifies."""
    speculative = vllm_config.speculative_config
    return 1 + (speculative.num_speculative_tokens or 0) if speculative is not None else 1


def _longest_decode(vllm_config: VllmConfig, head_dim: int, group: int) -> int:
    """Tokens of a request that the decode kernel takes: all that are verified, or one at a time."""
    verified = _verified_tokens(vllm_config)
    return verified if verified * group <= MOST_ROWS[head_dim] else 1
