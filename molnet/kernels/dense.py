"""Products with small matrices and activations of networks for compiled loops, where a library's call costs more.

A product takes as long as one of a library for hundreds of rows, and half as long for ten.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import SOURCES, compiled, inlined, part
from molnet.kernels.tiles import BYTES, ROWS, VECTORS, add_narrow_tile, add_tile

Array = NDArray[Any]


@compiled
def add_product(low: int, high: int, x: Array, W: Array, out: Array, sources: int = SOURCES) -> None:
    """Adds x W to the rows from low to high, tile by tile as far as they go."""
    columns = BYTES // out.itemsize
    tiled, rows = W.shape[1] // columns * columns, low + (high - low) // ROWS * ROWS
    if W.shape[0] > 0:
        for c in range(0, tiled, columns):
            for i in range(low, rows, ROWS):
                add_tile(x, i, W, c, out)
        if W.shape[1] - tiled >= columns // VECTORS:
            for i in range(low, rows, ROWS):
                add_narrow_tile(x, i, W, tiled, out)
            tiled += columns // VECTORS
    if tiled < W.shape[1]:
        _add_rest(low, rows, tiled, x, W, out)
    _add_rest(rows, high, 0, x, W, out)


@part
def _add_rest(low: int, high: int, first: int, x: Array, W: Array, out: Array) -> None:
    """The columns from the first on. Four rows at a time share what is read of W, and four terms a sum."""
    whole_rows, whole_terms = low + (high - low) // 4 * 4, W.shape[0] // 4 * 4
    for i in range(low, whole_rows, 4):
        for k in range(0, whole_terms, 4):
            a00, a01, a02, a03 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
            a10, a11, a12, a13 = x[i + 1, k], x[i + 1, k + 1], x[i + 1, k + 2], x[i + 1, k + 3]
            a20, a21, a22, a23 = x[i + 2, k], x[i + 2, k + 1], x[i + 2, k + 2], x[i + 2, k + 3]
            a30, a31, a32, a33 = x[i + 3, k], x[i + 3, k + 1], x[i + 3, k + 2], x[i + 3, k + 3]
            for c in range(first, W.shape[1]):
                w0, w1, w2, w3 = W[k, c], W[k + 1, c], W[k + 2, c], W[k + 3, c]
                out[i, c] += a00 * w0 + a01 * w1 + a02 * w2 + a03 * w3
                out[i + 1, c] += a10 * w0 + a11 * w1 + a12 * w2 + a13 * w3
                out[i + 2, c] += a20 * w0 + a21 * w1 + a22 * w2 + a23 * w3
                out[i + 3, c] += a30 * w0 + a31 * w1 + a32 * w2 + a33 * w3
        for k in range(whole_terms, W.shape[0]):
            for m in range(i, i + 4):
                _add_scaled(out[m, first:], x[m, k], W[k, first:])
    for i in range(whole_rows, high):
        for k in range(0, whole_terms, 4):
            a0, a1, a2, a3 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
            for c in range(first, W.shape[1]):
                out[i, c] += a0 * W[k, c] + a1 * W[k + 1, c] + a2 * W[k + 2, c] + a3 * W[k + 3, c]
        for k in range(whole_terms, W.shape[0]):
            _add_scaled(out[i, first:], x[i, k], W[k, first:])


@inlined
def _add_scaled(out: Array, scale: float, a: Array) -> None:
    for c in range(out.shape[0]):
        out[c] += scale * a[c]


LOG2_E, LN_2 = 1.4426950408889634, 0.6931471805599453
SMALLEST = -700.0


@compiled
def softplus(low: int, high: int, a: Array, slopes: Array) -> None:
    """a becomes ln(1 + exp a) in the rows from low to high, and slopes what its derivative is, 1/(1 + exp −a).

    With z = exp −|a| = 2ⁿ exp t, |t| ≤ ½ ln 2, they are max(a, 0) + ln(1 + z) and 1/(1 + z) or z/(1 + z), where
    ln(1 + z) = 2 artanh(z/(2 + z)). Both series are as long as double precision needs. A library's functions would be
    called for each number; these loops are vectorized.
    """
    bits = np.empty(a.shape[1], np.int64)
    powers = bits.view(np.float64)
    for i in range(low, high):
        for c in range(a.shape[1]):
            bits[c] = (np.int64(np.int32(_power(a[i, c]))) + 1023) << 52
        for c in range(a.shape[1]):
            x = np.float64(a[i, c])
            z = powers[c] * _exponential(_minus_size(x) - _power(x) * LN_2)
            quotient = 1 / ((1 + z) * (2 + z))
            large = (2 + z) * quotient
            slopes[i, c] = large if x >= 0 else z * large
            a[i, c] = 0.5 * (x + abs(x)) + 2 * _artanh(z * (1 + z) * quotient)


@inlined
def _minus_size(a: float) -> float:
    x = -abs(np.float64(a))
    # NaN stays NaN.
    return SMALLEST if x < SMALLEST else x


@inlined
def _power(a: float) -> float:
    return np.floor(_minus_size(a) * LOG2_E + 0.5)


@inlined
def _exponential(t: float) -> float:
    """exp t for |t| ≤ ½ ln 2."""
    y = 1 / 479001600 + t * (1 / 6227020800)
    y = 1 / 40320 + t * (1 / 362880 + t * (1 / 3628800 + t * (1 / 39916800 + t * y)))
    y = 1 / 24 + t * (1 / 120 + t * (1 / 720 + t * (1 / 5040 + t * y)))
    return 1 + t * (1 + t * (1 / 2 + t * (1 / 6 + t * y)))


@inlined
def _artanh(w: float) -> float:
    """artanh w for 0 ≤ w ≤ 1/3."""
    v = w * w
    y = 1 / 25 + v * (1 / 27 + v * (1 / 29 + v * (1 / 31)))
    y = 1 / 17 + v * (1 / 19 + v * (1 / 21 + v * (1 / 23 + v * y)))
    y = 1 / 9 + v * (1 / 11 + v * (1 / 13 + v * (1 / 15 + v * y)))
    return w * (1 + v * (1 / 3 + v * (1 / 5 + v * (1 / 7 + v * y))))


@compiled
def silu(low: int, high: int, a: Array, slopes: Array) -> None:
    """a becomes a σ(a) in the rows from low to high, and slopes its derivative σ + a σ (1 − σ), σ = 1/(1 + exp −a).

    Vectorized like `softplus`.
    """
    bits = np.empty(a.shape[1], np.int64)
    powers = bits.view(np.float64)
    for i in range(low, high):
        for c in range(a.shape[1]):
            bits[c] = (np.int64(np.int32(_power(a[i, c]))) + 1023) << 52
        for c in range(a.shape[1]):
            x = np.float64(a[i, c])
            z = powers[c] * _exponential(_minus_size(x) - _power(x) * LN_2)
            large = 1 / (1 + z)
            small = z * large
            sigma, other = (large, small) if x >= 0 else (small, large)
            slopes[i, c] = sigma + x * sigma * other
            a[i, c] = x * sigma


@compiled
def celu(low: int, high: int, a: Array, slopes: Array, alpha: float) -> None:
    """Where a is negative it becomes α (exp(a/α) − 1) in the rows from low to high; slopes its derivative.

    Vectorized like `softplus`.
    """
    bits = np.empty(a.shape[1], np.int64)
    powers, inverse = bits.view(np.float64), 1 / alpha
    for i in range(low, high):
        for c in range(a.shape[1]):
            bits[c] = (np.int64(np.int32(_power(inverse * a[i, c]))) + 1023) << 52
        for c in range(a.shape[1]):
            x = np.float64(a[i, c])
            z = powers[c] * _exponential(_minus_size(inverse * x) - _power(inverse * x) * LN_2)
            slopes[i, c] = 1.0 if x >= 0 else z
            a[i, c] = x if x >= 0 else alpha * (z - 1)


@compiled
def tanh(low: int, high: int, a: Array, slopes: Array) -> None:
    """a becomes tanh a in the rows from low to high, and slopes its derivative 1 − tanh² a.

    With z = exp −2|a| they are (1 − z)/(1 + z), with the sign of a, and 4 z/(1 + z)². Vectorized like `softplus`.
    """
    bits = np.empty(a.shape[1], np.int64)
    powers = bits.view(np.float64)
    for i in range(low, high):
        for c in range(a.shape[1]):
            bits[c] = (np.int64(np.int32(_power(2 * a[i, c]))) + 1023) << 52
        for c in range(a.shape[1]):
            x = np.float64(a[i, c])
            z = powers[c] * _exponential(_minus_size(2 * x) - _power(2 * x) * LN_2)
            quotient = 1 / (1 + z)
            size = (1 - z) * quotient
            slopes[i, c] = 4 * z * quotient * quotient
            a[i, c] = size if x >= 0 else -size


CELU, SILU, SOFTPLUS, TANH = range(4)


@compiled
def activate(activation: tuple[int, float], low: int, high: int, a: Array, slopes: Array) -> None:
    """One of the functions above by its number; the other number is α where there is one."""
    number, alpha = activation
    if number == CELU:
        celu(low, high, a, slopes, alpha)
    elif number == SILU:
        silu(low, high, a, slopes)
    elif number == SOFTPLUS:
        softplus(low, high, a, slopes)
    else:
        tanh(low, high, a, slopes)
