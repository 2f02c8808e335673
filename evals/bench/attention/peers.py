"""What the attention kernels are compared with: FlashAttention 3 and vLLM's Triton kernel as vLLM 0.32 ships them.

Each peer is optional: where vLLM is not installed, or cannot take a shape, its column stays empty and says why.
"""

import torch

from engine.attention.layout import E4M3, E4M3_MAX
from evals.bench.attention.cases import Problem, Run


def to_fp8(tensor: torch.Tensor) -> torch.Tensor:
    """e4m3, saturating as a cache write does; torch's own conversion makes NaN of what is over 448."""
    return tensor.clamp(-E4M3_MAX, E4M3_MAX).to(E4M3)


def flash3(problem: Problem, page: int, fp8: bool) -> Run:
    """FlashAttention 3 over shuffled pages of `page` tokens; page 0 means one contiguous sequence, not paged."""
    from vllm.vllm_flash_attn.flash_attn_interface import flash_attn_varlen_func

    query, keys, values = problem.query, problem.keys, problem.values
    if fp8:
        query, keys, values = to_fp8(query), to_fp8(keys), to_fp8(values)
    heads = keys.shape[1]
    ones = torch.ones(len(problem.starts), heads, device=problem.device)
    scales = {"q_descale": ones, "k_descale": ones, "v_descale": ones} if fp8 else {}
    longest = max(problem.context_lengths)
    common = {
        "max_seqlen_q": max(problem.query_lengths),
        "cu_seqlens_q": problem.query_starts(),
        "max_seqlen_k": longest,
        "softmax_scale": problem.scale,
        "causal": True,
        "fa_version": 3,
        "num_splits": 0,  # as many as its own heuristic takes
        "out": torch.empty_like(problem.query),
        **scales,
    }
    if not page:
        if len(problem.starts) > 1:
            raise ValueError("contiguous keys are for one sequence")
        ends = problem.int32([0, longest])
        return lambda: flash_attn_varlen_func(query, keys[:longest], values[:longest], cu_seqlens_k=ends, **common)
    order = torch.randperm(keys.shape[0] // page, device=problem.device)
    paged = [torch.empty_like(part).view(-1, page, *part.shape[1:]) for part in (keys, values)]
    for target, part in zip(paged, (keys, values), strict=True):
        target.view(torch.uint8)[order] = part.view(-1, page, *part.shape[1:]).view(torch.uint8)
    tables = order.to(torch.int32)[problem.tables(page).long()]
    used = problem.int32(problem.context_lengths)
    return lambda: flash_attn_varlen_func(query, *paged, block_table=tables, seqused_k=used, **common)


def vllm_triton(problem: Problem, page: int) -> Run:
    """vLLM's Triton attention over an FP8 cache with scales of 1."""
    from vllm.v1.attention.ops.triton_unified_attention import unified_attention
    from vllm.v1.kv_cache_interface import KVQuantMode

    keys, values = (to_fp8(part).view(-1, page, *part.shape[1:]) for part in (problem.keys, problem.values))
    out = torch.empty_like(problem.query)
    one = torch.ones(len(problem.starts), keys.shape[2], device=problem.device)
    used, starts, tables = problem.int32(problem.context_lengths), problem.query_starts(), problem.tables(page)

    def run() -> torch.Tensor:
        unified_attention(
            problem.query, keys, values, out, starts, max(problem.query_lengths), used, max(problem.context_lengths),
            problem.scale, True, (-1, -1), tables, 0.0, None, one, one, kv_quant_mode=KVQuantMode.FP8_PER_TENSOR,
        )  # fmt: skip
        return out

    return run
