"""Run as a program: serves random prompts with vLLM and writes what came out as JSON.

Each call is a process of its own, because vLLM gives its memory back only when its process ends. The model is a small
Llama with random weights, large enough that every earlier token moves the next one.
"""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

VOCABULARY = 4096
SPOKEN = 8  # tokens that the model writes: the gap between the best two is wide, and n-grams come back
PROMPTS = (5, 130, 700, 1281, 1900, 2500, 3100, 3500)  # tokens; the last four share their first 1,000
SHARED = 1000
NEW_TOKENS = 40
LONGEST = 4096


def make_model(folder: Path, heads: int, kv_heads: int, head_dim: int) -> None:
    """Writes the model into `folder`, the same each time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64 * heads, intermediate_size=1024, num_hidden_layers=4,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim,
        max_position_embeddings=LONGEST, initializer_range=0.05, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.lm_head.weight.data[:SPOKEN] *= 8.0
    model.to(torch.bfloat16).save_pretrained(folder)


def prompts() -> list[list[int]]:
    """Random token ids, the same each time; the last four begin alike. REPLACED=1 changes one page of the long ones."""
    chance = random.Random(1)
    found = [[chance.randrange(VOCABULARY) for _ in range(length)] for length in PROMPTS]
    found = found[:4] + [found[4][:SHARED] + prompt[SHARED:] for prompt in found[4:]]
    if os.environ.get("REPLACED"):
        other = [chance.randrange(VOCABULARY) for _ in range(128)]
        found = [prompt[:512] + other + prompt[640:] if len(prompt) > SHARED else prompt for prompt in found]
    return found


def main() -> None:
    """Arguments: the model's folder, vLLM's options as JSON, how often to serve the prompts, the output file."""
    folder, options, rounds, out = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.update(VLLM_NO_USAGE_STATS="1", HF_HUB_OFFLINE="1")
    from vllm import LLM, SamplingParams

    from engine.attention import plugin

    plugin.register()
    settings: dict[str, Any] = {
        "attention_backend": "CUSTOM",
        "kv_cache_dtype": "fp8",
        "kv_cache_memory_bytes": 2**30,
        "gpu_memory_utilization": 0.1,  # what must be free at the start: others use the GPU too
        "max_model_len": LONGEST,
        "max_num_seqs": 8,
        "max_num_batched_tokens": 16_384,
        "enable_prefix_caching": False,
        "enforce_eager": True,
        "skip_tokenizer_init": True,
        "disable_log_stats": False,
        "seed": 0,
    }
    llm = LLM(str(folder), **{**settings, **options})
    sampling = SamplingParams(temperature=0.0, max_tokens=NEW_TOKENS, ignore_eos=True, logprobs=20, detokenize=False)
    served = []
    for _ in range(rounds):
        outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts()], sampling, use_tqdm=False)
        served.append(
            [
                {
                    "tokens": list(output.outputs[0].token_ids),
                    "cached": output.num_cached_tokens or 0,
                    "logprobs": [
                        {str(token): entry.logprob for token, entry in at.items()}
                        for at in output.outputs[0].logprobs or []
                    ],
                }
                for output in outputs
            ]
        )
    core = llm.llm_engine
    config = core.vllm_config
    layers = config.compilation_config.static_forward_context.values()
    out.write_text(
        json.dumps(
            {
                "rounds": served,
                "backends": sorted({layer.get_attn_backend().get_name() for layer in layers}),
                "blocks": config.cache_config.num_gpu_blocks,
                "block_size": config.cache_config.block_size,
                "counters": {m.name: getattr(m, "value", None) for m in llm.get_metrics()},
                "free_blocks": _free_blocks(core),
            }
        )
    )


def _free_blocks(engine: Any) -> int | None:
    """Blocks that no request holds, where the engine's core runs in this process."""
    core = getattr(engine.engine_core, "engine_core", None)
    if core is None:
        return None
    return int(core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks())


if __name__ == "__main__":
    main()
