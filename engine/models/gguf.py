"""One GGUF file → a Hugging Face folder with float32 weights, run as a process of its own, offline and confined."""

import os
from pathlib import Path

from ..surroundings import confine, go_offline

# Libraries map about 1.2 GiB. A weight of the smallest types takes two bits, and 32 in each of the copies that are
# held: read, laid out, and written.
_MAPPED_BYTES = 6 * 2**30
_GROWTH = 16 * 3
_CPU_SECONDS = 1800.0


def convert(source: Path, folder: Path) -> None:
    """Writes tokenizer, config and dequantised weights of `source` into `folder`, by transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(
        str(source.parent), gguf_file=source.name, local_files_only=True, trust_remote_code=False
    )
    tokenizer.save_pretrained(str(folder))
    model = AutoModelForCausalLM.from_pretrained(
        str(source.parent),
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
        trust_remote_code=False,
    )
    model.save_pretrained(str(folder))


def main(source: str, folder: str) -> None:
    """The whole process."""
    size = Path(source).stat().st_size
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    seconds = _CPU_SECONDS * (1 + size / 2**30)
    confine(_MAPPED_BYTES + min(_GROWTH * size, memory), seconds, 16 * size + 2**28)
    go_offline()
    convert(Path(source), Path(folder))
