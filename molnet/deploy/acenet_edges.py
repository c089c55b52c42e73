"""What the compiled ACENet does on edges: densities of one atom, forward and back, as products of small matrices.

With all edges of an atom as rows, of which f = w ∘ x_j is what they tell and G the derivative with respect to D,

    D = Yᵀ f        h = Y G        ∂x_j = Σ_i w ∘ h        ∂r = ⟨w′ ∘ x_j, h⟩        ∂Y = f Gᵀ

by the tiles of matrix products, for some edges at a time. Arrays of features are (components, atoms, channels).
"""

from __future__ import annotations

import numpy as np

from molnet.deploy.acenet_arrays import CHUNK, HARMONICS, Array, Arrays, Grid
from molnet.deploy.schnet_loops import U, edge_splines
from molnet.kernels.compiled import disjoint, inlined
from molnet.kernels.dense import add_product
from molnet.kernels.harmonic_sums import gradients, harmonics
from molnet.kernels.harmonics import direction
from molnet.kernels.loops import BEYOND
from molnet.kernels.tiles import ROWS as TILE


@disjoint
def prepare(low: int, high: int, starts: Array, pairs: Array, grid: Grid, vectors: Array, near: Arrays) -> None:
    """Splines and harmonics of the edges that count, which move to the first places of their atom."""
    kept, first, Y, numbers, ends = near
    edge_splines(starts[low], starts[high], grid, vectors, kept, first)
    row = np.empty(HARMONICS)
    for i in range(low, high):
        place = starts[i]
        for e in range(starts[i], starts[i + 1]):
            if first[e] == BEYOND:
                continue
            x, y, z, _inverse = direction(vectors[e])
            harmonics(x, y, z, row)
            for m in range(HARMONICS):
                Y[place, m] = row[m]
            for k in range(8):
                kept[place, k] = kept[e, k]
            numbers[place, 0], numbers[place, 1], numbers[place, 2] = e, pairs[1, e], first[e]
            place += 1
        ends[i] = place


@disjoint
def _told(place: int, count: int, numbers: Array, b: Array, x: Array, C: Array, f: Array) -> None:
    """f = w ∘ x_j with the filters w = Σ_k b_k C_k, the first for scalars and the other for vectors."""
    for q in range(count):
        e = U(place + q)
        j, n = U(numbers[e, 1]), U(numbers[e, 2])
        b0, b1, b2, b3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3]
        for c in range(x.shape[2]):
            w = b0 * C[n, 0, c] + b1 * C[n + U(1), 0, c] + b2 * C[n + U(2), 0, c] + b3 * C[n + U(3), 0, c]
            f[q, 0, c] = w * x[0, j, c]
        if x.shape[0] == 1:
            continue
        for c in range(x.shape[2]):
            w = b0 * C[n, 1, c] + b1 * C[n + U(1), 1, c] + b2 * C[n + U(2), 1, c] + b3 * C[n + U(3), 1, c]
            f[q, 1, c], f[q, 2, c], f[q, 3, c] = w * x[1, j, c], w * x[2, j, c], w * x[3, j, c]


@inlined
def _matrix(a: Array, rows: int) -> Array:
    return a.reshape((rows, a.size // rows))


@disjoint
def density(i: int, starts: Array, near: Arrays, x: Array, C: Array, space: Arrays, D: Array) -> None:
    """D_m = Σ_j Y_m f of the atom i."""
    b, _, Y, numbers, ends = near
    told, turned = space
    f = told[: CHUNK * x.shape[0] * x.shape[2]].reshape((CHUNK, x.shape[0], x.shape[2]))
    D[:] = 0
    for place in range(starts[i], ends[i], CHUNK):
        count = min(CHUNK, ends[i] - place)
        _told(place, count, numbers, b, x, C, f)
        columns = turned[: HARMONICS * count].reshape((HARMONICS, count))
        for q in range(count):
            for m in range(HARMONICS):
                columns[m, q] = Y[place + q, m]
        add_product(0, D.shape[0], columns, _matrix(f, CHUNK)[:count], D)


@disjoint
def _pulled(
    place: int, count: int, numbers: Array, b: Array, x: Array, C: Array, h: Array, f: Array, d_x: Array, d_r: Array
) -> None:
    """f, and adds ∂x and ∂r; the derivatives of scalars that nobody asks for are left out."""
    for q in range(count):
        e = U(place + q)
        j, n = U(numbers[e, 1]), U(numbers[e, 2])
        b0, b1, b2, b3, d0, d1, d2, d3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3], b[e, 4], b[e, 5], b[e, 6], b[e, 7]
        slope = h.dtype.type(0)
        for c in range(x.shape[2]):
            c0, c1, c2, c3 = C[n, 0, c], C[n + U(1), 0, c], C[n + U(2), 0, c], C[n + U(3), 0, c]
            w, change = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3, d0 * c0 + d1 * c1 + d2 * c2 + d3 * c3
            f[q, 0, c] = w * x[0, j, c]
            slope += change * (h[q, 0, c] * x[0, j, c])
        if d_x.shape[0] > 1:
            for c in range(x.shape[2]):
                w = b0 * C[n, 0, c] + b1 * C[n + U(1), 0, c] + b2 * C[n + U(2), 0, c] + b3 * C[n + U(3), 0, c]
                d_x[0, j, c] += w * h[q, 0, c]
            for c in range(x.shape[2]):
                c0, c1, c2, c3 = C[n, 1, c], C[n + U(1), 1, c], C[n + U(2), 1, c], C[n + U(3), 1, c]
                w, change = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3, d0 * c0 + d1 * c1 + d2 * c2 + d3 * c3
                h1, h2, h3 = h[q, 1, c], h[q, 2, c], h[q, 3, c]
                x1, x2, x3 = x[1, j, c], x[2, j, c], x[3, j, c]
                f[q, 1, c], f[q, 2, c], f[q, 3, c] = w * x1, w * x2, w * x3
                slope += change * (h1 * x1 + h2 * x2 + h3 * x3)
                d_x[1, j, c] += w * h1
                d_x[2, j, c] += w * h2
                d_x[3, j, c] += w * h3
        d_r[e] += slope


@disjoint
def adjoint(i: int, starts: Array, near: Arrays, x: Array, C: Array, G: Array, space: Arrays, sums: Arrays) -> None:
    """Adds ∂x_j of all neighbours, ∂r and ∂Y of all edges of the atom i."""
    b, _, Y, numbers, ends = near
    told, heard, turned, by_edge = space
    d_x, d_r, d_Y = sums
    columns, components, channels = G.shape[1], x.shape[0], x.shape[2]
    f = told[: CHUNK * columns].reshape((CHUNK, components, channels))
    h = heard[: CHUNK * columns].reshape((CHUNK, components, channels))
    G_turned = turned[: columns * HARMONICS].reshape((columns, HARMONICS))
    for c in range(columns):
        for m in range(HARMONICS):
            G_turned[c, m] = G[m, c]
    for place in range(starts[i], ends[i], CHUNK):
        count = min(CHUNK, ends[i] - place)
        rows = (count + TILE - 1) // TILE * TILE
        h[:rows] = 0
        add_product(0, rows, Y[place : place + rows], G, _matrix(h, CHUNK))
        _pulled(place, count, numbers, b, x, C, h, f, d_x, d_r)
        by_edge[:rows] = 0
        add_product(0, rows, _matrix(f, CHUNK), G_turned, by_edge)
        for q in range(count):
            for m in range(HARMONICS):
                d_Y[place + q, m] += by_edge[q, m]


@disjoint
def vectors_gradient(
    low: int, high: int, starts: Array, near: Arrays, vectors: Array, sums: Arrays, out: Array
) -> None:
    """∂r_ij = ∂r r̂ + (1 − r̂ r̂ᵀ)/r Σ_m ∂Y_m ∇Y_m."""
    (_, _, _, numbers, ends), (d_r, d_Y) = near, sums
    slopes = np.empty((3, HARMONICS))
    for i in range(low, high):
        for place in range(starts[i], ends[i]):
            e = numbers[place, 0]
            x, y, z, inverse = direction(vectors[e])
            gradients(x, y, z, slopes)
            a = b = c = 0.0
            for m in range(HARMONICS):
                g = np.float64(d_Y[place, m])
                a += g * slopes[0, m]
                b += g * slopes[1, m]
                c += g * slopes[2, m]
            along = d_r[place] - inverse * (a * x + b * y + c * z)
            out[e, 0] = inverse * a + along * x
            out[e, 1] = inverse * b + along * y
            out[e, 2] = inverse * c + along * z
