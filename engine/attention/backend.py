"""fathom's attention as a backend of vLLM 0.32: centred FP8 pages in vLLM's paged cache, our kernels over them.

A step of vLLM is a batch of decoding requests, a few tokens each, followed by prefills. The builder of `metadata` looks
at the batch once for all layers; the implementation here writes a layer's new keys and values, then decodes and
prefills.
"""

from dataclasses import replace
from typing import Any, ClassVar

import torch
from vllm.v1.attention.backend import AttentionBackend, AttentionImpl, AttentionType
from vllm.v1.kv_cache_interface import AttentionSpec, KVCacheLayout, KVQuantMode

from ..errors import AttentionError
from .decode import decode
from .fit import FIRST_CAPABILITY, HEAD_DIMS, PAGES, PREFERRED_PAGE
from .layout import PageLayout
from .metadata import FathomMetadata, FathomMetadataBuilder, layout_of, page_of
from .plugin import BACKEND
from .prefill import prefill
from .write import write

_OFF = (None, -1, False)  # values of a layer's options that ask for nothing


def pages_in(kv_cache: torch.Tensor, layout: PageLayout) -> torch.Tensor:
    """vLLM's cache of a layer, uint8 [blocks, heads, page, token_bytes], as [blocks, heads, run_bytes]."""
    if kv_cache.dim() != 4 or not kv_cache.is_contiguous():
        raise AttentionError(
            f"vLLM's cache is {list(kv_cache.shape)} with strides {list(kv_cache.stride())}",
            "the kernels need each layer's blocks in one piece: leave VLLM_KV_CACHE_LAYOUT unset",
        )
    if kv_cache.shape[2] * kv_cache.shape[3] != layout.run_bytes:
        raise AttentionError(
            f"blocks of {kv_cache.shape[2]} tokens have {kv_cache.shape[3]} bytes a token, pages {layout.token_bytes}",
            f"use --block-size {PREFERRED_PAGE}",
        )
    return kv_cache.view(kv_cache.shape[0], layout.heads, layout.run_bytes)


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
        **others: Any,
    ) -> None:
        """As vLLM constructs it; `others` are what single models add, which must be switched off (None, −1, False)."""
        options = {"alibi_slopes": alibi_slopes, **others}
        used = [name for name, value in options.items() if isinstance(value, torch.Tensor) or value not in _OFF]
        if used:
            raise AttentionError(f"a layer has {', '.join(used)}", "leave --attention-backend away, or take another")
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
