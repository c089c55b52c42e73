"""The neighbour density and its derivatives as loops over edges: four knots an edge, and no atomics.

Every sum of the operation runs over the edges of one atom: of those that it is the center of, or, for derivatives
with respect to its own features, of those that it is the neighbour of. So a loop takes a range of atoms, owns the rows
that it writes, and may run beside others. docs/kernels.md derives the formulas.

With the filter w = Σ_k b_k C_k, f = w ∘ x_j and h = Σ_m Y_m G_im of an edge (i, j), and G the derivative with respect
to A,

    A_im = Σ_j Y_m f     ∂x_j = Σ_i w ∘ h     ∂b_k = ⟨h ∘ x_j, C_k⟩     ∂Y_m = ⟨G_im, f⟩     ∂C_k = Σ_ij b_k h ∘ x_j.

The loops called `..._tangent` are the derivatives of these along tangents (ḃ, Ẏ, ẋ, Ċ), by the product rule; Ċ may be
empty, and is then zero. Y_0 = 1 is not among the harmonics that the loops are given.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import compiled, inlined

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Grid = tuple[float, int]

BEYOND = -1
"""Stands for the first knot of an edge that is too long to count."""


@inlined
def index_parts(index: Array, n_atoms: int) -> tuple[Array, Array, Array]:
    return index[: n_atoms + 1], index[n_atoms + 1 : 2 * n_atoms + 2], index[2 * n_atoms + 2 :]


@compiled
def index(pairs: Array, out: Array, n_atoms: int) -> int:
    """Where the edges of each center start, those of each neighbour, and the edges in the order of their neighbours.

    Returns the first edge that names no atom or isn't sorted by center, or −1.
    """
    n_edges = pairs.shape[1]
    starts, reverse_starts, reverse = index_parts(out, n_atoms)
    out[: 2 * n_atoms + 2] = 0
    for e in range(n_edges):
        i, j = pairs[0, e], pairs[1, e]
        if not (0 <= i < n_atoms and 0 <= j < n_atoms) or (e > 0 and i < pairs[0, e - 1]):
            return e
        starts[i + 1] += 1
        reverse_starts[j + 1] += 1
    for i in range(n_atoms):
        starts[i + 1] += starts[i]
        reverse_starts[i + 1] += reverse_starts[i]
    place = reverse_starts[:-1].copy()
    for e in range(n_edges):
        j = pairs[1, e]
        reverse[place[j]] = e
        place[j] += 1
    return -1


@inlined
def spline_place(v: Array, grid: Grid) -> tuple[float, int, int, float]:
    """Distance, first of four knots, how far they were moved to end on the grid, and place in the interval, 0 to 1."""
    cutoff, knots = grid
    r = sqrt(np.float64(v[0]) ** 2 + np.float64(v[1]) ** 2 + np.float64(v[2]) ** 2)
    if cutoff <= r < np.inf:
        return r, BEYOND, 0, 0.0
    u = r * (knots / cutoff)
    # NaN stands in the first interval: it passes to the result, and no index is out of bounds.
    interval = min(int(u), knots - 1) if r < cutoff else 0
    first = max(0, min(interval, knots - 4))
    return r, first, interval - first, u - interval


@compiled
def splines(low: int, high: int, grid: Grid, vectors: Array, values: Array, first: Array) -> None:
    """The b_k of the four knots that reach an edge."""
    for e in range(low, high):
        _, first[e], shift, t = spline_place(vectors[e], grid)
        values[e] = 0
        if first[e] == BEYOND:
            continue
        four = spline_values(t)
        for k in range(4 - shift):
            values[e, k + shift] = four[k]


@inlined
def spline_values(t: float) -> tuple[float, float, float, float]:
    return (1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (3 * (t + t**2 - t**3) + 1) / 6, t**3 / 6


@inlined
def spline_slopes(t: float) -> tuple[float, float, float, float]:
    return -((1 - t) ** 2) / 2, 1.5 * t**2 - 2 * t, 0.5 + t - 1.5 * t**2, t**2 / 2


@compiled
def splines_backward(low: int, high: int, grid: Grid, grad: Array, vectors: Array, out: Array) -> None:
    """∂v = s′ r̂ with s′ = Σ_k ∂b_k b_k′."""
    for e in range(low, high):
        r, first, shift, t = spline_place(vectors[e], grid)
        slope, slopes = 0.0, spline_slopes(t)
        if first != BEYOND:
            for k in range(4 - shift):
                slope += grad[e, k + shift] * slopes[k]
        scale = slope * (grid[1] / grid[0]) / r if r != 0 else 0.0
        for a in range(3):
            out[e, a] = scale * vectors[e, a]


@compiled
def splines_backward_tangent(
    low: int, high: int, grid: Grid, tangent: Array, grad: Array, vectors: Array, outs: Arrays
) -> None:
    """Derivatives of v̇ · (s′ r̂): ṙ b_k′ with respect to ∂b_k, s″ ṙ r̂ + s′ (v̇ − ṙ r̂)/r with respect to v."""
    (cutoff, knots), (grad_out, vectors_out) = grid, outs
    density = knots / cutoff
    for e in range(low, high):
        r, first, shift, t = spline_place(vectors[e], grid)
        grad_out[e], vectors_out[e] = 0, 0
        if first == BEYOND or r == 0:
            continue
        v, w = vectors[e], tangent[e]
        along = (np.float64(w[0]) * v[0] + np.float64(w[1]) * v[1] + np.float64(w[2]) * v[2]) / r
        slopes, curvatures = spline_slopes(t), (1 - t, 3 * t - 2, 1 - 3 * t, t)
        slope, curvature = 0.0, 0.0
        for k in range(4 - shift):
            grad_out[e, k + shift] = along * density * slopes[k]
            slope += density * slopes[k] * grad[e, k + shift]
            curvature += density**2 * curvatures[k] * grad[e, k + shift]
        for a in range(3):
            vectors_out[e, a] = (curvature - slope / r) * along * v[a] / r + slope / r * w[a]


@inlined
def add_scaled(out: Array, scale: float, a: Array) -> None:
    for c in range(out.shape[0]):
        out[c] += scale * a[c]


@inlined
def dot(a: Array, b: Array) -> float:
    total = a.dtype.type(0)
    for c in range(a.shape[0]):
        total += a[c] * b[c]
    return total


@inlined
def blend(out: Array, b: Array, C: Array, n: int) -> None:
    """w = Σ_k b_k C_k over the four knots from n."""
    b0, b1, b2, b3 = b[0], b[1], b[2], b[3]
    for c in range(out.shape[0]):
        out[c] = b0 * C[n, c] + b1 * C[n + 1, c] + b2 * C[n + 2, c] + b3 * C[n + 3, c]


@inlined
def knot_dots(a: Array, C: Array, n: int) -> tuple[float, float, float, float]:
    """⟨a, C_k⟩ over the four knots from n."""
    s0 = s1 = s2 = s3 = a.dtype.type(0)
    for c in range(a.shape[0]):
        s0 += a[c] * C[n, c]
        s1 += a[c] * C[n + 1, c]
        s2 += a[c] * C[n + 2, c]
        s3 += a[c] * C[n + 3, c]
    return s0, s1, s2, s3


@inlined
def spread(C: Array, b: Array, a: Array, n: int) -> None:
    """Adds b_k a to the four knots from n."""
    b0, b1, b2, b3 = b[0], b[1], b[2], b[3]
    for c in range(a.shape[0]):
        C[n, c] += b0 * a[c]
        C[n + 1, c] += b1 * a[c]
        C[n + 2, c] += b2 * a[c]
        C[n + 3, c] += b3 * a[c]


@inlined
def mix(out: Array, Y: Array, G: Array) -> None:
    """h = Σ_m Y_m G_m."""
    for c in range(out.shape[0]):
        out[c] = G[0, c]
    for m in range(Y.shape[0]):
        add_scaled(out, Y[m], G[m + 1])


@compiled
def density(low: int, high: int, edges: Arrays, inputs: Arrays, A: Array) -> None:
    """A_im = Σ_j Y_m f."""
    (first, pairs, index), (b, Y, x, C) = edges, inputs
    channels = x.shape[1]
    f = np.empty(channels, x.dtype)
    starts, _, _ = index_parts(index, x.shape[0])
    for i in range(low, high):
        A[i] = 0
        for e in range(starts[i], starts[i + 1]):
            n, j = first[e], pairs[1, e]
            if n == BEYOND:
                continue
            b0, b1, b2, b3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3]
            for c in range(channels):
                f[c] = (b0 * C[n, c] + b1 * C[n + 1, c] + b2 * C[n + 2, c] + b3 * C[n + 3, c]) * x[j, c]
                A[i, 0, c] += f[c]
            for m in range(Y.shape[1]):
                add_scaled(A[i, m + 1], Y[e, m], f)


@compiled
def density_tangent(low: int, high: int, edges: Arrays, dots: Arrays, inputs: Arrays, A_dot: Array) -> None:
    """Ȧ_im = Σ_j (Y_m ḟ + Ẏ_m f) with ḟ = ẇ ∘ x_j + w ∘ ẋ_j and ẇ = Σ_k (ḃ_k C_k + b_k Ċ_k)."""
    (first, pairs, index), (b, Y, x, C) = edges, inputs
    b_dot, Y_dot, x_dot, C_dot = dots
    channels = x.shape[1]
    rows = np.empty((4, channels), x.dtype)
    w, w_dot, f, f_dot = rows[0], rows[1], rows[2], rows[3]
    starts, _, _ = index_parts(index, x.shape[0])
    for i in range(low, high):
        A_dot[i] = 0
        for e in range(starts[i], starts[i + 1]):
            n, j = first[e], pairs[1, e]
            if n == BEYOND:
                continue
            blend(w, b[e], C, n)
            blend(w_dot, b_dot[e], C, n)
            if C_dot.size > 0:
                blend(f, b[e], C_dot, n)
                add_scaled(w_dot, 1, f)
            for c in range(channels):
                f[c] = w[c] * x[j, c]
                f_dot[c] = w_dot[c] * x[j, c] + w[c] * x_dot[j, c]
                A_dot[i, 0, c] += f_dot[c]
            for m in range(Y.shape[1]):
                add_scaled(A_dot[i, m + 1], Y[e, m], f_dot)
                add_scaled(A_dot[i, m + 1], Y_dot[e, m], f)


@compiled
def adjoint(low: int, high: int, edges: Arrays, G: Array, inputs: Arrays, outs: Arrays, C_out: Array) -> None:
    """∂b, ∂Y, ∂x and, unless C_out is empty, ∂C."""
    (first, pairs, index), (b, Y, x, C) = edges, inputs
    b_out, Y_out, x_out = outs
    channels = x.shape[1]
    rows = np.empty((3, channels), x.dtype)
    f, p, h = rows[0], rows[1], rows[2]
    zero = x.dtype.type(0)
    _, reverse_starts, reverse = index_parts(index, x.shape[0])
    for j in range(low, high):
        x_out[j] = 0
        for q in range(reverse_starts[j], reverse_starts[j + 1]):
            e = reverse[q]
            n, i = first[e], pairs[0, e]
            if n == BEYOND:
                b_out[e], Y_out[e] = 0, 0
                continue
            mix(h, Y[e], G[i])
            b0, b1, b2, b3 = b[e, 0], b[e, 1], b[e, 2], b[e, 3]
            s0 = s1 = s2 = s3 = zero
            for c in range(channels):
                c0, c1, c2, c3 = C[n, c], C[n + 1, c], C[n + 2, c], C[n + 3, c]
                w = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3
                a = h[c] * x[j, c]
                x_out[j, c] += w * h[c]
                s0, s1, s2, s3 = s0 + a * c0, s1 + a * c1, s2 + a * c2, s3 + a * c3
            b_out[e, 0], b_out[e, 1], b_out[e, 2], b_out[e, 3] = s0, s1, s2, s3
            if C_out.size > 0:
                for c in range(channels):
                    p[c] = h[c] * x[j, c]
                spread(C_out, b[e], p, n)
            if Y.shape[1] > 0:
                blend(f, b[e], C, n)
                for c in range(channels):
                    f[c] *= x[j, c]
                for m in range(Y.shape[1]):
                    Y_out[e, m] = dot(G[i, m + 1], f)


@compiled
def adjoint_tangent(
    low: int, high: int, edges: Arrays, dots: Arrays, G: Array, inputs: Arrays, outs: Arrays, C_out: Array
) -> None:
    """The tangents of ∂b, ∂Y, ∂x and, unless C_out is empty, ∂C: with ḣ = Σ_m Ẏ_m G_im, p = h ∘ x_j and
    ṗ = ḣ ∘ x_j + h ∘ ẋ_j they are ⟨ṗ, C_k⟩ + ⟨p, Ċ_k⟩, ⟨G_im, ḟ⟩, Σ_i (ẇ ∘ h + w ∘ ḣ) and Σ_ij (ḃ_k p + b_k ṗ).
    """
    (first, pairs, index), (b, Y, x, C) = edges, inputs
    b_dot, Y_dot, x_dot, C_dot = dots
    b_out, Y_out, x_out = outs
    channels, harmonics = x.shape[1], Y.shape[1]
    rows = np.zeros((7, channels), x.dtype)
    w, w_dot, p, p_dot, f_dot, h, h_dot = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    _, reverse_starts, reverse = index_parts(index, x.shape[0])
    for j in range(low, high):
        x_out[j] = 0
        for q in range(reverse_starts[j], reverse_starts[j + 1]):
            e = reverse[q]
            n, i = first[e], pairs[0, e]
            if n == BEYOND:
                b_out[e], Y_out[e] = 0, 0
                continue
            mix(h, Y[e], G[i])
            if harmonics > 0:
                h_dot[:] = 0
                for m in range(harmonics):
                    add_scaled(h_dot, Y_dot[e, m], G[i, m + 1])
            blend(w, b[e], C, n)
            blend(w_dot, b_dot[e], C, n)
            if C_dot.size > 0:
                blend(f_dot, b[e], C_dot, n)
                add_scaled(w_dot, 1, f_dot)
            for c in range(channels):
                x_out[j, c] += w_dot[c] * h[c] + w[c] * h_dot[c]
                p[c] = h[c] * x[j, c]
                p_dot[c] = h_dot[c] * x[j, c] + h[c] * x_dot[j, c]
            b_out[e, 0], b_out[e, 1], b_out[e, 2], b_out[e, 3] = knot_dots(p_dot, C, n)
            if C_dot.size > 0:
                s0, s1, s2, s3 = knot_dots(p, C_dot, n)
                b_out[e, 0] += s0
                b_out[e, 1] += s1
                b_out[e, 2] += s2
                b_out[e, 3] += s3
            if C_out.size > 0:
                spread(C_out, b_dot[e], p, n)
                spread(C_out, b[e], p_dot, n)
            if harmonics > 0:
                for c in range(channels):
                    f_dot[c] = w_dot[c] * x[j, c] + w[c] * x_dot[j, c]
                for m in range(harmonics):
                    Y_out[e, m] = dot(G[i, m + 1], f_dot)
