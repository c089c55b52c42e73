"""All sums over the neighbours of atoms, and their derivatives, as loops over atoms.

An atom owns its row of sums and the edges that it is the center of, so loops over ranges of atoms may run beside each
other. What belongs to an edge or a pair, exponentials too, is computed anew in each loop.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from molnet.kernels.compiled import SOURCES, compiled, inlined, part
from molnet.kernels.envelopes import envelope
from molnet.kernels.harmonic_sums import harmonic_gradients, harmonic_sums, harmonic_tangents
from molnet.kernels.near import GR, SLOPE, F, R, columns, gather, gather_tangents, scatter
from molnet.kernels.shells import shell_gradients, shell_sums, shell_tangents
from molnet.kernels.terms import CUTOFF, DENSITIES, HEADER, KIND, LENGTH, N_ANGULAR, N_RADIAL, PAIRS
from molnet.kernels.triplets import pair_gradients, pair_sums, pair_tangents, scratch

Array = NDArray[Any]
Arrays = tuple[Array, ...]


@inlined
def block(begin: int, n_elements: int, tables: Array) -> tuple[int, int, Array]:
    """The kind of the block of terms that begins there, how many sums of an atom it has, and its numbers."""
    table = tables[begin : begin + int(tables[begin + LENGTH])]
    kind, groups, terms = int(table[KIND]), n_elements, int(table[N_RADIAL])
    if kind >= PAIRS:
        groups, terms = n_elements * (n_elements + 1) // 2, terms * int(table[N_ANGULAR])
    return kind, groups * terms, table


@part
def surroundings(i: int, shape: int, index: Array, vectors: Array, table: Array, near: Arrays) -> int:
    """The columns of the neighbours of an atom; returns their number."""
    s, ids, first = near
    stride, n_atoms = ids.shape[0], (index.shape[0] - 1 - vectors.shape[0]) // (first.shape[0] - 1)
    count = gather(i, index, n_atoms, vectors, table[CUTOFF], near)
    envelope(shape, s, (R * stride, F * stride, SLOPE * stride), count, table[CUTOFF])
    return count


@compiled
def sums(low: int, high: int, index: Array, vectors: Array, terms: Array, out: Array, sources: int = SOURCES) -> None:
    """The sums of the atoms from low on, in rows of out."""
    tables, shape, n_elements = terms.astype(vectors.dtype), int(terms[0]), int(terms[1])
    near = columns(low, high, index, n_elements, vectors)
    s, ids, first = near
    begin, at, stride = HEADER, 0, ids.shape[0]
    while begin < terms.shape[0]:
        kind, size, table = block(begin, n_elements, tables)
        p = scratch(kind, table)
        for i in range(low, high):
            row = out[i, at : at + size]
            surroundings(i, shape, index, vectors, table, near)
            if kind == PAIRS:
                pair_sums(shape, table, s, stride, first, p, row)
            elif kind == DENSITIES:
                harmonic_sums(table, s, stride, first, row)
            else:
                shell_sums(table, s, stride, first, row)
        begin, at = begin + table.shape[0], at + size


@compiled
def gradients(
    low: int, high: int, index: Array, vectors: Array, terms: Array, grad: Array, out: Array, sources: int = SOURCES
) -> None:
    """Derivatives with respect to the vectors of the atoms' edges, from those with respect to the sums."""
    tables, shape, n_elements = terms.astype(vectors.dtype), int(terms[0]), int(terms[1])
    near = columns(low, high, index, n_elements, vectors)
    s, ids, first = near
    begin, at, stride = HEADER, 0, ids.shape[0]
    for place in range(index[low * n_elements], index[high * n_elements]):
        out[index[grad.shape[0] * n_elements + 1 + place]] = 0
    while begin < terms.shape[0]:
        kind, size, table = block(begin, n_elements, tables)
        p = scratch(kind, table)
        for i in range(low, high):
            row = grad[i, at : at + size]
            count = surroundings(i, shape, index, vectors, table, near)
            s[GR * stride : (GR + 4) * stride] = 0
            if kind == PAIRS:
                pair_gradients(shape, table, s, stride, first, p, row)
            elif kind == DENSITIES:
                harmonic_gradients(table, s, stride, first, row)
            else:
                shell_gradients(table, s, stride, first, row)
            scatter(count, s, ids, out)
        begin, at = begin + table.shape[0], at + size


@compiled
def tangents(
    low: int, high: int, index: Array, vectors: Array, terms: Array, dots: Array, out: Array, sources: int = SOURCES
) -> None:
    """Derivatives of the sums along tangents of the vectors."""
    tables, shape, n_elements = terms.astype(vectors.dtype), int(terms[0]), int(terms[1])
    near = columns(low, high, index, n_elements, vectors)
    s, ids, first = near
    begin, at, stride = HEADER, 0, ids.shape[0]
    while begin < terms.shape[0]:
        kind, size, table = block(begin, n_elements, tables)
        p = scratch(kind, table)
        for i in range(low, high):
            row = out[i, at : at + size]
            gather_tangents(surroundings(i, shape, index, vectors, table, near), dots, s, ids)
            if kind == PAIRS:
                pair_tangents(shape, table, s, stride, first, p, row)
            elif kind == DENSITIES:
                harmonic_tangents(table, s, stride, first, row)
            else:
                shell_tangents(table, s, stride, first, row)
        begin, at = begin + table.shape[0], at + size
