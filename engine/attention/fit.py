"""Which models the kernels can serve, told from a model's configuration before anything is loaded."""

from collections.abc import Mapping
from typing import Any

from ..rope.config import text_config

# What the kernels take.
PAGES = (64, 128)
PREFERRED_PAGE = 128
HEAD_DIMS = (64, 96, 128, 256)
MOST_HEADS_A_GROUP = 16
FIRST_CAPABILITY = (8, 9)

_LAYERS = {"full_attention", "sliding_attention"}
# Fields of a configuration that mean another attention than causal softmax over every earlier token or a window.
_OTHER = {
    "kv_lora_rank": "latent attention (MLA)",
    "attention_chunk_size": "chunked local attention",
    "alibi": "ALiBi",
    "is_encoder_decoder": "an encoder beside the decoder",
    "block_configs": "layers of different sizes",
    "global_head_dim": "heads of different sizes",
    "ssm_state_size": "state-space layers",
    "mamba_d_state": "state-space layers",
    "linear_num_key_heads": "linear attention layers",
    "index_topk": "sparse attention",
    "sparse_attention_config": "sparse attention",
    "per_layer_config": "layers of different sizes",
    "num_attention_heads_per_layer": "layers of different sizes",
    "attention_other_setting": "layers of different sizes",
    "swa_attention_sink_enabled": "attention sinks",
    "prefix_lm": "a prefix that is read in both directions",
}
# Model types whose attention the configuration's fields do not tell.
_TYPES = {
    **dict.fromkeys(("gpt_oss", "mimo_v2", "mimo_v2_flash", "openpangu"), "attention sinks"),
    **dict.fromkeys(("bloom", "mpt", "step1", "baichuan", "jais"), "ALiBi"),
    **dict.fromkeys(("gemma3", "paligemma", "molmo2"), "images that are read in both directions"),
    "hrm_text": "a prefix that is read in both directions",
    **dict.fromkeys(("voxtral_realtime", "voxtral_realtime_text"), "a streaming encoder"),
    "minimax_m3": "sparse attention",
}
_NAMES = {
    "num_attention_heads": ("n_head", "n_heads"),
    "hidden_size": ("n_embd", "d_model"),
}  # as older families have it


def misfits(config: Mapping[str, Any]) -> list[str]:
    """Why the kernels cannot serve a model with this Hugging Face configuration; empty where they can.

    The answer holds for all layers of the model, because a model is served by one backend or by another.
    """
    inner = text_config(config)
    reasons = [what for key, what in _OTHER.items() if inner.get(key)]
    if inner.get("position_embedding_type") == "alibi":
        reasons.append("ALiBi")
    types = {part.get("model_type") for part in (config, inner)}
    reasons += [what for kind, what in _TYPES.items() if kind in types]
    reasons += [f"layers of type {kind}" for kind in sorted(set(inner.get("layer_types") or ()) - _LAYERS)]
    if reasons:
        return reasons
    heads, hidden = (next((inner[key] for key in (name, *_NAMES[name]) if inner.get(key)), None) for name in _NAMES)
    if not isinstance(heads, int) or heads < 1:
        return [f"num_attention_heads is {heads!r}"]
    kv_heads = inner.get("num_key_value_heads") or heads
    head_dim = inner.get("head_dim") or (hidden // heads if isinstance(hidden, int) else None)
    if head_dim not in HEAD_DIMS:
        reasons.append(f"heads of {head_dim} (the kernels know {', '.join(map(str, HEAD_DIMS))})")
    if heads % kv_heads or heads // kv_heads > MOST_HEADS_A_GROUP:
        reasons.append(
            f"{heads} query heads over {kv_heads} KV heads (the kernels take up to {MOST_HEADS_A_GROUP} each)"
        )
    return reasons
