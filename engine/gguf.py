"""One GGUF file → a Hugging Face folder with float32 weights, run as a process of its own: `python -m engine.gguf`."""

import sys
from pathlib import Path


def convert(source: Path, folder: Path) -> None:
    """Writes tokenizer, config and dequantised weights of `source` into `folder`, by transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    tokenizer.save_pretrained(str(folder))
    model = AutoModelForCausalLM.from_pretrained(
        str(source.parent),
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(str(folder))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
