"""Compiles the kernels for GPUs that are not here and prints, as JSON, the shared memory that each wants.

    python -m tests.engine.attention.compiling 89:128 100:256     # compute capability : head size

A process of its own, because kernels that were defined for the interpreter cannot be compiled.
"""

import json
import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from engine.attention import decode, prefill, write
from engine.attention.layout import PageLayout
from engine.attention.tuning import DECODE, MOST_ROWS, decode_stages, untuned_prefill

SHARED = {89: 101_376, 100: 232_448, 120: 101_376}  # bytes of shared memory a block may have


def compiled(kernel: Any, types: dict[str, str], sizes: dict[str, Any], capability: int, warps: int) -> int:
    """Bytes of shared memory of a kernel whose arguments are `types` and compile-time `sizes`."""
    signature = {name: "constexpr" if name in sizes else types[name] for name in kernel.arg_names}
    aligned = {
        (index,): [["tt.divisibility", 16]] for index, name in enumerate(kernel.arg_names) if signature[name][0] == "*"
    }
    constants = {(kernel.arg_names.index(name),): value for name, value in sizes.items()}
    source = ASTSource(kernel, signature, constants, aligned)
    return int(
        triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps}).metadata.shared
    )


def kernels(layout: PageLayout, capability: int) -> dict[str, int]:
    """Shared memory of all portable kernels for one layout, by name."""
    width = triton.next_power_of_2(layout.head_dim)
    dim, run = layout.head_dim, layout.run_bytes
    page = {"PAGE": layout.page, "DIM": dim, "WIDTH": width, "RUN": run, "HEADS": layout.heads}
    reads = {
        "queries": "*bf16", "token_stride": "i32", "head_stride": "i32", "centres": "*bf16", "tables": "*i32",
        "keys": f"tensordesc<fp8e4nv[1,{layout.page},{width}]>",
        "values": f"tensordesc<fp8e4nv[1,{width},{layout.page}]>",
        "table_stride": "i32", "scale": "fp32", "window": "i32", "softcap": "fp32", "out": "*bf16", "tiles": "*i32",
        "context_lengths": "*i32", "parts": "*fp32", "states": "*fp32",
        "splits": "i32",
    }  # fmt: skip
    writes = {
        "numbers": "*fp8e4nv", "centres": "*bf16", "keys": "*bf16", "values": "*bf16", "slots": "*i64",
        "previous": "*i32", "tokens": "i32", **dict.fromkeys(
            ["token_stride", "head_stride", "key_token", "key_head", "value_token", "value_head"], "i32"),
    }  # fmt: skip
    choice = untuned_prefill(layout, SHARED[capability])
    warps, stages = DECODE[layout.head_dim, layout.page][0], decode_stages(layout, SHARED[capability])
    chained = {"CHAINED": capability >= 90}
    plain = {"WINDOWED": False, "CAPPED": False, "GROUP": 4}
    return {
        "begin": compiled(
            write._begin_pages, writes, page | {"FEW": 16, "KNOWN": True, "MEANS": True, "INHERITS": True},
            capability, 4,
        ),
        "append": compiled(write._append, writes, page | chained | {"KNOWN": True}, capability, 1),
        "fill": compiled(write._fill_pages, writes, page | {"WINDOW": 32}, capability, 4),
        "prefill": compiled(
            prefill._prefill, reads,
            page | plain | {"ROWS": choice.rows, "PARTS": 1, "STAGES": choice.stages},
            capability, choice.warps,
        ),
        "decode": compiled(
            decode._decode, reads,
            page | plain | chained
            | {"TOKENS": 1, "ROWS": MOST_ROWS[layout.head_dim], "WHOLE": False, "STAGES": stages},
            capability, warps,
        ),
        "merge": compiled(
            decode._merge, reads,
            chained | {"HEADS": 2, "GROUP": 4, "TOKENS": 1, "PAGE": layout.page, "DIM": dim, "WIDTH": width}
            | {"PADDED": 128, "WINDOWED": False},
            capability, 4,
        ),
    }  # fmt: skip


if __name__ == "__main__":
    found = {}
    for argument in sys.argv[1:]:
        capability, head_dim = map(int, argument.split(":"))
        wanted = kernels(PageLayout(2, head_dim, 128), capability)
        found[argument] = {"allowed": SHARED[capability], **wanted}
    print(json.dumps(found))  # noqa: T201, what this process is for
