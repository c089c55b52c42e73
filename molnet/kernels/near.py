"""The neighbours of one atom as columns of numbers, element by element, that loops over them vectorize."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import SOURCES, compiled, part
from molnet.kernels.terms import CUTOFF, FIRST, SECOND

Array = NDArray[Any]
Arrays = tuple[Array, ...]

# Columns: r, direction, f_c and f_c′; the energy's derivatives with respect to r and direction; tangents of both.
R, UX, UY, UZ, F, SLOPE, GR, TX, TY, TZ, RD, WX, WY, WZ = range(14)
COLUMNS = 14


@compiled
def index(pairs: Array, elements: Array, n_elements: int, out: Array, sources: int = SOURCES) -> int:
    """The edges, sorted by center and element of the neighbour, after where those of each center and element start.

    Last stand the elements of the atoms. Returns the first edge that names no atom or none of a known element, or that
    isn't sorted by center, or −1.
    """
    n_atoms, n_edges = elements.shape[0], pairs.shape[1]
    rows = n_atoms * n_elements
    out[: rows + 1] = 0
    for e in range(n_edges):
        i, j = pairs[0, e], pairs[1, e]
        if not (0 <= i < n_atoms and 0 <= j < n_atoms) or (e > 0 and i < pairs[0, e - 1]):
            return e
        if not 0 <= elements[j] < n_elements:
            return e
        out[i * n_elements + elements[j] + 1] += 1
    for row in range(rows):
        out[row + 1] += out[row]
    place = out[:rows].copy()
    for e in range(n_edges):
        row = pairs[0, e] * n_elements + elements[pairs[1, e]]
        out[rows + 1 + place[row]] = e
        place[row] += 1
    out[rows + 1 + n_edges :] = elements
    return -1


@part
def columns(low: int, high: int, index: Array, n_elements: int, vectors: Array) -> tuple[Array, Array, Array]:
    """Place for the neighbours of any of the atoms, for their edges, and for where each element begins."""
    stride = 0
    for i in range(low, high):
        stride = max(stride, index[(i + 1) * n_elements] - index[i * n_elements])
    return np.zeros(COLUMNS * stride, vectors.dtype), np.empty(stride, np.int64), np.empty(n_elements + 1, np.int64)


@part
def gather(i: int, index: Array, n_atoms: int, vectors: Array, table: Array, near: Arrays) -> int:
    """Columns r and direction of the neighbours nearer than the cutoff, their edges, and where each element begins.

    Elements that the block of terms has no sums of have no neighbours.
    """
    cutoff, only, other = table[CUTOFF], table[FIRST], table[SECOND]
    s, ids, first = near
    n_elements, stride = first.shape[0] - 1, ids.shape[0]
    start, order = i * n_elements, n_atoms * n_elements + 1
    largest = vectors.dtype.type(cutoff * cutoff)
    one, zero, count = vectors.dtype.type(1), vectors.dtype.type(0), 0
    for element in range(n_elements):
        first[element] = count
        if only >= 0 and element != only and element != other:
            continue
        for place in range(index[start + element], index[start + element + 1]):
            e = index[order + place]
            x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
            square = x * x + y * y + z * z
            # What is no number stays, so that it is seen.
            if square >= largest:
                continue
            s[R * stride + count] = square
            s[UX * stride + count], s[UY * stride + count], s[UZ * stride + count] = x, y, z
            ids[count] = e
            count += 1
    first[n_elements] = count
    for k in range(count):
        r = sqrt(s[R * stride + k])
        inverse = zero if r == zero else one / r
        s[R * stride + k] = r
        s[UX * stride + k] *= inverse
        s[UY * stride + k] *= inverse
        s[UZ * stride + k] *= inverse
    return count


@part
def gather_tangents(count: int, tangents: Array, s: Array, ids: Array) -> None:
    """Columns of the tangents ṙ = u · v̇ and u̇ = (v̇ − ṙ u)/r."""
    stride, zero = ids.shape[0], s.dtype.type(0)
    for k in range(count):
        e, r = ids[k], s[R * stride + k]
        ux, uy, uz = s[UX * stride + k], s[UY * stride + k], s[UZ * stride + k]
        along = ux * tangents[e, 0] + uy * tangents[e, 1] + uz * tangents[e, 2]
        inverse = zero if r == zero else s.dtype.type(1) / r
        s[RD * stride + k] = along
        s[WX * stride + k] = (tangents[e, 0] - along * ux) * inverse
        s[WY * stride + k] = (tangents[e, 1] - along * uy) * inverse
        s[WZ * stride + k] = (tangents[e, 2] - along * uz) * inverse


@part
def scatter(count: int, s: Array, ids: Array, out: Array) -> None:
    """∂v += ∂r u + [∂u − (∂u · u) u]/r."""
    stride, zero = ids.shape[0], s.dtype.type(0)
    for k in range(count):
        e, r = ids[k], s[R * stride + k]
        ux, uy, uz = s[UX * stride + k], s[UY * stride + k], s[UZ * stride + k]
        tx, ty, tz = s[TX * stride + k], s[TY * stride + k], s[TZ * stride + k]
        inverse = zero if r == zero else s.dtype.type(1) / r
        along = s[GR * stride + k] - (tx * ux + ty * uy + tz * uz) * inverse
        out[e, 0] += along * ux + tx * inverse
        out[e, 1] += along * uy + ty * inverse
        out[e, 2] += along * uz + tz * inverse
