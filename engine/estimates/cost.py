"""What a prompt costs: parameters, floating-point operations, and the times they predict from a device's ceilings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelDamagedError, ModelUnsupportedError
from ..kv.layers import AttentionLayers, Layers, layer_kinds
from ..rope.config import CORRECT, head_dim, size, text_config

# Two products in the feed-forward layer of these families, three (gated) in all others.
_PLAIN_MLP = ("gpt2", "gpt_neox", "gptj", "opt", "falcon", "phi", "starcoder2", "bloom", "mpt")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers of a model: in all, in the matrices that one token passes, and in the output head. Of `experts` a layer
    a token passes `chosen`, and all experts of all layers have `expert_total`; 0 without any."""

    total: int
    active: int
    head: int
    experts: int = 0
    chosen: int = 0
    expert_total: int = 0


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Rates that a device reaches: matrix products and attention in FLOP/s, memory in bytes/s."""

    matrix_flops: float
    attention_flops: float
    memory_bytes_per_s: float


def parameters(config: Mapping[str, Any]) -> Parameters | None:
    """Parameters by a config's sizes, norms and biases left out; None for models with state-space layers, and for those
    whose feed-forward layers differ from each other.

    Raises ModelDamagedError for a config without the sizes.
    """
    inner = text_config(config)
    kinds = layer_kinds(config)
    plain = all(kind.endswith("attention") and kind != "linear_attention" for kind in kinds)
    if not plain or isinstance(inner.get("intermediate_size"), list) or inner.get("interleave_moe_layer_step"):
        return None
    hidden, vocabulary = size(inner, "hidden_size"), size(inner, "vocab_size")
    attention = _attention_parameters(inner, hidden)
    dense, experts, chosen = _feed_forward(inner, hidden)
    first = inner.get("first_k_dense_replace") or 0
    if not isinstance(first, int) or not 0 <= first <= len(kinds):
        raise ModelDamagedError(f"the model's config has first_k_dense_replace = {first!r}", CORRECT)
    first_dense = first if experts else len(kinds)
    mixed = len(kinds) - first_dense
    head = hidden * vocabulary
    usual = str(inner.get("model_type")).startswith("gemma")  # which leaves it out where it is true
    tied = bool(inner.get("tie_word_embeddings", config.get("tie_word_embeddings", usual)))
    shared = len(kinds) * attention + first_dense * dense
    total, active = shared + mixed * experts + head * (1 if tied else 2), shared + mixed * chosen
    if not experts:
        return Parameters(total, active, head)
    count, per_token = _expert_count(inner), size(inner, "num_experts_per_tok")
    each = (experts - chosen) // max(1, count - per_token)  # what one token does not pass is all but the chosen ones
    return Parameters(total, active, head, count, per_token, mixed * count * each)


def matrix_flops(model: Parameters, tokens: int) -> int:
    """FLOPs of the matrix products of a prefill: two a token and parameter, the output head for the last token."""
    return 2 * model.active * tokens + 2 * model.head


def attention_flops(config: Mapping[str, Any], layers: Layers, tokens: int, cached: int = 0) -> int:
    """FLOPs of causal attention for `tokens` after `cached` ones: 4 · query heads · head size · pairs, over all layers.

    A layer with a window counts the pairs within it, and one that reads another's cache the mean of those that keep
    one. MLA computes with heads of its own sizes while it reads a prompt.
    """
    inner = text_config(config)
    heads = size(inner, "num_attention_heads")
    total = 0
    for group in layers.attention:
        width = _computed_width(inner, group)
        total += 2 * heads * width * group.count * _pairs(tokens, cached, group.window)
    keeping = sum(group.count for group in layers.attention)
    return total * (keeping + layers.shared) // keeping if keeping else 0


def prefill_seconds(config: Mapping[str, Any], layers: Layers, tokens: int, at: Ceilings, cached: int = 0) -> float:
    """Predicted time to the first token of a prompt. Raises ModelUnsupportedError for a model of unknown parameters."""
    model = _known(parameters(config))
    work = matrix_flops(model, tokens) / at.matrix_flops
    return work + attention_flops(config, layers, tokens, cached) / at.attention_flops


def weights_read(config: Mapping[str, Any], requests: int) -> float:
    """The share of a model's weights that one decode step of so many requests reads.

    Of experts those that are chosen by at least one request, were each request to choose at random.
    """
    model = parameters(config)
    if model is None or model.experts == 0:
        return 1.0
    missed = (1 - model.chosen / model.experts) ** requests
    always = model.total - model.expert_total
    return (always + model.expert_total * (1 - missed)) / model.total


def decode_seconds(weight_bytes: float, kv_bytes: int, at: Ceilings) -> float:
    """Predicted time of one decode step: the weights that it needs and all requests' caches are read once."""
    return (weight_bytes + kv_bytes) / at.memory_bytes_per_s


def _known(model: Parameters | None) -> Parameters:
    if model is None:
        raise ModelUnsupportedError("the costs of state-space layers are not known to fathom", "measure them instead")
    return model


def _pairs(tokens: int, cached: int, window: int | None) -> int:
    """Pairs of a query and a key it sees, itself included, for `tokens` queries after `cached` ones."""

    def until(end: int) -> int:
        growing = end if window is None else min(end, window)
        return growing * (growing + 1) // 2 + (end - growing) * growing

    return until(cached + tokens) - until(cached)


def _computed_width(inner: Mapping[str, Any], group: AttentionLayers) -> int:
    """Numbers of a key and a value together that a query head multiplies with."""
    if group.latent:
        rotary = size(inner, "qk_rope_head_dim")
        return size(inner, "qk_nope_head_dim") + rotary + size(inner, "v_head_dim")
    return group.key_dim + group.value_dim


def _attention_parameters(inner: Mapping[str, Any], hidden: int) -> int:
    heads = size(inner, "num_attention_heads")
    if inner.get("kv_lora_rank"):
        latent, rotary = size(inner, "kv_lora_rank"), size(inner, "qk_rope_head_dim")
        plain, value = size(inner, "qk_nope_head_dim"), size(inner, "v_head_dim")
        queries = heads * (plain + rotary)
        rank = inner.get("q_lora_rank")
        asked = hidden * size(inner, "q_lora_rank") + size(inner, "q_lora_rank") * queries if rank else hidden * queries
        return asked + hidden * (latent + rotary) + latent * heads * (plain + value) + heads * value * hidden
    kv_heads = size(inner, "num_key_value_heads") if inner.get("num_key_value_heads") else heads
    return hidden * head_dim(inner) * 2 * (heads + kv_heads)


def _feed_forward(inner: Mapping[str, Any], hidden: int) -> tuple[int, int, int]:
    """Parameters of a dense layer, of all experts of a mixed one, and of those that a token passes."""
    products = 2 if inner.get("model_type") in _PLAIN_MLP else 3
    count = _expert_count(inner)
    width = inner.get("intermediate_size") or inner.get("ffn_hidden_size")
    if not isinstance(width, int) or width < 1:
        if not count or not inner.get("moe_intermediate_size"):
            raise ModelDamagedError(f"the model's config has intermediate_size = {width!r}", CORRECT)
        width = 0
    dense = products * hidden * width
    if not count:
        return dense, 0, 0
    expert = products * hidden * (size(inner, "moe_intermediate_size") if inner.get("moe_intermediate_size") else width)
    always = products * hidden * int(inner.get("shared_expert_intermediate_size") or 0)
    always += expert * int(inner.get("n_shared_experts") or 0) + hidden * count
    return dense, expert * count + always, expert * size(inner, "num_experts_per_tok") + always


def _expert_count(inner: Mapping[str, Any]) -> int:
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    return next((size(inner, name) for name in names if inner.get(name)), 0)
