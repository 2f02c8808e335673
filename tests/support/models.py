"""Tiny models with random weights, written as sentence-transformers writes them: no hub, no download."""

import json
from pathlib import Path
from typing import Any

WORDS = "the a cat dog sat on mat board met in oslo cells fire one two three query passage : ? .".split()
MAX_TOKENS = 16
POOLINGS = ("mean_tokens", "cls_token", "max_tokens", "lasttoken", "weightedmean_tokens")


def tokenizer_in(folder: Path) -> Any:
    """A BERT tokenizer of WORDS and letters, which reads MAX_TOKENS."""
    from transformers import BertTokenizerFast

    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys([*WORDS, *letters])]))
    return BertTokenizerFast(str(vocabulary), model_max_length=MAX_TOKENS)


def bert_config(tokenizer: Any, **others: Any) -> Any:
    """Two layers, 32 wide."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        initializer_range=0.3,
        **others,
    )


def sentence_model(
    folder: Path,
    pooling: str = "mean_tokens",
    seed: int = 0,
    prompts: dict[str, str] | None = None,
    dense: int = 0,
    include_prompt: bool = True,
) -> Path:
    """A random encoder in a folder; with `dense`, a layer of that width after the pooling."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertModel

    torch.manual_seed(seed)
    tokenizer = tokenizer_in(folder)
    tokenizer.save_pretrained(folder)
    BertModel(bert_config(tokenizer)).save_pretrained(folder)
    kinds = ["Transformer", "Pooling", *(["Dense"] if dense else [])]
    paths = ["", "1_Pooling", "2_Dense"]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(zip(kinds, paths, strict=False))
    ]
    modes = {f"pooling_mode_{mode}": mode == pooling for mode in POOLINGS}
    files: dict[str, object] = {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": prompts or {}},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "include_prompt": include_prompt, **modes},
    }
    if dense:
        tanh = "torch.nn.modules.activation.Tanh"
        shape = {"in_features": 32, "out_features": dense, "bias": True, "activation_function": tanh}
        files["2_Dense/config.json"] = shape
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    if dense:
        layer = {"linear.weight": torch.randn(dense, 32), "linear.bias": torch.randn(dense)}
        save_file(layer, folder / "2_Dense" / "model.safetensors")
    return folder


def cross_encoder(folder: Path, labels: int = 1) -> Path:
    """A random cross-encoder in a folder."""
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = tokenizer_in(folder)
    tokenizer.save_pretrained(folder)
    BertForSequenceClassification(bert_config(tokenizer, num_labels=labels)).save_pretrained(folder)
    return folder
