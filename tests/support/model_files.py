"""Makes the model folders, GGUF files and wheels that these tests read; nothing is downloaded."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 8192,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
}


def byte_letters() -> list[str]:
    """The letter that stands for each byte in GPT-2's byte-level BPE: itself if printable, else 256 and onwards."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def tokenizer_folder(folder: Path, template: str | None = TEMPLATE) -> Path:
    """A tokenizer whose tokens are the bytes of a text (ids 4 to 259) and four control tokens (ids 0 to 3).

    As in SmolLM2's, `<repo_name>` is special but is neither bos, eos, pad nor unk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    letters = {letter: 4 + byte for byte, letter in enumerate(byte_letters())}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": token, **flags} for i, token in enumerate(CONTROL)],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {**{token: i for i, token in enumerate(CONTROL)}, **letters}, "merges": []},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": CONTROL[0],
        "eos_token": CONTROL[1],
        "unk_token": CONTROL[2],
        **({"chat_template": template} if template else {}),
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def write_manifest(folder: Path) -> None:
    """What a conversion leaves beside its files: the sha256, size and modification time of each."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.iterdir()):
        stat = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files[path.name] = {"sha256": digest, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    (folder / "fathom-manifest.json").write_text(json.dumps({"files": files}), encoding="utf-8")


def converted(cache: Path, source_sha256: str) -> Path:
    """A folder as a conversion of a GGUF of this sha256 leaves it in the cache, weights being any bytes."""
    folder = cache / "models" / f"gguf-{source_sha256[:16]}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    write_manifest(folder)
    return folder


def wheel(folder: Path, package: str, files: Mapping[str, bytes]) -> Path:
    """A wheel `package` 1.0 of these files, that pip takes from a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


# A llama of one layer for GGUF: 4 heads of 16, 2 of them for keys and values.
HEADS, KV_HEADS, HEAD_DIM, HIDDEN, INNER = 4, 2, 16, 64, 128
MERGED = "ĠĠ"  # two blanks
VOCABULARY = len(CONTROL) + 256 + 1


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k as llama.cpp keeps them: the two halves of a head, that RoPE pairs, take turns."""
    rows = [
        weight[head * HEAD_DIM + half * HEAD_DIM // 2 + i]
        for head in range(heads)
        for i in range(HEAD_DIM // 2)
        for half in (0, 1)
    ]
    return np.stack(rows)


def q8_0(scale: float, numbers: np.ndarray) -> np.ndarray:
    """GGUF's Q8_0: for each 32 numbers of a row one float16 scale, then 32 int8. [rows, columns] → uint8."""
    blocks = numbers.astype(np.int8).reshape(numbers.shape[0], -1, 32).view(np.uint8)
    scales = np.full((*blocks.shape[:2], 1), scale, dtype=np.float16).view(np.uint8)
    return np.concatenate([scales, blocks], axis=2).reshape(numbers.shape[0], -1)


def tiny_gguf(path: Path) -> dict[str, np.ndarray]:
    """Writes a GGUF of a llama with a byte tokenizer; the weights by the names that Hugging Face gives them."""
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType

    random = np.random.default_rng(7)

    def numbers(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    down = random.integers(-127, 128, (HIDDEN, INNER))
    layer = "model.layers.0."
    weights = {
        "model.embed_tokens.weight": numbers(VOCABULARY, HIDDEN),
        "model.norm.weight": numbers(HIDDEN),
        layer + "input_layernorm.weight": numbers(HIDDEN),
        layer + "post_attention_layernorm.weight": numbers(HIDDEN),
        layer + "self_attn.q_proj.weight": numbers(HEADS * HEAD_DIM, HIDDEN),
        layer + "self_attn.k_proj.weight": numbers(KV_HEADS * HEAD_DIM, HIDDEN),
        layer + "self_attn.v_proj.weight": numbers(KV_HEADS * HEAD_DIM, HIDDEN),
        layer + "self_attn.o_proj.weight": numbers(HIDDEN, HEADS * HEAD_DIM),
        layer + "mlp.gate_proj.weight": numbers(INNER, HIDDEN),
        layer + "mlp.up_proj.weight": numbers(INNER, HIDDEN),
        layer + "mlp.down_proj.weight": (down * 2.0**-6).astype(np.float32),
    }
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(50000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*CONTROL, *byte_letters(), MERGED])
    writer.add_token_types([TokenType.CONTROL] * len(CONTROL) + [TokenType.NORMAL] * 257)
    writer.add_token_merges([" ".join(MERGED)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    names = {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        layer + "input_layernorm": "blk.0.attn_norm",
        layer + "post_attention_layernorm": "blk.0.ffn_norm",
        layer + "self_attn.q_proj": "blk.0.attn_q",
        layer + "self_attn.k_proj": "blk.0.attn_k",
        layer + "self_attn.v_proj": "blk.0.attn_v",
        layer + "self_attn.o_proj": "blk.0.attn_output",
        layer + "mlp.gate_proj": "blk.0.ffn_gate",
        layer + "mlp.up_proj": "blk.0.ffn_up",
    }
    heads = {"q_proj": HEADS, "k_proj": KV_HEADS}
    for name, stored in names.items():
        weight = weights[f"{name}.weight"]
        projection = name.rpartition(".")[2]
        writer.add_tensor(
            f"{stored}.weight", _interleaved(weight, heads[projection]) if projection in heads else weight
        )
    writer.add_tensor("blk.0.ffn_down.weight", q8_0(2.0**-6, down), raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights
