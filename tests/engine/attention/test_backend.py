"""The backend inside vLLM's interface: steps of a server against float64, in Triton's interpreter where no GPU is."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm.v1.attention.backend import AttentionCGSupport
from vllm.v1.attention.backends.utils import get_supported_kv_cache_layouts
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheLayout, KVQuantMode, SlidingWindowSpec
from vllm.v1.worker.utils import customize_attention_spec, select_common_block_size

from engine.attention.backend import FathomBackend
from engine.attention.fit import HEAD_DIMS
from engine.attention.layout import PageLayout
from engine.attention.metadata import FathomMetadataBuilder, layout_of, page_of
from engine.errors import AttentionError
from tests.engine.attention.batches import SHORT_CONTEXT
from tests.engine.attention.conftest import DEVICE
from tests.engine.attention.serving import Served, spec_of, vllm_settings


@pytest.mark.parametrize("block", [64, 128, 192, 256, 512])
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_a_block_of_vllm_is_whole_pages_of_ours(head_dim: int, block: int) -> None:
    spec = spec_of(3, head_dim, block)
    page = select_common_block_size(block, [FathomBackend], [spec])
    assert page == page_of(block)
    assert spec.page_size_bytes == block // page * 3 * PageLayout(3, head_dim, page).run_bytes
    assert layout_of(spec) == layout_of(spec.copy_with_new_block_size(page))
    assert spec.get_block_stride_alignment() in (1, 3 * PageLayout(3, head_dim, page).run_bytes)


def test_the_spec_of_a_window_counts_the_centre_too() -> None:
    spec = SlidingWindowSpec(
        block_size=1, num_kv_heads=2, head_size=128, dtype=torch.uint8, sliding_window=512,
        kv_quant_mode=KVQuantMode.FP8_PER_TENSOR,
    )  # fmt: skip
    assert FathomBackend.customize_spec(spec).real_page_size_bytes == 2 * 258


def test_other_caches_keep_their_spec() -> None:
    spec = FullAttentionSpec(block_size=128, num_kv_heads=2, head_size=128, dtype=torch.bfloat16)
    assert FathomBackend.customize_spec(spec) is spec
    once = spec_of(2, 128, 128)
    assert FathomBackend.customize_spec(once) is once
    assert customize_attention_spec(FathomBackend, once) == once


def test_blocks_are_of_128_unless_the_user_says_a_multiple() -> None:
    assert [FathomBackend.get_preferred_block_size(size) for size in (16, 64, 128, 256)] == [128, 128, 128, 256]
    assert [FathomBackend.supports_block_size(size) for size in (None, 16, 64, 96, 128, 192)] == [
        True, False, True, False, True, True,
    ]  # fmt: skip


def test_layers_lie_apart_and_heads_in_one_piece() -> None:
    assert get_supported_kv_cache_layouts([FathomBackend]) == [KVCacheLayout.LBHNC]
    other = torch.zeros(2, 128, 3, 130, dtype=torch.uint8).transpose(1, 2)
    served = Served(heads=3)
    served.cache = other.to(DEVICE)
    with pytest.raises(AttentionError, match=r"vLLM.s cache is \[2, 3, 128, 130\] with strides"):
        served.step([(served.request(1), 1)])


def test_a_prompt_in_odd_chunks_then_decode_over_a_pages_edge() -> None:
    served = Served()
    request = served.request(5, 2, 9)
    for new in (77, 1, 130, 45, 1, 1, 1, 1):
        _, errors = served.step([(request, new)])
        assert errors[0] < SHORT_CONTEXT
    assert request.tokens == 257


def test_decodes_and_prefills_in_one_step() -> None:
    served = Served(heads=1, group=6, head_dim=128, block=64)
    first, second, third = served.request(1, 2), served.request(3, 4), served.request(5)
    served.step([(first, 63), (second, 90)])
    metadata, errors = served.step([(first, 1), (second, 1), (third, 40)])
    assert (metadata.decodes, metadata.tokens_a_decode, metadata.plan is not None) == (2, 1, True)
    assert max(errors) < SHORT_CONTEXT
    metadata, errors = served.step([(first, 1), (second, 1), (third, 1)])
    assert (metadata.decodes, metadata.plan) == (3, None)
    assert max(errors) < SHORT_CONTEXT


def test_a_prefix_that_another_request_wrote() -> None:
    served = Served()
    first = served.request(7, 3, 6)
    served.step([(first, 300)])
    second = served.request(7, 3, 8)
    second.keys, second.values = first.keys[:256], first.values[:256]
    _, errors = served.step([(second, 5)])
    assert errors[0] < SHORT_CONTEXT
    _, errors = served.step([(first, 1), (second, 1)])
    assert max(errors) < SHORT_CONTEXT


def test_blocks_of_a_preempted_request_serve_another() -> None:
    served = Served()
    first = served.request(4, 1)
    served.step([(first, 200)])
    second = served.request(1, 4)
    _, errors = served.step([(second, 131)])
    assert errors[0] < SHORT_CONTEXT
    again = served.request(2, 3)  # the first one comes back, recomputed elsewhere
    _, errors = served.step([(second, 1), (again, 201)])
    assert max(errors) < SHORT_CONTEXT


def test_a_captured_batch_with_places_left() -> None:
    served = Served()
    requests = [served.request(1, 2), served.request(3, 4)]
    served.step([(requests[0], 100), (requests[1], 128)])
    address = served.builder.previous.data_ptr()
    metadata, errors = served.step([(request, 1) for request in requests], padded=2)
    assert (metadata.tokens, metadata.decodes, metadata.plan) == (4, 4, None)
    assert metadata.previous is not None
    assert metadata.previous.data_ptr() == address
    assert max(errors) < SHORT_CONTEXT


def test_drafts_are_verified_together_and_rejected_ones_forgotten() -> None:
    served = Served(drafts=3, group=3)
    requests = [served.request(1, 2), served.request(3, 4)]
    served.step([(requests[0], 123), (requests[1], 50)])
    metadata, errors = served.step([(request, 4) for request in requests])
    assert (metadata.decodes, metadata.tokens_a_decode, metadata.plan) == (2, 4, None)
    assert max(errors) < SHORT_CONTEXT
    for request in requests:  # two of the drafts were wrong; one request's began a page
        request.keys, request.values = request.keys[:-2], request.values[:-2]
    _, errors = served.step([(request, 4) for request in requests])
    assert max(errors) < SHORT_CONTEXT


def test_lengths_that_the_host_overestimates_are_read_from_the_device() -> None:
    served = Served(drafts=3)
    one, two, three = served.request(1, 2), served.request(3, 4), served.request(5, 6)
    served.step([(one, 70), (two, 90), (three, 20)])
    one.upper_bound = two.upper_bound = 3
    metadata, errors = served.step([(one, 4), (two, 2), (three, 60)])
    assert metadata.decodes == 1
    assert metadata.plan is not None
    assert sorted(metadata.plan.tiles[:, 4].tolist()) == [80, 92]
    assert max(errors) < SHORT_CONTEXT


def test_verification_that_no_program_can_take_goes_to_prefill() -> None:
    assert FathomMetadataBuilder.get_cudagraph_support(vllm_settings(32, 3), spec_of(2, 64, 128)) == (
        AttentionCGSupport.UNIFORM_BATCH
    )
    assert FathomMetadataBuilder.get_cudagraph_support(vllm_settings(32, 8), spec_of(2, 64, 128)) == (
        AttentionCGSupport.UNIFORM_SINGLE_TOKEN_DECODE
    )
    served = Served(heads=1, group=16, drafts=8)
    request = served.request(1, 2)
    served.step([(request, 30)])
    metadata, errors = served.step([(request, 9)])
    assert (metadata.decodes, metadata.plan is not None) == (0, True)
    assert errors[0] < SHORT_CONTEXT


@pytest.mark.parametrize("options", [{"sliding_window": 50}, {"logits_soft_cap": 30.0}], ids=["window", "softcap"])
def test_windows_and_soft_caps(options: dict[str, float]) -> None:
    served = Served(options=options)
    request = served.request(1, 2)
    for new in (140, 1, 1):
        _, errors = served.step([(request, new)])
        assert errors[0] < SHORT_CONTEXT


@pytest.mark.parametrize(("block", "page"), [(64, 64), (256, 128), (192, 64)])
def test_blocks_of_other_sizes(block: int, page: int) -> None:
    served = Served(block=block, kernel_block=page, blocks=3)
    request = served.request(*(2, 0, 1, 3)[: 3 * block // page])
    for new in (page + 9, 1):
        _, errors = served.step([(request, new)])
        assert errors[0] < SHORT_CONTEXT


def test_a_layer_that_shares_anothers_cache_writes_nothing() -> None:
    served = Served(options={"kv_sharing_target_layer_name": "layer.0"})
    request = served.request(1)
    served.cache.zero_()  # as another layer left it
    before = served.cache.clone()
    metadata, _ = served.step([(request, 3)])
    assert torch.equal(served.cache, before)
    assert metadata.tokens == 3


def test_without_a_batch_the_output_is_zeros() -> None:
    served = Served()
    query = torch.randn(4, 4, 64, device=DEVICE)
    output = torch.full_like(query, torch.nan)
    assert served.impl.forward(None, query, query, query, torch.empty(0), None, output).eq(0).all()


@pytest.mark.parametrize("options", [{"alibi_slopes": [1.0]}, {"sinks": torch.ones(4)}, {"chunk_lookback": 512}])
def test_what_a_layer_cannot_do_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(AttentionError, match=f"a layer has {next(iter(options))}"):
        Served(options=options)


def test_what_some_models_add_may_be_switched_off() -> None:
    assert Served(options={"sinks": None, "chunk_lookback": -1, "alibi_slopes": None}).impl.writes


def test_a_scale_of_the_output_is_refused() -> None:
    served = Served()
    one = torch.ones(1)
    with pytest.raises(NotImplementedError):
        served.impl.forward(None, one, one, one, one, None, one, output_scale=one)


def test_attention_that_is_not_causal_is_refused() -> None:
    served = Served()
    request = served.request(1)
    served.step([(request, 3)])
    with pytest.raises(AttentionError, match="not causal"):
        served.builder.build(0, served.common([(request, 1)]).replace(causal=False))


def test_a_graph_is_captured_of_decodes_alone() -> None:
    served = Served()
    request = served.request(1)
    served.step([(request, 5)])
    assert served.builder.build_for_cudagraph_capture(served.common([(request, 1)])).plan is None
    with pytest.raises(AttentionError, match="not all decodes"):
        served.builder.build_for_cudagraph_capture(served.common([(request, 5)]))


def test_requests_without_tokens_go_with_the_prefills() -> None:
    served = Served(drafts=3)
    empty, one = served.request(1), served.request(2)
    served.step([(empty, 9), (one, 9)])
    metadata, errors = served.step([(empty, 0), (one, 1)])
    assert (metadata.decodes, metadata.tokens) == (0, 1)
    assert errors[1] < SHORT_CONTEXT


def test_lengths_that_the_host_does_not_have_are_fetched() -> None:
    served = Served()
    request = served.request(1, 2)
    served.step([(request, 130)])
    common = served.common([(request, 7)])
    found = served.builder.build(0, common.replace(seq_lens_cpu_upper_bound=None))
    known = served.builder.build(0, common)
    assert found.plan is not None
    assert known.plan is not None
    assert torch.equal(found.plan.tiles, known.plan.tiles)


def test_half_a_model_is_refused() -> None:
    def layer(name: str) -> Any:
        backend = SimpleNamespace(get_name=lambda: name)
        return SimpleNamespace(get_attn_backend=lambda: backend, kv_cache_dtype="fp8")

    settings = vllm_settings(4)
    layers = {"a": layer("CUSTOM"), "b": layer("FLASH_ATTN"), "c": SimpleNamespace()}
    settings.compilation_config.static_forward_context = layers
    with pytest.raises(AttentionError, match="1 of 2 layers are FLASH_ATTN's, such as b"):
        FathomMetadataBuilder(spec_of(2, 64, 128), [], settings, DEVICE)


def test_blocks_of_another_page_than_the_declared_are_refused() -> None:
    served = Served(block=64, blocks=4)
    served.cache = served.cache.reshape(2, 2, 128, -1).contiguous()
    with pytest.raises(AttentionError, match="130 bytes a token, pages 129"):
        served.step([(served.request(0), 1)])
