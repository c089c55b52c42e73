"""Sums over the neighbours of an atom by element, Σ_j ρ_t(r_ij), as loops that vectorize over the terms t."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import inlined, part
from molnet.kernels.elementary import LOG2E, exp2, wave
from molnet.kernels.envelopes import envelope
from molnet.kernels.near import GR, RD, SLOPE, F, R
from molnet.kernels.terms import BEND, BLOCK_HEADER, CORE, KIND, LANES, N_RADIAL, WAVES

Array = NDArray[Any]


@inlined
def count_of(number: float) -> int:
    """A count, which the compiler sees not to be negative."""
    return int(number) & 0xFFFF


@inlined
def padded(n: int) -> int:
    """How many numbers so many terms take, in whole vectors."""
    return (n + LANES - 1) // LANES * LANES


@inlined
def gaussians(table: Array, lanes: int, r: float, values: Array, slopes: Array) -> None:
    """w_t exp[−η_t (r − s_t)²] and its derivative."""
    minus_two, rate = table.dtype.type(-2), table.dtype.type(-LOG2E)
    for t in range(lanes):
        eta, shift = table[BLOCK_HEADER + t], table[BLOCK_HEADER + lanes + t]
        d = r - shift
        value = table[BLOCK_HEADER + 2 * lanes + t] * exp2(rate * eta * d * d)
        values[t] = value
        slopes[t] = minus_two * eta * d * value


@inlined
def waves(table: Array, lanes: int, r: float, values: Array, slopes: Array) -> None:
    """w_t cos η_t r and its derivative, from the turns τ = η r/2π: cos 2πτ repeats and is even."""
    real = table.dtype.type
    half, two, zero = real(0.5), real(2), real(0)
    for t in range(lanes):
        kappa, weight = table[BLOCK_HEADER + t], table[BLOCK_HEADER + 2 * lanes + t]
        turns = kappa * r * real(0.5 / pi)
        turns -= np.floor(turns + half)
        cosine, sine = wave(two * abs(turns))
        values[t] = weight * cosine
        slopes[t] = weight * kappa * (sine if turns < zero else -sine)


@part
def windows(table: Array, lanes: int, r: float, values: Array, slopes: Array, space: Array) -> None:
    """w_t f(x) and its derivative with x = η_t |r − s_t|, or with x (2 − x) in place of x."""
    real, bent = table.dtype.type, table[BEND] != 0
    one, two = real(1), real(2)
    for t in range(lanes):
        x = table[BLOCK_HEADER + t] * abs(r - table[BLOCK_HEADER + lanes + t])
        # Beyond 1, where the function is zero, x (2 − x) would come back.
        x = one if x > one else x
        space[t] = x * (two - x) if bent else x
    envelope((int(table[CORE]), real(0)), space, (0, lanes, 2 * lanes), lanes, one)
    for t in range(lanes):
        rate, weight = table[BLOCK_HEADER + t], table[BLOCK_HEADER + 2 * lanes + t]
        apart = r - table[BLOCK_HEADER + lanes + t]
        rate = -rate if apart < 0 else rate
        x = rate * apart
        values[t] = weight * space[lanes + t]
        slopes[t] = weight * rate * space[2 * lanes + t] * (two - two * x if bent else one)


@inlined
def radial(table: Array, lanes: int, r: float, values: Array, slopes: Array) -> None:
    if table[KIND] == WAVES:
        waves(table, lanes, r, values, slopes)
    else:
        gaussians(table, lanes, r, values, slopes)


@part
def shell_sums(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """Σ_j ρ_t(r_ij) of each element."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    values, slopes, total = (np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(lanes, s.dtype))
    for element in range(first.shape[0] - 1):
        total[:] = 0
        for k in range(first[element], first[element + 1]):
            radial(table, lanes, s[R * stride + k], values, slopes)
            f = s[F * stride + k]
            for t in range(lanes):
                total[t] += values[t] * f
        row[element * n : (element + 1) * n] = total[:n]


@part
def shell_gradients(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """∂r_ij = Σ_t ∂_t ρ_t′(r_ij)."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    values, slopes, grad = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.zeros(lanes, s.dtype)
    for element in range(first.shape[0] - 1):
        grad[:n] = row[element * n : (element + 1) * n]
        for k in range(first[element], first[element + 1]):
            radial(table, lanes, s[R * stride + k], values, slopes)
            f, slope, total = s[F * stride + k], s[SLOPE * stride + k], s.dtype.type(0)
            for t in range(lanes):
                total += grad[t] * (slopes[t] * f + values[t] * slope)
            s[GR * stride + k] = total


@part
def shell_tangents(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """Σ_j ρ_t′(r_ij) ṙ_ij of each element."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    values, slopes, total = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(lanes, s.dtype)
    for element in range(first.shape[0] - 1):
        total[:] = 0
        for k in range(first[element], first[element + 1]):
            radial(table, lanes, s[R * stride + k], values, slopes)
            along = s[RD * stride + k]
            f, slope = s[F * stride + k] * along, s[SLOPE * stride + k] * along
            for t in range(lanes):
                total[t] += slopes[t] * f + values[t] * slope
        row[element * n : (element + 1) * n] = total[:n]


@part
def window_sums(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """`shell_sums` of windows, which within the same loop would slow the Gaussians."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    values, slopes, total = (np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(lanes, s.dtype))
    space = np.empty(3 * lanes, s.dtype)
    for element in range(first.shape[0] - 1):
        total[:] = 0
        for k in range(first[element], first[element + 1]):
            windows(table, lanes, s[R * stride + k], values, slopes, space)
            f = s[F * stride + k]
            for t in range(lanes):
                total[t] += values[t] * f
        row[element * n : (element + 1) * n] = total[:n]


@part
def window_gradients(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """`shell_gradients` of windows."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    values, slopes, grad = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.zeros(lanes, s.dtype)
    space = np.empty(3 * lanes, s.dtype)
    for element in range(first.shape[0] - 1):
        grad[:n] = row[element * n : (element + 1) * n]
        for k in range(first[element], first[element + 1]):
            windows(table, lanes, s[R * stride + k], values, slopes, space)
            f, slope, total = s[F * stride + k], s[SLOPE * stride + k], s.dtype.type(0)
            for t in range(lanes):
                total += grad[t] * (slopes[t] * f + values[t] * slope)
            s[GR * stride + k] = total


@part
def window_tangents(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """`shell_tangents` of windows."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    values, slopes, total = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(lanes, s.dtype)
    space = np.empty(3 * lanes, s.dtype)
    for element in range(first.shape[0] - 1):
        total[:] = 0
        for k in range(first[element], first[element + 1]):
            windows(table, lanes, s[R * stride + k], values, slopes, space)
            along = s[RD * stride + k]
            f, slope = s[F * stride + k] * along, s[SLOPE * stride + k] * along
            for t in range(lanes):
                total[t] += slopes[t] * f + values[t] * slope
        row[element * n : (element + 1) * n] = total[:n]
