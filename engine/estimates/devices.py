"""GPUs by name: memory and rates of their makers' data sheets, and the share of them that vLLM reached.

The shares and the bytes beside the cache were measured on an H200 and are taken to be those of the other cards.
"""

import re
from dataclasses import dataclass

from ..errors import DeviceError
from .cost import Ceilings

GB = 10**9
# Shares of the data sheet's rates on one H200 (docs/results.md): bf16 products 679 of 989 TFLOP/s, FlashAttention 3 in
# bf16 about 630, and 3.7 of 4.8 TB/s in decode steps of 130,000 tokens with Llama-3.1-8B's sizes.
MATRIX_SHARE, ATTENTION_SHARE, MEMORY_SHARE = 0.69, 0.64, 0.77
# Tokens of a prompt that one step reads: with fewer a GPU waits for the host (docs/results.md).
STEP_TOKENS = 8192
# What vLLM 0.32 took beside weights and cache there, with steps of so many tokens and CUDA graphs for decode.
RESERVE_BYTES = int(4.3 * GB)


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU: the bytes that a driver shows, dense bf16 FLOP/s and bytes/s by data sheet."""

    name: str
    memory_bytes: int
    bf16_flops: float
    memory_bytes_per_s: float

    def ceilings(self, gpus: int = 1) -> Ceilings:
        """What `gpus` of them are expected to reach together; what they tell each other costs nothing here."""
        return Ceilings(
            gpus * self.bf16_flops * MATRIX_SHARE,
            gpus * self.bf16_flops * ATTENTION_SHARE,
            gpus * self.memory_bytes_per_s * MEMORY_SHARE,
        )


_GIB = 2**30
DEVICES = {
    device.name.lower(): device
    for device in (
        Device("L4", int(22.5 * _GIB), 121e12, 300e9),
        Device("A10G", int(22.5 * _GIB), 70e12, 600e9),
        Device("RTX4090", int(24.0 * _GIB), 165e12, 1008e9),
        Device("RTX5090", int(31.8 * _GIB), 209e12, 1792e9),
        Device("L40S", int(45.0 * _GIB), 362e12, 864e9),
        Device("A100-40GB", int(39.5 * _GIB), 312e12, 1555e9),
        Device("A100-80GB", int(79.3 * _GIB), 312e12, 2039e9),
        Device("H100", int(79.6 * _GIB), 989e12, 3350e9),
        Device("H200", int(139.8 * _GIB), 989e12, 4800e9),
        Device("B200", int(179.0 * _GIB), 2250e12, 8000e9),
    )
}


def known_device(name: str) -> Device | None:
    """The GPU that a driver's name means, such as "NVIDIA A100-SXM4-80GB"; None for one without a data sheet."""
    parts = _parts(name)
    fitting = [item for item in DEVICES.values() if _parts(item.name) <= parts]
    return max(fitting, key=lambda item: len(_parts(item.name)), default=None)


def _parts(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+\d+[a-z]*|\d+gb", name.lower().replace("rtx ", "rtx")))


def device(name: str) -> Device:
    """The GPU of a name, in any case. Raises DeviceError with the names there are."""
    found = DEVICES.get(name.lower())
    if found is None:
        names = ", ".join(sorted(device.name for device in DEVICES.values()))
        raise DeviceError(f"fathom has no data sheet of a GPU {name!r}", f"give --memory-gib, or one of: {names}")
    return found
