"""A small random Llama with a tokenizer of words, and a text for it."""

from pathlib import Path
from typing import Any

TEXT = " ".join(f"w{(n * n + n // 7) % 50}" for n in range(600))


def make_model(folder: Path) -> dict[str, Any]:
    """Writes the model; its config. Positions matter to it, because its weights are large."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordLevel({f"w{n}": n for n in range(50)}, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.4,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    found: dict[str, Any] = config.to_dict()
    return found
