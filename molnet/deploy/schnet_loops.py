"""The compiled SchNet as two loops over atoms, forward and back, each of which has stages.

A stage writes rows of its own range of atoms and reads those that the stages before have written of all atoms. So
one call does several stages for all atoms, or several threads do one stage at a time for a range each.

All arrays of layers are stacked: y (layers, atoms, channels) are projections, s activations, slopes their derivatives.
`merged` and its transposes hold, for the layers n and k < n, the block n(n − 1)/2 + k of the products M_nk.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import compiled, disjoint, inlined
from molnet.kernels.dense import add_product, softplus
from molnet.kernels.loops import BEYOND, index_parts

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Grid = tuple[float, int]

U = np.uint64
BLOCK = 128  # edges
ROWS = 64  # atoms, whose rows pass through all operations of a stage while the caches hold them

COLUMNS = 9
"""What is kept of an edge: the values of its four splines, their derivatives by the distance, and 1/r."""


@disjoint
def edge_splines(low: int, high: int, grid: Grid, vectors: Array, splines: Array, first: Array) -> None:
    """Of the edges from low to high that count, block by block: roots and divisions are vectorized, cubics are not."""
    cutoff, knots = grid
    density = knots / cutoff
    rows = np.empty((3, BLOCK))
    inverse, u, place = rows[0], rows[1], rows[2]
    for start in range(low, high, BLOCK):
        count = min(BLOCK, high - start)
        for q in range(count):
            v = vectors[start + q]
            r = sqrt(np.float64(v[0]) * v[0] + np.float64(v[1]) * v[1] + np.float64(v[2]) * v[2])
            inverse[q] = 1 / r if r != 0 else 0.0
            u[q] = r * density
            # NaN stands in the first interval: it passes to the result, and no index is out of bounds.
            place[q] = np.floor(u[q]) if r < cutoff else (float(BEYOND) if r < inf else 0.0)
        for q in range(count):
            e, interval = start + q, min(int(place[q]), knots - 1)
            n = max(0, min(interval, knots - 4))
            first[e] = n if interval >= 0 else BEYOND
            t = u[q] - interval
            s = 1 - t
            splines[e, 0], splines[e, 3] = s * s * s * (1 / 6), t * t * t * (1 / 6)
            splines[e, 1], splines[e, 2] = (0.5 * t - 1) * t * t + 2 / 3, (0.5 * s - 1) * s * s + 2 / 3
            splines[e, 4], splines[e, 7] = -0.5 * s * s * density, 0.5 * t * t * density
            splines[e, 5], splines[e, 6] = (1.5 * t - 2) * t * density, (2 - 1.5 * s) * s * density
            splines[e, 8] = inverse[q]
            # Near the cutoff the four were moved to end on the grid, and those beyond it are left out.
            for _ in range(n, interval):
                for k in range(3, 0, -1):
                    splines[e, k], splines[e, k + 4] = splines[e, k - 1], splines[e, k + 3]
                splines[e, 0], splines[e, 4] = 0, 0


@inlined
def _near(low: int, high: int, first: Array, near: Array) -> int:
    """Lists the edges that count, the last of them twice, and returns how many there are."""
    count = 0
    for e in range(low, high):
        near[count] = e
        count += first[e] != BEYOND
    near[count] = near[max(count - 1, 0)]
    return count


@inlined
def _longest(low: int, high: int, starts: Array) -> int:
    """The largest number of edges of one atom."""
    found = 0
    for i in range(low, high):
        found = max(found, starts[i + 1] - starts[i])
    return found


@inlined
def _four(b: Array, e: int, column: int, scale: float) -> tuple[float, float, float, float]:
    return scale * b[e, column], scale * b[e, column + 1], scale * b[e, column + 2], scale * b[e, column + 3]


@disjoint
def _densities(low: int, high: int, edges: Arrays, b: Array, first: Array, x: Array, C: Array, out: Array) -> None:
    """A_i = Σ_j w ∘ x_j with the filters w = Σ_k b_k C_k.

    A row of A is read and written once for two edges; the last of an odd number stands beside itself with the weight 0.
    """
    pairs, index = edges
    starts, _, _ = index_parts(index, x.shape[0])
    near, one = np.empty(_longest(low, high, starts) + 1, np.uint64), x.dtype.type(1)
    for i in range(low, high):
        out[i] = 0
        count = _near(starts[i], starts[i + 1], first, near)
        for q in range(0, count, 2):
            e, E = near[q], near[q + 1]
            # Of unsigned numbers nobody asks whether they count from the end.
            j, n, J, N = U(pairs[1, e]), U(first[e]), U(pairs[1, E]), U(first[E])
            b0, b1, b2, b3 = _four(b, e, 0, one)
            B0, B1, B2, B3 = _four(b, E, 0, x.dtype.type(q + 1 < count))
            for c in range(x.shape[1]):
                w = b0 * C[n, c] + b1 * C[n + U(1), c] + b2 * C[n + U(2), c] + b3 * C[n + U(3), c]
                W = B0 * C[N, c] + B1 * C[N + U(1), c] + B2 * C[N + U(2), c] + B3 * C[N + U(3), c]
                out[i, c] += w * x[j, c] + W * x[J, c]


@disjoint
def _reversed(low: int, high: int, edges: Arrays, splines: Array, first: Array, outs: Arrays) -> None:
    """Copies what is kept of the edges that end at an atom and count to where they stand one after the other.

    So one pass reads them here and there, and those of all layers in order. Each has its center and its first knot;
    behind the last of an odd number stands a copy with the weight 0, for which each atom has a place.
    """
    (pairs, index), (copies, numbers, ends, places) = edges, outs
    _, starts, reverse = index_parts(index, ends.shape[0])
    for j in range(low, high):
        place = starts[j] + j
        for q in range(starts[j], starts[j + 1]):
            e = reverse[q]
            if first[e] == BEYOND:
                continue
            for k in range(8):
                copies[place, k] = splines[e, k]
            numbers[place, 0], numbers[place, 1], places[e] = pairs[0, e], first[e], place
            place += 1
        ends[j] = place
        if (place - starts[j] - j) % 2 == 1:
            copies[place] = 0
            numbers[place] = numbers[place - 1]


@disjoint
def _adjoint(low: int, high: int, starts: Array, near: Arrays, arrays: Arrays, x_out: Array, r_out: Array) -> None:
    """∂x_j = Σ_i w ∘ G_i, and adds ⟨G_i, w′ ∘ x_j⟩ to the derivative with respect to the distance of i and j."""
    (b, numbers, ends, _), (G, x, C) = near, arrays
    for j in range(low, high):
        x_out[j] = 0
        for q in range(starts[j] + j, ends[j], 2):
            e, E = U(q), U(q + 1)
            i, n, k, N = U(numbers[e, 0]), U(numbers[e, 1]), U(numbers[E, 0]), U(numbers[E, 1])
            b0, b1, b2, b3, d0, d1, d2, d3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3], b[e, 4], b[e, 5], b[e, 6], b[e, 7]
            B0, B1, B2, B3, D0, D1, D2, D3 = b[E, 0], b[E, 1], b[E, 2], b[E, 3], b[E, 4], b[E, 5], b[E, 6], b[E, 7]
            s = S = x.dtype.type(0)
            for c in range(x.shape[1]):
                c0, c1, c2, c3 = C[n, c], C[n + U(1), c], C[n + U(2), c], C[n + U(3), c]
                C0, C1, C2, C3 = C[N, c], C[N + U(1), c], C[N + U(2), c], C[N + U(3), c]
                g, h = G[i, c], G[k, c]
                w, W = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3, B0 * C0 + B1 * C1 + B2 * C2 + B3 * C3
                x_out[j, c] += w * g + W * h
                s += (d0 * c0 + d1 * c1 + d2 * c2 + d3 * c3) * (g * x[j, c])
                S += (D0 * C0 + D1 * C1 + D2 * C2 + D3 * C3) * (h * x[j, c])
            r_out[e] += s
            r_out[E] += S


@inlined
def _copy(low: int, high: int, rows: Array, out: Array) -> None:
    for i in range(low, high):
        for c in range(out.shape[1]):
            out[i, c] = rows[i, c]


@compiled
def forward(
    stages: tuple[int, int], low: int, high: int, edges: Arrays, grid: Grid, weights: Arrays, work: Arrays, out: Array
) -> None:
    """Stage n is the layer n: from projections to activations, and on to the next projections or the energies.

    The first projections are given; energies are in float64.
    """
    zero, rows, merged, W, bias, C, readout_rows, readout, weight = weights
    vectors, y, slopes, hidden_slopes, splines, first, s, hidden = work
    layers = len(C)
    starts, _, _ = index_parts(edges[1], s.shape[1])
    for n in range(stages[0], stages[1]):
        for start in range(low, high, ROWS):
            stop = min(start + ROWS, high)
            if n == 0:
                edge_splines(starts[start], starts[stop], grid, vectors, splines, first)
            # Until it is done, the place of the derivatives serves for the densities.
            _densities(start, stop, edges, splines, first, y[n], C[n], slopes[n])
            for i in range(start, stop):
                for c in range(s.shape[2]):
                    s[n, i, c] = bias[n, c]
            add_product(start, stop, slopes[n], W[n], s[n])
            softplus(start, stop, s[n], slopes[n])
            if n + 1 < layers:
                _copy(start, stop, rows[n + 1], y[n + 1])
                for k in range(n + 1):
                    add_product(start, stop, s[k], merged[n * (n + 1) // 2 + k], y[n + 1])
                continue
            _copy(start, stop, readout_rows, hidden)
            for k in range(layers):
                add_product(start, stop, s[k], readout[k], hidden)
            softplus(start, stop, hidden, hidden_slopes)
            for i in range(start, stop):
                out[i] = zero[i]
                for c in range(hidden.shape[1]):
                    out[i] += np.float64(hidden[i, c]) * weight[c]


@compiled
def backward(
    stages: tuple[int, int],
    low: int,
    high: int,
    edges: Arrays,
    weights: Arrays,
    work: Arrays,
    near: Arrays,
    grads: Arrays,
) -> None:
    """Stage 0 is the readout and each other the layer before those already done: from activations to distances."""
    merged, W, C, readout, weight = weights
    y, slopes, hidden_slopes, splines, first = work
    d_energies, d_distance, d_hidden, d_s, d_density, d_y = grads
    layers = len(C)
    _, starts, _ = index_parts(edges[1], d_y.shape[0])
    for stage in range(stages[0], stages[1]):
        n = layers - stage
        for start in range(low, high, ROWS):
            stop = min(start + ROWS, high)
            if stage == 0:
                _reversed(start, stop, edges, splines, first, near)
                for i in range(start, stop):
                    for c in range(d_hidden.shape[1]):
                        d_hidden[i, c] = d_energies[i] * weight[c] * hidden_slopes[i, c]
                for k in range(layers):
                    for i in range(start, stop):
                        d_s[k, i] = 0
                    add_product(start, stop, d_hidden, readout[k], d_s[k])
            else:
                _adjoint(start, stop, starts, near, (d_density[n], y[n], C[n]), d_y, d_distance)
                for k in range(n):
                    add_product(start, stop, d_y, merged[n * (n - 1) // 2 + k], d_s[k])
            if n > 0:
                for i in range(start, stop):
                    d_density[n - 1, i] = 0
                    for c in range(slopes.shape[2]):
                        d_s[n - 1, i, c] *= slopes[n - 1, i, c]
                add_product(start, stop, d_s[n - 1], W[n - 1], d_density[n - 1])


@compiled
def vectors_gradient(vectors: Array, work: Arrays, places: Array, d_distance: Array, out: Array) -> None:
    """∂r_ij = ∂E/∂r_ij r̂_ij."""
    splines, first = work
    for e in range(vectors.shape[0]):
        scale = d_distance[places[e]] * splines[e, 8] if first[e] != BEYOND else 0.0
        for a in range(3):
            out[e, a] = scale * vectors[e, a]
