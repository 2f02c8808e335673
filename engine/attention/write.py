"""New keys and values into their pages: centres first, then the numbers, for many sequences at once."""

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from ..errors import AttentionError
from .layout import E4M3, FEW, PageLayout, check_device, check_vector
from .tuning import chains

_KINDS = (torch.float32, torch.bfloat16, torch.float16)
_WINDOW = 32  # tokens of the stream that one program writes: whole sectors of the transposed values
_FEW_TOKENS, _SMALL_WINDOW = 1024, 4  # a decode step's tokens lie in as many pages: programs in parallel gain more


def write(
    cache: torch.Tensor,
    layout: PageLayout,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    previous: torch.Tensor | None = None,
    *,
    apart: bool = False,
) -> None:
    """Puts keys and values [T, heads, D], float32, bf16 or float16, into the pages of `cache`, in place.

    `slots` int64 [T] says where: block · page + position in the page; −1 is skipped. The tokens of a sequence stand
    together and in order, starting anywhere in a page that an earlier call began.

    A token at position 0 begins its page: its centre is set and the page's values are cleared. The centre is the mean
    of the keys that this call brings for the page. Where that is fewer than 16, it is the centre of the sequence's
    preceding page, which `previous` int32 [T] names by block (−1: none; without `previous` the mean of what is there).
    That page may be written by the same call, for this sequence or for another that shares it.

    `apart` promises that no two tokens of the call lie in one page, as in a decode step of one token each; one launch
    then does what takes two or three.

    Raises AttentionError for shapes, dtypes or strides that do not fit the layout.
    """
    layout.check(cache)
    check_device(cache.device)
    tokens = _check(layout, keys, values, slots, previous, cache.device)
    if not tokens:
        return
    strides = (keys.stride(0), keys.stride(1), values.stride(0), values.stride(1))
    before = slots if previous is None else previous
    sizes = {
        "HEADS": layout.heads,
        "PAGE": layout.page,
        "DIM": layout.head_dim,
        "WIDTH": triton.next_power_of_2(layout.head_dim),
        "RUN": layout.run_bytes,
    }
    numbers, centres = cache.view(E4M3), cache.view(torch.bfloat16)
    if apart:
        chained = chains(cache.device)
        _append[(tokens, layout.heads)](
            numbers, centres, keys, values, slots, before, *strides, **sizes,
            KNOWN=previous is not None, CHAINED=chained, num_warps=1, launch_pdl=chained,
        )  # fmt: skip
        return
    # A page that this call fills has as many tokens: with fewer, none takes the centre of a page begun here.
    inherits = previous is not None
    together = not inherits or tokens < layout.page
    for means, taken in [(True, inherits)] if together else [(True, False), (False, True)]:
        _begin_pages[(triton.cdiv(tokens, 16), layout.heads)](
            numbers, centres, keys, slots, before, tokens, strides[0], strides[1],
            **sizes, FEW=FEW, KNOWN=inherits, MEANS=means, INHERITS=taken,
        )  # fmt: skip
    window = _SMALL_WINDOW if tokens <= _FEW_TOKENS else _WINDOW
    _fill_pages[(triton.cdiv(tokens, window), layout.heads)](
        numbers, centres, keys, values, slots, tokens, *strides, **sizes, WINDOW=window
    )


def previous_blocks(
    tables: torch.Tensor, query_starts: torch.Tensor, context_lengths: torch.Tensor, page: int, out: torch.Tensor
) -> None:
    """Fills `out` int32 [tokens] with what `write` takes as `previous`, on the device and without waiting for it.

    `tables` int32 [sequences, pages] are block tables, `query_starts` int32 [sequences + 1] says where each sequence's
    new tokens start in the batch, `context_lengths` int32 [sequences] count them too. Only tokens that begin a page are
    written, because no other is read.
    """
    sequences = context_lengths.shape[0]
    if sequences:
        _previous_blocks[(sequences,)](
            tables, tables.stride(0), query_starts, context_lengths, out, PAGE=page, NEAR=128, num_warps=1
        )  # fmt: skip


def _check(
    layout: PageLayout,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    previous: torch.Tensor | None,
    device: torch.device,
) -> int:
    """The number of tokens. Raises AttentionError."""
    expected = (slots.shape[0], layout.heads, layout.head_dim)
    for name, tensor in (("keys", keys), ("values", values)):
        if tuple(tensor.shape) != expected or tensor.stride(-1) != 1 or tensor.dtype not in _KINDS:
            raise AttentionError(
                f"{name} are {tensor.dtype} {list(tensor.shape)} with strides {list(tensor.stride())}",
                f"expected float32, bfloat16 or float16 {list(expected)} whose last stride is 1",
            )
    check_vector("slots", slots, torch.int64, slots.shape[0], device)
    if previous is not None:
        check_vector("previous", previous, torch.int32, slots.shape[0], device)
    if not keys.device == values.device == device:
        raise AttentionError(
            f"keys on {keys.device}, values on {values.device}, cache on {device}", "one device for all"
        )
    return int(slots.shape[0])


@triton.jit
def _previous_blocks(tables, table_stride, query_starts, context_lengths, out, PAGE: tl.constexpr, NEAR: tl.constexpr):
    """The block before each page that one sequence's new tokens begin."""
    sequence = tl.program_id(0).to(tl.int64)
    start, context = tl.load(query_starts + sequence), tl.load(context_lengths + sequence)
    first = context - (tl.load(query_starts + sequence + 1) - start)
    stop = tl.cdiv(context, PAGE)
    for begin in range(tl.cdiv(first, PAGE), stop, NEAR):
        page = begin + tl.arange(0, NEAR)
        inside = page < stop
        before = tl.load(tables + sequence * table_stride + page - 1, mask=inside & (page > 0), other=-1)
        tl.store(out + start + page * PAGE - first, before, mask=inside)


@triton.jit(do_not_specialize=["tokens"])
def _begin_pages(
    numbers, centres, keys, slots, previous, tokens, token_stride, head_stride,
    HEADS: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, RUN: tl.constexpr,
    FEW: tl.constexpr, KNOWN: tl.constexpr, MEANS: tl.constexpr, INHERITS: tl.constexpr,
):  # fmt: skip
    """Sets the centre and clears the values of each page that one of 16 tokens begins, for one head.

    With MEANS those that are centred on their own keys, with INHERITS those that take another page's centre, which an
    earlier launch has set if it is new.
    """
    head = tl.program_id(1).to(tl.int64)
    first = tl.program_id(0) * 16
    near = first + tl.arange(0, 16)
    near_slots = tl.load(slots + near, mask=near < tokens, other=-1)
    if tl.sum(((near_slots >= 0) & (near_slots % PAGE == 0)).to(tl.int32), 0) > 0:
        dims, rows = tl.arange(0, WIDTH), tl.arange(0, PAGE)
        for step in range(16):
            token = first + step
            slot = tl.load(slots + token, mask=token < tokens, other=-1)
            if (slot >= 0) & (slot % PAGE == 0):
                # tokens that this call brings for the page: an unbroken run of slots from here
                there = tl.load(slots + token + rows, mask=token + rows < tokens, other=-1) == slot + rows
                count = tl.min(tl.where(there, PAGE, rows), 0)
                before = tl.full([], -1, tl.int64)
                if KNOWN:
                    before = tl.load(previous + token).to(tl.int64)
                inherits = (count < FEW) & (before >= 0)
                if (MEANS and not inherits) or (INHERITS and inherits):
                    count = tl.where(inherits, 0, count)
                    at = (token + rows).to(tl.int64)[:, None] * token_stride + head * head_stride + dims[None, :]
                    page_keys = tl.load(keys + at, mask=(rows < count)[:, None] & (dims < DIM)[None, :], other=0.0)
                    centre = tl.sum(page_keys.to(tl.float32), 0) / tl.maximum(count, 1)
                    if INHERITS:
                        kept = ((before * HEADS + head) * RUN + 2 * PAGE * DIM) // 2
                        unset = dims + count * WIDTH < DIM  # nothing was averaged
                        taken = tl.load(centres + kept + dims, mask=unset, other=0.0)
                        centre = tl.where(count == 0, taken.to(tl.float32), centre)
                    centre = tl.where(tl.abs(centre) < 3.0e38, centre, 0.0)
                    run = (slot // PAGE * HEADS + head) * RUN
                    tl.store(centres + (run + 2 * PAGE * DIM) // 2 + dims, centre.to(tl.bfloat16), mask=dims < DIM)
                    clear = run + PAGE * DIM + dims[:, None] * PAGE + rows[None, :]
                    tl.store(numbers + clear, tl.zeros([WIDTH, PAGE], tl.float8e4nv), mask=(dims < DIM)[:, None])


@triton.jit
def _append(
    numbers, centres, keys, values, slots, previous, key_token, key_head, value_token, value_head,
    HEADS: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, RUN: tl.constexpr,
    KNOWN: tl.constexpr, CHAINED: tl.constexpr,
):  # fmt: skip
    """One token of one head, the only one of its page: begins the page if it is the first there, and is written."""
    if CHAINED:  # launched while the kernel before still runs; waits here for all that it wrote
        gdc_wait()
        gdc_launch_dependents()
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    slot = tl.load(slots + token)
    if slot >= 0:
        dims, rows = tl.arange(0, WIDTH), tl.arange(0, PAGE)
        inside = dims < DIM
        run, position = (slot // PAGE * HEADS + head) * RUN, slot % PAGE
        key = tl.load(keys + token * key_token + head * key_head + dims, mask=inside, other=0.0).to(tl.float32)
        value = tl.load(values + token * value_token + head * value_head + dims, mask=inside, other=0.0)
        value8 = tl.clamp(value.to(tl.float32), -448.0, 448.0).to(tl.float8e4nv)
        begins, before = position == 0, tl.full([], -1, tl.int64)
        if KNOWN:
            before = tl.where(begins, tl.load(previous + token), -1).to(tl.int64)
        kept = tl.where(before >= 0, (before * HEADS + head) * RUN, run)
        centre = tl.load(centres + (kept + 2 * PAGE * DIM) // 2 + dims, mask=inside, other=0.0).to(tl.float32)
        centre = tl.where(begins & (before < 0), key, centre)
        if begins:
            centre = tl.where(tl.abs(centre) < 3.0e38, centre, 0.0)
        stored = centre.to(tl.bfloat16)
        key = tl.clamp(key - stored.to(tl.float32), -448.0, 448.0)
        tl.store(numbers + run + position * DIM + dims, key.to(tl.float8e4nv), mask=inside)
        if begins:
            tl.store(centres + (run + 2 * PAGE * DIM) // 2 + dims, stored, mask=inside)
            some = tl.arange(0, 16)
            for dim in range(0, DIM, 16):
                clear = run + PAGE * DIM + (dim + some)[:, None] * PAGE + rows[None, :]
                tl.store(numbers + clear, tl.zeros([16, PAGE], tl.float8e4nv))
            tl.debug_barrier()  # other threads cleared what this one is about to write
        # the column of token 16i + 8b + 2t + c is 16i + 4t + 2b + c
        column = position // 16 * 16 + position % 8 // 2 * 4 + position % 16 // 8 * 2 + position % 2
        tl.store(numbers + run + PAGE * DIM + dims * PAGE + column, value8, mask=inside)


@triton.jit(do_not_specialize=["tokens"])
def _fill_pages(
    numbers, centres, keys, values, slots, tokens, key_token, key_head, value_token, value_head,
    HEADS: tl.constexpr, PAGE: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, RUN: tl.constexpr,
    WINDOW: tl.constexpr,
):  # fmt: skip
    """Writes the keys, less their page's centre, and the values of WINDOW tokens, for one head."""
    head = tl.program_id(1).to(tl.int64)
    token = (tl.program_id(0) * WINDOW + tl.arange(0, WINDOW)).to(tl.int64)
    slot = tl.load(slots + token, mask=token < tokens, other=-1)
    dims = tl.arange(0, WIDTH)
    mask = (slot >= 0)[:, None] & (dims < DIM)[None, :]
    run = (slot // PAGE * HEADS + head) * RUN
    position = slot % PAGE
    centre = tl.load(centres + ((run + 2 * PAGE * DIM) // 2)[:, None] + dims[None, :], mask=mask, other=0.0)
    key = tl.load(keys + token[:, None] * key_token + head * key_head + dims[None, :], mask=mask, other=0.0)
    key = tl.clamp(key.to(tl.float32) - centre.to(tl.float32), -448.0, 448.0)
    tl.store(numbers + (run + position * DIM)[:, None] + dims[None, :], key.to(tl.float8e4nv), mask=mask)
    value = tl.load(values + token[:, None] * value_token + head * value_head + dims[None, :], mask=mask, other=0.0)
    value = tl.clamp(value.to(tl.float32), -448.0, 448.0)
    # the column of token 16i + 8b + 2t + c is 16i + 4t + 2b + c
    column = position // 16 * 16 + position % 8 // 2 * 4 + position % 16 // 8 * 2 + position % 2
    at = (run + PAGE * DIM + column)[:, None] + (dims * PAGE)[None, :]
    tl.store(numbers + at, value.to(tl.float8e4nv), mask=mask)
