"""Sums over pairs of neighbours whose angular part is a polynomial of cos θ, at a cost linear in their number.

With the densities A_tm = Σ_j ρ_t(r_ij) Y_m(r̂_ij) of each element, l ≤ 3, and N_t = Σ_j ρ_t(r_ij)², where c_m is the
Legendre coefficient of Y_m's degree,

    Σ_{j<k} ρ_t ρ_t Σ_l c_l P_l(cos θ) = Σ_m c_m A_tm B_tm                       of two elements,
                                       = ½ Σ_m c_m A_tm² − ½ N_t Σ_l c_l         of one.

The loops vectorize over the sixteen m.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import inlined, part
from molnet.kernels.groups import combinations, firsts, group, place_of, seconds
from molnet.kernels.near import GR, RD, SLOPE, TX, TY, TZ, UX, UY, UZ, WX, WY, WZ, F, R
from molnet.kernels.shells import count_of, gaussians, padded
from molnet.kernels.terms import BLOCK_HEADER, N_ANGULAR, N_RADIAL

Array = NDArray[Any]

HARMONICS = 16
DEGREE = (0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3)
A2, A3, B3, C3 = 3**0.5, 0.625**0.5, 15**0.5, 0.375**0.5


@inlined
def harmonics(x: float, y: float, z: float, out: Array) -> None:
    """Y_m of a direction, as `spherical_harmonics` gives them."""
    real = out.dtype.type
    xx, yy, zz, one, half, three, five = x * x, y * y, z * z, real(1), real(0.5), real(3), real(5)
    a2, a3, b3, c3 = real(A2), real(A3), real(B3), real(C3)
    out[0], out[1], out[2], out[3] = one, y, z, x
    out[4], out[5], out[6], out[7] = a2 * x * y, a2 * y * z, real(1.5) * zz - half, a2 * x * z
    out[8] = half * a2 * (xx - yy)
    out[9], out[10], out[11] = a3 * y * (three * xx - yy), b3 * x * y * z, c3 * y * (five * zz - one)
    out[12], out[13] = z * (real(2.5) * zz - real(1.5)), c3 * x * (five * zz - one)
    out[14], out[15] = half * b3 * z * (xx - yy), a3 * x * (xx - three * yy)


@inlined
def gradients(x: float, y: float, z: float, out: Array) -> None:
    """∂Y_m/∂x, ∂Y_m/∂y and ∂Y_m/∂z of the same polynomials."""
    real = out.dtype.type
    xx, yy, zz, one, three, five = x * x, y * y, z * z, real(1), real(3), real(5)
    a2, a3, b3, c3 = real(A2), real(A3), real(B3), real(C3)
    six, ten = real(6), real(10)
    out[:] = 0
    out[1, 1], out[2, 2], out[0, 3] = one, one, one
    out[0, 4], out[1, 4], out[1, 5], out[2, 5] = a2 * y, a2 * x, a2 * z, a2 * y
    out[2, 6], out[0, 7], out[2, 7] = three * z, a2 * z, a2 * x
    out[0, 8], out[1, 8] = a2 * x, -a2 * y
    out[0, 9], out[1, 9] = a3 * six * x * y, a3 * three * (xx - yy)
    out[0, 10], out[1, 10], out[2, 10] = b3 * y * z, b3 * x * z, b3 * x * y
    out[1, 11], out[2, 11] = c3 * (five * zz - one), c3 * ten * y * z
    out[2, 12] = real(7.5) * zz - real(1.5)
    out[0, 13], out[2, 13] = c3 * (five * zz - one), c3 * ten * x * z
    out[0, 14], out[1, 14], out[2, 14] = b3 * x * z, -b3 * y * z, real(0.5) * b3 * (xx - yy)
    out[0, 15], out[1, 15] = a3 * three * (xx - yy), -a3 * six * x * y


@inlined
def weights(table: Array, out: Array) -> None:
    """c_m of each angular term, and their sum over l, which is the value of a neighbour with itself."""
    n_angular = count_of(table[N_ANGULAR])
    begin = BLOCK_HEADER + 3 * padded(count_of(table[N_RADIAL]))
    for a in range(n_angular):
        for m in range(HARMONICS):
            out[a, m] = table[begin + DEGREE[m] * n_angular + a]
        out[a, HARMONICS] = out[a, 0] + out[a, 1] + out[a, 4] + out[a, 9]


@part
def densities(table: Array, s: Array, stride: int, first: Array, A: Array, alone: Array) -> None:
    """A_tm and N_t of each element."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    rho, slopes, Y = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(HARMONICS, s.dtype)
    A[:], alone[:] = 0, 0
    for element in range(first.shape[0] - 1):
        for k in range(first[element], first[element + 1]):
            gaussians(table, lanes, s[R * stride + k], rho, slopes)
            harmonics(s[UX * stride + k], s[UY * stride + k], s[UZ * stride + k], Y)
            for t in range(n):
                value = rho[t] * s[F * stride + k]
                alone[element, t] += value * value
                for m in range(HARMONICS):
                    A[element, t, m] += value * Y[m]


@part
def density_tangents(table: Array, s: Array, stride: int, first: Array, A: Array, alone: Array) -> None:
    """Ȧ_tm and Ṅ_t of each element."""
    n = count_of(table[N_RADIAL])
    lanes = padded(n)
    rho, slopes, Y = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(HARMONICS, s.dtype)
    Y_dot, change = np.empty(HARMONICS, s.dtype), np.empty((3, HARMONICS), s.dtype)
    two = s.dtype.type(2)
    A[:], alone[:] = 0, 0
    for element in range(first.shape[0] - 1):
        for k in range(first[element], first[element + 1]):
            gaussians(table, lanes, s[R * stride + k], rho, slopes)
            x, y, z = s[UX * stride + k], s[UY * stride + k], s[UZ * stride + k]
            wx, wy, wz = s[WX * stride + k], s[WY * stride + k], s[WZ * stride + k]
            harmonics(x, y, z, Y)
            gradients(x, y, z, change)
            for m in range(HARMONICS):
                Y_dot[m] = wx * change[0, m] + wy * change[1, m] + wz * change[2, m]
            f, slope, along = s[F * stride + k], s[SLOPE * stride + k], s[RD * stride + k]
            for t in range(n):
                value, value_dot = rho[t] * f, (slopes[t] * f + rho[t] * slope) * along
                alone[element, t] += two * value * value_dot
                for m in range(HARMONICS):
                    A[element, t, m] += value * Y_dot[m] + value_dot * Y[m]


@part
def density_gradients(table: Array, s: Array, stride: int, first: Array, A: Array, alone: Array) -> None:
    """∂r and ∂u of all neighbours from ∂A_tm and ∂N_t."""
    n = count_of(table[N_RADIAL])
    lanes, zero, two = padded(n), s.dtype.type(0), s.dtype.type(2)
    rho, slopes, Y = np.empty(lanes, s.dtype), np.empty(lanes, s.dtype), np.empty(HARMONICS, s.dtype)
    Y_grad, change = np.empty(HARMONICS, s.dtype), np.empty((3, HARMONICS), s.dtype)
    for element in range(first.shape[0] - 1):
        for k in range(first[element], first[element + 1]):
            gaussians(table, lanes, s[R * stride + k], rho, slopes)
            x, y, z = s[UX * stride + k], s[UY * stride + k], s[UZ * stride + k]
            harmonics(x, y, z, Y)
            gradients(x, y, z, change)
            f, slope, to_r = s[F * stride + k], s[SLOPE * stride + k], zero
            Y_grad[:] = 0
            for t in range(n):
                value, total = rho[t] * f, zero
                for m in range(HARMONICS):
                    total += A[element, t, m] * Y[m]
                    Y_grad[m] += value * A[element, t, m]
                to_r += (total + two * value * alone[element, t]) * (slopes[t] * f + rho[t] * slope)
            to_x = to_y = to_z = zero
            for m in range(HARMONICS):
                to_x += Y_grad[m] * change[0, m]
                to_y += Y_grad[m] * change[1, m]
                to_z += Y_grad[m] * change[2, m]
            s[GR * stride + k] = to_r
            s[TX * stride + k], s[TY * stride + k], s[TZ * stride + k] = to_x, to_y, to_z


@inlined
def kept(table: Array, n_elements: int) -> tuple[Array, Array, Array]:
    n, n_angular = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR])
    c = np.empty((n_angular, HARMONICS + 1), table.dtype)
    weights(table, c)
    return np.empty((n_elements, n, HARMONICS), table.dtype), np.empty((n_elements, n), table.dtype), c


@part
def harmonic_sums(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """The sums of each pair of elements."""
    n_elements, n, n_angular = first.shape[0] - 1, count_of(table[N_RADIAL]), count_of(table[N_ANGULAR])
    (A, alone, c), width = kept(table, n_elements), combinations(table)
    half, zero = s.dtype.type(0.5), s.dtype.type(0)
    densities(table, s, stride, first, A, alone)
    row[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            for t in range(n if first[b + 1] > first[b] else 0):
                for q in range(n_angular):
                    place, total = place_of(table, t * n_angular + q), zero
                    if place < 0:
                        continue
                    for m in range(HARMONICS):
                        total += c[q, m] * A[a, t, m] * A[b, t, m]
                    if a == b:
                        total = half * (total - alone[a, t] * c[q, HARMONICS])
                    row[group(table, a, b, n_elements) * width + place] = total


@part
def harmonic_gradients(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """∂r and ∂u of all neighbours, from the derivatives with respect to the sums."""
    n_elements, n, n_angular = first.shape[0] - 1, count_of(table[N_RADIAL]), count_of(table[N_ANGULAR])
    (A, alone, c), width = kept(table, n_elements), combinations(table)
    half = s.dtype.type(0.5)
    densities(table, s, stride, first, A, alone)
    A_grad = np.zeros_like(A)
    alone[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            for t in range(n if first[b + 1] > first[b] else 0):
                for q in range(n_angular):
                    place = place_of(table, t * n_angular + q)
                    if place < 0:
                        continue
                    grad = row[group(table, a, b, n_elements) * width + place]
                    for m in range(HARMONICS):
                        A_grad[a, t, m] += grad * c[q, m] * A[b, t, m]
                    if a == b:
                        alone[a, t] -= half * grad * c[q, HARMONICS]
                        continue
                    for m in range(HARMONICS):
                        A_grad[b, t, m] += grad * c[q, m] * A[a, t, m]
    density_gradients(table, s, stride, first, A_grad, alone)


@part
def harmonic_tangents(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """The sums' tangents of each pair of elements."""
    n_elements, n, n_angular = first.shape[0] - 1, count_of(table[N_RADIAL]), count_of(table[N_ANGULAR])
    (A, alone, c), width = kept(table, n_elements), combinations(table)
    half, zero = s.dtype.type(0.5), s.dtype.type(0)
    densities(table, s, stride, first, A, alone)
    A_dot = np.empty_like(A)
    density_tangents(table, s, stride, first, A_dot, alone)
    row[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            for t in range(n if first[b + 1] > first[b] else 0):
                for q in range(n_angular):
                    place, total = place_of(table, t * n_angular + q), zero
                    if place < 0:
                        continue
                    for m in range(HARMONICS):
                        total += c[q, m] * (A_dot[a, t, m] * A[b, t, m] + A[a, t, m] * A_dot[b, t, m])
                    if a == b:
                        total = half * (total - alone[a, t] * c[q, HARMONICS])
                    row[group(table, a, b, n_elements) * width + place] = total
