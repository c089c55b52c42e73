"""Tiles of matrix products whose sums stay in registers, as compilers do not keep those of plain loops."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))

ROWS = 8 if _WIDE else 4
VECTORS = 2
"""A tile has so many rows, and in each so many vectors: sums, weights and one number of x fit in the registers."""

BYTES = VECTORS * (64 if _WIDE else 32)
"""The bytes of a row of a tile."""


def _tile(vectors: int) -> Any:
    """Adds x W to the `ROWS` rows of out from i on and so many vectors of columns from c on; W has at least one row.

    The arrays are of one type, and the numbers of each row lie side by side.
    """

    def typed(typing: Any, x: Any, i: Any, W: Any, c: Any, out: Any) -> tuple[Any, Callable[..., Any]]:
        if not x.dtype == W.dtype == out.dtype or {W.layout, out.layout, x.layout} != {"C"}:
            raise TypeError(f"a tile needs arrays of one type in C order; found {x}, {W} and {out}.")

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _add_tile(context, builder, signature, args, vectors)

        return types.void(x, types.intp, W, types.intp, out), generate

    # Any, as a checker doesn't know that the compiler gives the first argument.
    return intrinsic(typed)


add_tile, add_narrow_tile = _tile(VECTORS), _tile(1)


def _add_tile(context: Any, builder: Any, signature: Any, args: Any, vectors: int) -> Any:
    x, W, out = (context.make_array(signature.args[n])(context, builder, args[n]) for n in (0, 2, 4))
    i, c = args[1], args[3]
    dtype = signature.args[0].dtype
    number, lanes = context.get_data_type(dtype), 8 * BYTES // VECTORS // dtype.bitwidth
    vector, size = ir.VectorType(number, lanes), dtype.bitwidth // 8
    terms, width = cgutils.unpack_tuple(builder, W.shape, 2)
    tile = list(product(range(ROWS), range(vectors)))

    def at(array: Any, row: Any, columns: Any, column: Any = None) -> Any:
        start = builder.mul(row, columns)
        return builder.gep(array.data, [start if column is None else builder.add(start, column)])

    def vector_at(array: Any, row: Any, number: int) -> Any:
        place = at(array, row, width, builder.add(c, c.type(lanes * number)))
        return builder.bitcast(place, vector.as_pointer())

    rows = [builder.add(i, i.type(r)) for r in range(ROWS)]
    places = [vector_at(out, rows[r], v) for r, v in tile]
    x_rows = [at(x, row, terms) for row in rows]
    before = [builder.load(place, align=size) for place in places]
    entry, loop, done = builder.block, *(builder.append_basic_block(name) for name in ("terms", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    k, sums = builder.phi(terms.type), [builder.phi(vector) for _ in tile]
    weights = [builder.load(vector_at(W, k, v), align=size) for v in range(vectors)]
    numbers = [_spread(builder, builder.load(builder.gep(row, [k])), vector) for row in x_rows]
    fused = {"flags": ("contract",)}
    after = [
        builder.fadd(builder.fmul(numbers[r], weights[v], **fused), total, **fused)
        for (r, v), total in zip(tile, sums, strict=True)
    ]
    following = builder.add(k, k.type(1))
    for phi, first, then in zip([k, *sums], [k.type(0), *before], [following, *after], strict=True):
        phi.add_incoming(first, entry)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following, terms), loop, done)
    builder.position_at_end(done)
    for place, total in zip(places, after, strict=True):
        builder.store(total, place, align=size)
    return context.get_dummy_value()


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    """The number in all places of a vector."""
    empty, places = ir.Constant(vector, ir.Undefined), ir.VectorType(ir.IntType(32), vector.count)
    one = builder.insert_element(empty, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, empty, ir.Constant(places, [0] * vector.count))
