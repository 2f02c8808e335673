"""What this processor computes fast: the precision to convert for, the threads to use, and OpenVINO itself."""

import hashlib
import os
import platform
import sys
from enum import StrEnum
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import EncoderError
from .surroundings import elsewhere

# Without one of these, the products of a precision are slower than those of float32 (measured: eight bits on AVX2
# take 1.6 times as long, bfloat16 on AVX-512 without tiles over 30 times).
_BFLOAT16_FLAGS = frozenset({"amx_bf16"})
_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})
_ISA_WITHOUT_VNNI = frozenset({"SSE41", "AVX", "AVX2", "AVX512_CORE"})  # values of ONEDNN_MAX_CPU_ISA
# What decides which code OpenVINO prepares; a model prepared for other flags is not run here.
_CODE_FLAGS = (
    _BFLOAT16_FLAGS
    | _INT8_FLAGS
    | {"amx_int8", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_bf16"}
)


class Precision(StrEnum):
    """Of the products of a converted model."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """The processor's features as Linux names them; empty where that is not told."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


def fast_precisions(flags: frozenset[str]) -> tuple[Precision, ...]:
    """Precisions worth trying on a processor: the nearest to float32 of those that are much faster, float32 last."""
    if flags & _BFLOAT16_FLAGS:
        return (Precision.BFLOAT16, Precision.FLOAT32)
    return (Precision.INT8, Precision.FLOAT32) if flags & _INT8_FLAGS else (Precision.FLOAT32,)


def sums_saturate(flags: frozenset[str]) -> bool:
    """Whether the processor adds pairs of eight-bit products in sixteen bits, which overflow for full-range weights."""
    return not flags & _INT8_FLAGS or os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _ISA_WITHOUT_VNNI


def threads() -> int:
    """OMP_NUM_THREADS where it is a number, else the cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_code(version: str) -> str:
    """Eight hex digits for the code that a version of OpenVINO makes for this processor."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")  # makes the library leave newer features out
    facts = [platform.machine(), version, limit, *sorted(cpu_flags() & _CODE_FLAGS)]
    return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:8]


def openvino() -> Any:
    """The library, kept from reporting its import to a statistics server. Raises EncoderError where it is missing."""
    for package in ("openvino", "tokenizers"):
        if find_spec(package) is None:
            raise EncoderError(f"{package} is not installed", "install fathom-rag[dense]")
    # Its import would start `openvino_telemetry`, which calls the network; it does without where that is missing.
    # None is Python's way to say so of a module; the type of `sys.modules` does not know it.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with elsewhere():
        import openvino as library

    return library
