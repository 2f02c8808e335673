"""The Gluon kernel of `hopper`: two or three warpgroups that compute, one warp that brings pages."""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)


@gluon.jit
def _tile(tiles, item, HEADS: gl.constexpr, GROUP: gl.constexpr, TILE: gl.constexpr, N: gl.constexpr,
          WINDOWED: gl.constexpr, window):  # fmt: skip
    """(sequence, first row, first token, queries, context, first page, first masked page, end) of one work item."""
    tile = tiles + item // HEADS * 5
    sequence, row, token = gl.load(tile), gl.load(tile + 1), gl.load(tile + 2)
    count, context = gl.load(tile + 3), gl.load(tile + 4)
    lowest = context - count + row // GROUP
    last = gl.minimum(context - 1, context - count + (row + TILE - 1) // GROUP)
    start, whole = 0, (lowest + 1) // N
    if WINDOWED:  # all pages are masked, those that every row sees whole too
        start = gl.maximum(lowest - window + 1, 0) // N
        whole = start
    return sequence, row, token, count, context, start, whole, last // N + 1


@gluon.jit
def _read_centres(centres, table, page, start, stop, kv_head, query, near, products, centre_scale,
                  HEADS: gl.constexpr, M: gl.constexpr, N: gl.constexpr, D: gl.constexpr):  # fmt: skip
    """q · c of 64 queries with 16 pages' centres, by one matrix product, into shared memory [16, M]."""
    rows: gl.constexpr = gl.BlockedLayout([1, 8], [256 // D, D // 8], [4, 1], [1, 0])
    result: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, 16, 16])
    run: gl.constexpr = (N * (2 * D + (2 * D + N - 1) // N)) // 2  # in bf16 numbers
    index = page + gl.arange(0, 16, gl.SliceLayout(1, rows))
    inside = (index >= start) & (index < stop)
    block = gl.load(table + index, mask=inside, other=0).to(gl.int64)
    at = ((block * HEADS + kv_head) * run + N * D)[:, None] + gl.arange(0, D, gl.SliceLayout(0, rows))[None, :]
    near.store(gl.load(centres + at, mask=inside[:, None], other=0.0).to(near.dtype))
    fence_async_shared()
    product = warpgroup_mma(
        query, near.permute((1, 0)), gl.zeros([M, 16], gl.float32, result), use_acc=False, is_async=True
    )
    product = warpgroup_mma_wait(0, deps=(product,))
    flat: gl.constexpr = gl.SwizzledSharedLayout(1, 1, 1, [1, 0])
    products._reinterpret(gl.float32, [16, M], flat).store((product * centre_scale).permute((1, 0)))


@gluon.jit
def _read_page(page, turn, stop, logits, highest, total, accumulator, row_scale, position, window,
               query8, key_slots, value_slots, barriers, products,
               M: gl.constexpr, N: gl.constexpr, D: gl.constexpr, SLOTS: gl.constexpr, MASKED: gl.constexpr,
               WINDOWED: gl.constexpr):  # fmt: skip
    """One page: softmax of its logits, its values added, and the next page's logits."""
    keys_full, keys_free, values_full, values_free = barriers
    score: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, N, 32])
    output: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, D, 32])
    operand: gl.constexpr = gl.DotOperandLayout(0, output, 4)
    by_row: gl.constexpr = gl.SliceLayout(1, score)
    slot, next_slot = turn % SLOTS, (turn + 1) % SLOTS
    more = page + 1 < stop
    if MASKED:
        column = gl.arange(0, N, gl.SliceLayout(0, score))[None, :]
        reach = (position - page * N)[:, None]
        seen = column <= reach
        if WINDOWED:
            seen = seen & (column > reach - window)
        logits = gl.where(seen, logits, float("-inf"))
    with_centre = gl.convert_layout(products.index(page % 16).permute((1, 0)).load(score).reshape([M]), by_row)
    raised = gl.maximum(highest, gl.max(logits, 1) * row_scale + with_centre)
    fade = gl.exp2(highest - raised)
    # probabilities times 2^8: e4m3 then keeps those down to 2^-17 of the highest
    weights = gl.exp2(logits * row_scale[:, None] - (raised - 8.0 - with_centre)[:, None])
    total = total * fade + gl.sum(weights, 1)
    # in the stored order of the values the operand is the same registers: see layout.stored_order
    ordered = weights.to(gl.float8e4nv).reshape([M, N // 16, 2, 4, 2]).permute([0, 1, 3, 2, 4]).reshape([M, N])
    weights8 = gl.convert_layout(ordered, operand)
    mbarrier.wait(values_full.index(slot), (turn // SLOTS) & 1)
    part = warpgroup_mma(
        weights8, value_slots.index(slot).permute((1, 0)), gl.zeros([M, D], gl.float32, output),
        use_acc=False, is_async=True, max_num_imprecise_acc=N,
    )  # fmt: skip
    mbarrier.wait(keys_full.index(next_slot), ((turn + 1) // SLOTS) & 1, pred=more)
    following = warpgroup_mma(
        query8, key_slots.index(next_slot).permute((1, 0)), gl.zeros([M, N], gl.float32, score),
        use_acc=False, is_async=True, max_num_imprecise_acc=D,
    )  # fmt: skip
    part = warpgroup_mma_wait(1, deps=(part,))
    mbarrier.arrive(values_free.index(slot), count=1)
    # a fresh accumulator for each page, added in float32: FP8 matrix units keep about 14 bits
    accumulator = accumulator * gl.convert_layout(fade, gl.SliceLayout(1, output))[:, None] + part
    logits = warpgroup_mma_wait(0, deps=(following,))
    mbarrier.arrive(keys_free.index(next_slot), count=1, pred=more)
    return logits, raised, total, accumulator


@gluon.jit
def _consume(arguments, key_slots, value_slots, query8, query, near, products, barriers, part,
             HEADS: gl.constexpr, GROUP: gl.constexpr, N: gl.constexpr, D: gl.constexpr, WINDOWED: gl.constexpr,
             M: gl.constexpr, SLOTS: gl.constexpr, CONSUMERS: gl.constexpr):  # fmt: skip
    """One warpgroup: 64 rows of every tile that this block takes."""
    queries, token_stride, head_stride, centres, tables, table_stride, out, tiles, items, scale, window = arguments
    keys_full, keys_free, values_full, values_free = barriers
    score: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, N, 32])
    output: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, D, 32])
    by_row: gl.constexpr = gl.SliceLayout(1, score)
    loads: gl.constexpr = gl.BlockedLayout([1, 8], [256 // D, D // 8], [4, 1], [1, 0])
    turn = 0
    for item in range(gl.program_id(0), items, gl.num_programs(0)):
        sequence, first, token, count, context, start, whole, stop = _tile(
            tiles, item, HEADS, GROUP, M * CONSUMERS, N, WINDOWED, window
        )
        kv_head = item % HEADS
        first += part * M
        row = first + gl.arange(0, M, gl.SliceLayout(1, loads))
        dims = gl.arange(0, D, gl.SliceLayout(0, loads))
        head = (kv_head * GROUP + row % GROUP).to(gl.int64)
        at = (token + row // GROUP).to(gl.int64) * token_stride + head * head_stride
        loaded = gl.load(queries + at[:, None] + dims[None, :], mask=(row < count * GROUP)[:, None], other=0.0)
        wide = loaded.to(gl.float32)
        query_scale = gl.maximum(gl.max(gl.abs(wide), 1), 1e-6) / 256.0
        query8.store((wide / query_scale[:, None]).to(gl.float8e4nv))
        query.store(loaded)
        fence_async_shared()
        row_scale = gl.convert_layout(query_scale, by_row) * scale
        position = context - count + (first + gl.arange(0, M, by_row)) // GROUP
        highest = gl.full([M], -1.0e30, gl.float32, by_row)
        total = gl.full([M], 0.0, gl.float32, by_row)
        accumulator = gl.zeros([M, D], gl.float32, output)
        table = tables + sequence.to(gl.int64) * table_stride
        slot = turn % SLOTS
        mbarrier.wait(keys_full.index(slot), (turn // SLOTS) & 1)
        logits = warpgroup_mma(
            query8, key_slots.index(slot).permute((1, 0)), gl.zeros([M, N], gl.float32, score),
            use_acc=False, is_async=True, max_num_imprecise_acc=D,
        )  # fmt: skip
        logits = warpgroup_mma_wait(0, deps=(logits,))
        mbarrier.arrive(keys_free.index(slot), count=1)
        for page in range(start, whole):
            if (page % 16 == 0) | (page == start):
                _read_centres(
                    centres, table, page // 16 * 16, start, stop, kv_head, query, near, products, scale, HEADS, M, N, D
                )
            logits, highest, total, accumulator = _read_page(
                page, turn, stop, logits, highest, total, accumulator, row_scale, position, window,
                query8, key_slots, value_slots, barriers, products, M, N, D, SLOTS, False, False,
            )  # fmt: skip
            turn += 1
        for page in range(whole, stop):
            if (page % 16 == 0) | (page == start):
                _read_centres(
                    centres, table, page // 16 * 16, start, stop, kv_head, query, near, products, scale, HEADS, M, N, D
                )
            logits, highest, total, accumulator = _read_page(
                page, turn, stop, logits, highest, total, accumulator, row_scale, position, window,
                query8, key_slots, value_slots, barriers, products, M, N, D, SLOTS, True, WINDOWED,
            )  # fmt: skip
            turn += 1
        total = gl.where(total > 0.0, total, 1.0)
        result = accumulator / gl.convert_layout(total, gl.SliceLayout(1, output))[:, None]
        row = first + gl.arange(0, M, gl.SliceLayout(1, output))
        dims = gl.arange(0, D, gl.SliceLayout(0, output))
        to = (token + row // GROUP).to(gl.int64) * (HEADS * GROUP) + kv_head * GROUP + row % GROUP
        gl.store(out + (to * D)[:, None] + dims[None, :], result.to(loaded.dtype), mask=(row < count * GROUP)[:, None])


@gluon.jit
def _produce(arguments, key_slots, value_slots, keys, values, barriers,
             HEADS: gl.constexpr, GROUP: gl.constexpr, N: gl.constexpr, D: gl.constexpr, WINDOWED: gl.constexpr,
             M: gl.constexpr, SLOTS: gl.constexpr, CONSUMERS: gl.constexpr):  # fmt: skip
    """The warp that brings pages: waits until all warpgroups have left a slot, then fills it."""
    queries, token_stride, head_stride, centres, tables, table_stride, out, tiles, items, scale, window = arguments
    keys_full, keys_free, values_full, values_free = barriers
    run: gl.constexpr = N * (2 * D + (2 * D + N - 1) // N)
    turn = 0
    for item in range(gl.program_id(0), items, gl.num_programs(0)):
        sequence, first, token, count, context, start, whole, stop = _tile(
            tiles, item, HEADS, GROUP, M * CONSUMERS, N, WINDOWED, window
        )
        table = tables + sequence.to(gl.int64) * table_stride
        for page in range(start, stop):
            slot, phase = turn % SLOTS, ((turn // SLOTS) & 1) ^ 1
            at = gl.load(table + page) * HEADS + item % HEADS
            mbarrier.wait(keys_free.index(slot), phase)
            mbarrier.expect(keys_full.index(slot), N * D)
            tma.async_copy_global_to_shared(keys, [at * (run // D), 0], keys_full.index(slot), key_slots.index(slot))
            mbarrier.wait(values_free.index(slot), phase)
            mbarrier.expect(values_full.index(slot), N * D)
            tma.async_copy_global_to_shared(
                values, [at * (run // N) + D, 0], values_full.index(slot), value_slots.index(slot)
            )
            turn += 1


@gluon.jit(do_not_specialize=["items"])
def prefill_kernel(queries, token_stride, head_stride, keys, values, centres, tables, table_stride, out, tiles, items,
                   scale, window, HEADS: gl.constexpr, GROUP: gl.constexpr, N: gl.constexpr, D: gl.constexpr,
                   WINDOWED: gl.constexpr, M: gl.constexpr, SLOTS: gl.constexpr, CONSUMERS: gl.constexpr,
                   TAKEN: gl.constexpr, LEFT: gl.constexpr):  # fmt: skip
    """Shared memory and barriers of one block, then its three parts."""
    kind: gl.constexpr = queries.dtype.element_ty
    flat: gl.constexpr = gl.SwizzledSharedLayout(1, 1, 1, [1, 0])
    box8: gl.constexpr = gl.NVMMASharedLayout.get_default_for([M, D], gl.float8e4nv)
    box: gl.constexpr = gl.NVMMASharedLayout.get_default_for([M, D], kind)
    box16: gl.constexpr = gl.NVMMASharedLayout.get_default_for([16, D], kind)
    query8 = gl.allocate_shared_memory(gl.float8e4nv, [CONSUMERS, M, D], box8)
    query = gl.allocate_shared_memory(kind, [CONSUMERS, M, D], box)
    near = gl.allocate_shared_memory(kind, [CONSUMERS, 16, D], box16)
    products0 = gl.allocate_shared_memory(gl.float32, [16, 1, M], flat)
    products1 = gl.allocate_shared_memory(gl.float32, [16, 1, M], flat)
    key_slots = gl.allocate_shared_memory(gl.float8e4nv, [SLOTS, N, D], keys.layout)
    value_slots = gl.allocate_shared_memory(gl.float8e4nv, [SLOTS, D, N], values.layout)
    keys_full = gl.allocate_shared_memory(gl.int64, [SLOTS, 1], mbarrier.MBarrierLayout())
    keys_free = gl.allocate_shared_memory(gl.int64, [SLOTS, 1], mbarrier.MBarrierLayout())
    values_full = gl.allocate_shared_memory(gl.int64, [SLOTS, 1], mbarrier.MBarrierLayout())
    values_free = gl.allocate_shared_memory(gl.int64, [SLOTS, 1], mbarrier.MBarrierLayout())
    for slot in gl.static_range(SLOTS):
        mbarrier.init(keys_full.index(slot), count=1)
        mbarrier.init(keys_free.index(slot), count=CONSUMERS)
        mbarrier.init(values_full.index(slot), count=1)
        mbarrier.init(values_free.index(slot), count=CONSUMERS)
    fence_async_shared()
    barriers = (keys_full, keys_free, values_full, values_free)
    arguments = (queries, token_stride, head_stride, centres, tables, table_stride, out, tiles, items, scale, window)
    if CONSUMERS == 2:
        gl.warp_specialize(
            [
                (_consume, (arguments, key_slots, value_slots, query8.index(0), query.index(0), near.index(0),
                            products0, barriers, 0, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
                (_consume, (arguments, key_slots, value_slots, query8.index(1), query.index(1), near.index(1),
                            products1, barriers, 1, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
                (_produce, (arguments, key_slots, value_slots, keys, values,
                            barriers, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
            ],
            [4, 1],
            [TAKEN, LEFT],
        )  # fmt: skip
    else:
        products2 = gl.allocate_shared_memory(gl.float32, [16, 1, M], flat)
        gl.warp_specialize(
            [
                (_consume, (arguments, key_slots, value_slots, query8.index(0), query.index(0), near.index(0),
                            products0, barriers, 0, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
                (_consume, (arguments, key_slots, value_slots, query8.index(1), query.index(1), near.index(1),
                            products1, barriers, 1, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
                (_consume, (arguments, key_slots, value_slots, query8.index(2), query.index(2), near.index(2),
                            products2, barriers, 2, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
                (_produce, (arguments, key_slots, value_slots, keys, values,
                            barriers, HEADS, GROUP, N, D, WINDOWED, M, SLOTS, CONSUMERS)),
            ],
            [4, 4, 1],
            [TAKEN, TAKEN, LEFT],
        )  # fmt: skip
