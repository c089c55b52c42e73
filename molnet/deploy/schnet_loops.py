"""The compiled SchNet as two loops over atoms, forward and back, each of which has stages.

A stage writes rows of its own range of atoms and reads those that the stages before have written of all atoms. So
one call does several stages for all atoms, or several threads do one stage at a time for a range each.

All arrays of layers are stacked: y (layers, atoms, channels) are projections, s activations, slopes their derivatives.
`merged` and its transposes hold, for the layers n and k < n, the block n(n − 1)/2 + k of the products M_nk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import compiled, inlined
from molnet.kernels.dense import add_product, softplus
from molnet.kernels.loops import BEYOND, index_parts, spline_place, spline_slopes, spline_values

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Grid = tuple[float, int]

COLUMNS = 9
"""What is kept of an edge: the values of its four splines, their derivatives by the distance, and 1/r."""


@inlined
def _splines(low: int, high: int, grid: Grid, vectors: Array, splines: Array, first: Array) -> None:
    """Of the edges from low to high; splines that begin before the grid are left out."""
    for e in range(low, high):
        r, first[e], shift, t = spline_place(vectors[e], grid)
        splines[e] = 0
        if first[e] == BEYOND:
            continue
        density, values, slopes = grid[1] / grid[0], spline_values(t), spline_slopes(t)
        for k in range(4 - shift):
            splines[e, k + shift] = values[k]
            splines[e, 4 + k + shift] = density * slopes[k]
        splines[e, 8] = 1 / r if r != 0 else 0.0


@compiled
def _densities(low: int, high: int, edges: Arrays, b: Array, first: Array, x: Array, C: Array, out: Array) -> None:
    """A_i = Σ_j w ∘ x_j with the filters w = Σ_k b_k C_k."""
    pairs, index = edges
    starts, _, _ = index_parts(index, x.shape[0])
    for i in range(low, high):
        out[i] = 0
        for e in range(starts[i], starts[i + 1]):
            n, j = first[e], pairs[1, e]
            if n == BEYOND:
                continue
            b0, b1, b2, b3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3]
            for c in range(out.shape[1]):
                out[i, c] += (b0 * C[n, c] + b1 * C[n + 1, c] + b2 * C[n + 2, c] + b3 * C[n + 3, c]) * x[j, c]


@compiled
def _adjoint(low: int, high: int, edges: Arrays, b: Array, first: Array, arrays: Arrays, outs: Arrays) -> None:
    """∂x_j = Σ_i w ∘ G_i, and adds ⟨G_i, w′ ∘ x_j⟩ to the derivative with respect to the distance of i and j."""
    (pairs, index), (G, x, C), (x_out, distance_out) = edges, arrays, outs
    _, reverse_starts, reverse = index_parts(index, x.shape[0])
    for j in range(low, high):
        x_out[j] = 0
        for q in range(reverse_starts[j], reverse_starts[j + 1]):
            e = reverse[q]
            n, i = first[e], pairs[0, e]
            if n == BEYOND:
                continue
            b0, b1, b2, b3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3]
            d0, d1, d2, d3 = b[e, 4], b[e, 5], b[e, 6], b[e, 7]
            total = x.dtype.type(0)
            for c in range(x.shape[1]):
                c0, c1, c2, c3 = C[n, c], C[n + 1, c], C[n + 2, c], C[n + 3, c]
                x_out[j, c] += (b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3) * G[i, c]
                total += (d0 * c0 + d1 * c1 + d2 * c2 + d3 * c3) * G[i, c] * x[j, c]
            distance_out[e] += total


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
    vectors, splines, first, y, s, slopes, hidden, hidden_slopes = work
    layers = len(C)
    starts, _, _ = index_parts(edges[1], s.shape[1])
    for n in range(stages[0], stages[1]):
        if n == 0:
            _splines(starts[low], starts[high], grid, vectors, splines, first)
        # Until it is done, the place of the derivatives serves for the densities.
        _densities(low, high, edges, splines, first, y[n], C[n], slopes[n])
        for i in range(low, high):
            for c in range(s.shape[2]):
                s[n, i, c] = bias[n, c]
        add_product(low, high, slopes[n], W[n], s[n])
        softplus(low, high, s[n], slopes[n])
        if n + 1 < layers:
            _copy(low, high, rows[n + 1], y[n + 1])
            for k in range(n + 1):
                add_product(low, high, s[k], merged[n * (n + 1) // 2 + k], y[n + 1])
            continue
        _copy(low, high, readout_rows, hidden)
        for k in range(layers):
            add_product(low, high, s[k], readout[k], hidden)
        softplus(low, high, hidden, hidden_slopes)
        for i in range(low, high):
            out[i] = zero[i]
            for c in range(hidden.shape[1]):
                out[i] += np.float64(hidden[i, c]) * weight[c]


@compiled
def backward(
    stages: tuple[int, int], low: int, high: int, edges: Arrays, weights: Arrays, work: Arrays, grads: Arrays
) -> None:
    """Stage 0 is the readout and each other the layer before those already done: from activations to distances."""
    merged, W, C, readout, weight = weights
    splines, first, y, slopes, hidden_slopes = work
    d_energies, d_hidden, d_s, d_density, d_y, d_distance = grads
    layers = len(C)
    for stage in range(stages[0], stages[1]):
        n = layers - stage
        if stage == 0:
            for i in range(low, high):
                for c in range(d_hidden.shape[1]):
                    d_hidden[i, c] = d_energies[i] * weight[c] * hidden_slopes[i, c]
            for k in range(layers):
                for i in range(low, high):
                    d_s[k, i] = 0
                add_product(low, high, d_hidden, readout[k], d_s[k])
        else:
            _adjoint(low, high, edges, splines, first, (d_density[n], y[n], C[n]), (d_y, d_distance))
            for k in range(n):
                add_product(low, high, d_y, merged[n * (n - 1) // 2 + k], d_s[k])
        if n > 0:
            for i in range(low, high):
                d_density[n - 1, i] = 0
                for c in range(slopes.shape[2]):
                    d_s[n - 1, i, c] *= slopes[n - 1, i, c]
            add_product(low, high, d_s[n - 1], W[n - 1], d_density[n - 1])


@compiled
def vectors_gradient(vectors: Array, splines: Array, d_distance: Array, out: Array) -> None:
    """∂r_ij = ∂E/∂r_ij r̂_ij."""
    for e in range(vectors.shape[0]):
        scale = d_distance[e] * splines[e, 8]
        for a in range(3):
            out[e, a] = scale * vectors[e, a]
