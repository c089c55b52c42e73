"""All sums over the neighbours of atoms, and their derivatives, as loops over atoms.

An atom owns its row of sums and the edges that it is the center of, so loops over ranges of atoms may run beside each
other. What belongs to an edge or a pair, exponentials too, is computed anew in each loop.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from molnet.kernels.arcs import arc_gradients, arc_sums, arc_tangents
from molnet.kernels.compiled import SOURCES, compiled, inlined, part
from molnet.kernels.envelopes import envelope
from molnet.kernels.groups import combinations
from molnet.kernels.harmonic_sums import harmonic_gradients, harmonic_sums, harmonic_tangents
from molnet.kernels.near import GR, SLOPE, F, R, columns, gather, gather_tangents, scatter
from molnet.kernels.shells import (
    shell_gradients,
    shell_sums,
    shell_tangents,
    window_gradients,
    window_sums,
    window_tangents,
)
from molnet.kernels.terms import ARCS, CUTOFF, DENSITIES, FIRST, HEADER, KIND, LENGTH, PAIRS, STARTS, WEIGHTS, WINDOWS
from molnet.kernels.triplets import cutoff_function, pair_gradients, pair_sums, pair_tangents, scratch

Array = NDArray[Any]
Arrays = tuple[Array, ...]


@inlined
def block(begin: int, n_elements: int, tables: Array) -> tuple[int, int, Array]:
    """The kind of the block of terms that begins there, how many sums of an atom it has, and its numbers."""
    table = tables[begin : begin + int(tables[begin + LENGTH])]
    kind, groups = int(table[KIND]), n_elements
    if kind >= PAIRS:
        groups = n_elements * (n_elements + 1) // 2
    if table[WEIGHTS] > 0 or table[FIRST] >= 0:
        groups = 1
    return kind, groups * combinations(table), table


@inlined
def start(i: int, index: Array, n_atoms: int, table: Array) -> int:
    """Where in an atom's row the sums of a block begin, −1 if its element has none."""
    element = index[index.shape[0] - n_atoms + i]
    return int(table[int(table[STARTS]) + element]) if element >= 0 else -1


@part
def surroundings(i: int, index: Array, vectors: Array, table: Array, near: Arrays) -> int:
    """The columns of the neighbours of an atom; returns their number."""
    s, ids, first = near
    stride, n_elements = ids.shape[0], first.shape[0] - 1
    n_atoms = (index.shape[0] - 1 - vectors.shape[0]) // (n_elements + 1)
    count = gather(i, index, n_atoms, vectors, table, near)
    if table[KIND] == WINDOWS or table[KIND] == ARCS:
        for k in range(count):
            s[F * stride + k], s[SLOPE * stride + k] = 1, 0
    else:
        envelope(cutoff_function(table), s, (R * stride, F * stride, SLOPE * stride), count, table[CUTOFF])
    weights = int(table[WEIGHTS])
    for element in range(n_elements if weights > 0 else 0):
        for k in range(first[element], first[element + 1]):
            s[F * stride + k] *= table[weights + element]
            s[SLOPE * stride + k] *= table[weights + element]
    return count


@inlined
def seen(table: Array, first: Array) -> Array:
    """Where the elements begin that sums are taken by: with weights, all elements are one."""
    if table[WEIGHTS] > 0:
        first[1] = first[first.shape[0] - 1]
        return first[:2]
    only = int(table[FIRST])
    return first[only : only + 2] if only >= 0 and table[KIND] < PAIRS else first


@compiled
def sums(low: int, high: int, index: Array, vectors: Array, terms: Array, out: Array, sources: int = SOURCES) -> None:
    """The sums of the atoms from low on, in rows of out."""
    tables, n_elements = terms.astype(vectors.dtype), int(terms[1])
    near = columns(low, high, index, n_elements, vectors)
    s, ids, first = near
    begin, stride = HEADER, ids.shape[0]
    out[low:high] = 0
    while begin < terms.shape[0]:
        kind, size, table = block(begin, n_elements, tables)
        p = scratch(kind, table)
        for i in range(low, high):
            at = start(i, index, out.shape[0], table)
            if at < 0:
                continue
            row = out[i, at : at + size]
            surroundings(i, index, vectors, table, near)
            elements = seen(table, first)
            if kind == PAIRS:
                pair_sums(table, s, stride, elements, p, row)
            elif kind == DENSITIES:
                harmonic_sums(table, s, stride, elements, row)
            elif kind == ARCS:
                arc_sums(table, s, stride, elements, row)
            elif kind == WINDOWS:
                window_sums(table, s, stride, elements, row)
            else:
                shell_sums(table, s, stride, elements, row)
        begin += table.shape[0]


@compiled
def gradients(
    low: int, high: int, index: Array, vectors: Array, terms: Array, grad: Array, out: Array, sources: int = SOURCES
) -> None:
    """Derivatives with respect to the vectors of the atoms' edges, from those with respect to the sums."""
    tables, n_elements = terms.astype(vectors.dtype), int(terms[1])
    near = columns(low, high, index, n_elements, vectors)
    s, ids, first = near
    begin, stride = HEADER, ids.shape[0]
    for place in range(index[low * n_elements], index[high * n_elements]):
        out[index[grad.shape[0] * n_elements + 1 + place]] = 0
    while begin < terms.shape[0]:
        kind, size, table = block(begin, n_elements, tables)
        p = scratch(kind, table)
        for i in range(low, high):
            at = start(i, index, grad.shape[0], table)
            if at < 0:
                continue
            row = grad[i, at : at + size]
            count = surroundings(i, index, vectors, table, near)
            s[GR * stride : (GR + 4) * stride] = 0
            elements = seen(table, first)
            if kind == PAIRS:
                pair_gradients(table, s, stride, elements, p, row)
            elif kind == DENSITIES:
                harmonic_gradients(table, s, stride, elements, row)
            elif kind == ARCS:
                arc_gradients(table, s, stride, elements, row)
            elif kind == WINDOWS:
                window_gradients(table, s, stride, elements, row)
            else:
                shell_gradients(table, s, stride, elements, row)
            scatter(count, s, ids, out)
        begin += table.shape[0]


@compiled
def tangents(
    low: int, high: int, index: Array, vectors: Array, terms: Array, dots: Array, out: Array, sources: int = SOURCES
) -> None:
    """Derivatives of the sums along tangents of the vectors."""
    tables, n_elements = terms.astype(vectors.dtype), int(terms[1])
    near = columns(low, high, index, n_elements, vectors)
    s, ids, first = near
    begin, stride = HEADER, ids.shape[0]
    out[low:high] = 0
    while begin < terms.shape[0]:
        kind, size, table = block(begin, n_elements, tables)
        p = scratch(kind, table)
        for i in range(low, high):
            at = start(i, index, out.shape[0], table)
            if at < 0:
                continue
            row = out[i, at : at + size]
            gather_tangents(surroundings(i, index, vectors, table, near), dots, s, ids)
            elements = seen(table, first)
            if kind == PAIRS:
                pair_tangents(table, s, stride, elements, p, row)
            elif kind == DENSITIES:
                harmonic_tangents(table, s, stride, elements, row)
            elif kind == ARCS:
                arc_tangents(table, s, stride, elements, row)
            elif kind == WINDOWS:
                window_tangents(table, s, stride, elements, row)
            else:
                shell_tangents(table, s, stride, elements, row)
        begin += table.shape[0]
