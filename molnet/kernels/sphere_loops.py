"""Powers of functions on the sphere as loops: sums over half of a quadrature's points, in pairs of opposite ones.

A function's even part a and odd part b make f(±Ω) = a ± b, and products of functions those of pairs (a, b) with

    (a, b)(c, d) = (ac + bd, ad + bc).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import SOURCES, compiled, inlined
from molnet.kernels.dense import add_product

Array = NDArray[Any]
Arrays = tuple[Array, ...]

EVEN, ODD = (0, 4, 5, 6, 7, 8), (1, 2, 3, 9, 10, 11, 12, 13, 14, 15)
"""Which harmonics have l = 0, 2 and which l = 1, 3."""


class Tables(NamedTuple):
    """Matrices between harmonics and points: values Y, and weights of the moments, of even and odd functions."""

    even: Array
    odd: Array
    even_moments: Array
    odd_moments: Array
    even_back: Array
    odd_back: Array
    even_moments_back: Array
    odd_moments_back: Array


@inlined
def _to_points(f: Array, i: int, tables: Tables, rows: Arrays, pair: Arrays) -> None:
    """The pair (a, b) of row i at the points."""
    (even, odd), (a, b) = rows, pair
    for m in range(len(EVEN)):
        for c in range(f.shape[2]):
            even[m, c] = f[EVEN[m], i, c]
    for m in range(len(ODD)):
        for c in range(f.shape[2]):
            odd[m, c] = f[ODD[m], i, c]
    a[:], b[:] = 0, 0
    add_product(0, a.shape[0], tables.even, even, a)
    add_product(0, b.shape[0], tables.odd, odd, b)


@inlined
def _from_points(pair: Arrays, i: int, tables: Tables, rows: Arrays, f: Array) -> None:
    """The transpose of `_to_points`."""
    (even, odd), (a, b) = rows, pair
    even[:], odd[:] = 0, 0
    add_product(0, even.shape[0], tables.even_back, a, even)
    add_product(0, odd.shape[0], tables.odd_back, b, odd)
    for m in range(len(EVEN)):
        for c in range(f.shape[2]):
            f[EVEN[m], i, c] = even[m, c]
    for m in range(len(ODD)):
        for c in range(f.shape[2]):
            f[ODD[m], i, c] = odd[m, c]


@inlined
def _moments(pair: Arrays, tables: Tables, moment: Array, factor: float, out: Array, n: int) -> None:
    """Of a pair, the moments for l = 0 and, where they are asked for, l = 1."""
    moment[:] = 0
    # A literal number of rows would be a type of its own, for which the product is compiled again.
    add_product(0, tables.even_moments.shape[0], tables.even_moments, pair[0], moment[:1])
    if out.shape[0] > 1:
        add_product(0, tables.odd_moments.shape[0], tables.odd_moments, pair[1], moment[1:])
    for m in range(out.shape[0]):
        for c in range(out.shape[2]):
            out[m, n, c] = factor * moment[m, c]


@inlined
def _spread(G: Array, n: int, tables: Tables, moment: Array, pair: Arrays) -> None:
    """The transpose of `_moments`: h_n at the points."""
    a, b = pair
    for m in range(G.shape[0]):
        for c in range(G.shape[2]):
            moment[m, c] = G[m, n, c]
    a[:], b[:] = 0, 0
    add_product(0, a.shape[0], tables.even_moments_back, moment[:1], a)
    if G.shape[0] > 1:
        add_product(0, b.shape[0], tables.odd_moments_back, moment[1:], b)


@inlined
def _copy(pair: Arrays, out: Arrays) -> None:
    (a, b), (c, d) = pair, out
    for x in range(a.shape[0]):
        for k in range(a.shape[1]):
            c[x, k], d[x, k] = a[x, k], b[x, k]


@inlined
def _multiply(pair: Arrays, other: Arrays) -> None:
    """The first pair becomes the product of both."""
    (a, b), (c, d) = pair, other
    for x in range(a.shape[0]):
        for k in range(a.shape[1]):
            even, odd = a[x, k], b[x, k]
            a[x, k] = even * c[x, k] + odd * d[x, k]
            b[x, k] = even * d[x, k] + odd * c[x, k]


@inlined
def _add_scaled(pair: Arrays, factor: float, other: Arrays) -> None:
    (a, b), (c, d) = pair, other
    for x in range(a.shape[0]):
        for k in range(a.shape[1]):
            a[x, k] += factor * c[x, k]
            b[x, k] += factor * d[x, k]


@inlined
def _space(tables: Tables, f: Array, pairs: int) -> tuple[Array, Arrays, Array]:
    """Pairs at the points, rows of even and odd harmonics, and moments."""
    channels = f.shape[2]
    grid = np.empty((2 * pairs, tables.even.shape[0], channels), f.dtype)
    rows = np.empty((len(EVEN), channels), f.dtype), np.empty((len(ODD), channels), f.dtype)
    return grid, rows, np.empty((4, channels), f.dtype)


@compiled
def moments(low: int, high: int, tables: Tables, f: Array, out: Array, sources: int = SOURCES) -> None:
    """M_Ln of fⁿ, n = 1, 2, …"""
    grid, rows, moment = _space(tables, f, 2)
    pair, power = (grid[0], grid[1]), (grid[2], grid[3])
    for i in range(low, high):
        _to_points(f, i, tables, rows, pair)
        _copy(pair, power)
        for m in range(out.shape[1]):
            for c in range(f.shape[2]):
                out[i, m, 0, c] = f[m, i, c]
        for n in range(1, out.shape[2]):
            _multiply(power, pair)
            _moments(power, tables, moment, f.dtype.type(1), out[i], n)


@compiled
def adjoint(low: int, high: int, tables: Tables, G: Array, f: Array, out: Array, sources: int = SOURCES) -> None:
    """∂f = Σ_n n h_n fⁿ⁻¹ with h_n = Σ_L G_Ln Y_L, by Horner's rule."""
    real = f.dtype.type
    grid, rows, moment = _space(tables, f, 3)
    pair, total, spread = (grid[0], grid[1]), (grid[2], grid[3]), (grid[4], grid[5])
    for i in range(low, high):
        _to_points(f, i, tables, rows, pair)
        total[0][:], total[1][:] = 0, 0
        for n in range(G.shape[2] - 1, 0, -1):
            _spread(G[i], n, tables, moment, spread)
            _add_scaled(total, real(n + 1), spread)
            _multiply(total, pair)
        _from_points(total, i, tables, rows, out)
        for m in range(G.shape[1]):
            for c in range(f.shape[2]):
                out[m, i, c] += G[i, m, 0, c]


@compiled
def adjoint_tangent(
    low: int, high: int, tables: Tables, f_dot: Array, G: Array, f: Array, outs: Arrays, sources: int = SOURCES
) -> None:
    """Of Σ ḟ ∂f, the derivatives ∂G_n, which are moments of n fⁿ⁻¹ ḟ, and ∂f = ḟ Σ_n n (n − 1) h_n fⁿ⁻²."""
    G_out, f_out = outs
    real = f.dtype.type
    grid, rows, moment = _space(tables, f, 4)
    pair, tangent = (grid[0], grid[1]), (grid[2], grid[3])
    total, spread = (grid[4], grid[5]), (grid[6], grid[7])
    for i in range(low, high):
        _to_points(f, i, tables, rows, pair)
        _to_points(f_dot, i, tables, rows, tangent)
        total[0][:], total[1][:] = 0, 0
        for n in range(G.shape[2] - 1, 0, -1):
            _spread(G[i], n, tables, moment, spread)
            _multiply(total, pair)
            _add_scaled(total, real(n * (n + 1)), spread)
        _multiply(total, tangent)
        _from_points(total, i, tables, rows, f_out)
        for m in range(G.shape[1]):
            for c in range(f.shape[2]):
                G_out[i, m, 0, c] = f_dot[m, i, c]
        for n in range(1, G.shape[2]):
            _multiply(tangent, pair)
            _moments(tangent, tables, moment, real(n + 1), G_out[i], n)
