"""Sums over pairs of neighbours of windows of distances and of the angle, as loops that vectorize over the second one.

With W_tk = w_t f(η_t |r_k − s_t|) times the neighbour's weight, A_a = f(a |θ − b|), and T_t that of r_jk or 1, the sums
are Σ_{j<k} W_tj W_tk T_t A_a. With the derivatives G_ta of the energy with respect to them and h_t = Σ_a G_ta A_a,

    ∂r_k = Σ_j Σ_t W_tj W_tk′ T_t h_t      ∂r_jk = Σ_t W_tj W_tk T_t′ h_t      ∂θ = Σ_t W_tj W_tk T_t Σ_a G_ta A_a′,

and directions get ∂u_j = −∂θ u_k/sin θ. Neither angle nor sine lose digits near 0 and π, as θ = 2 arctan of
|u_j − u_k| / |u_j + u_k|.
"""

from __future__ import annotations

from math import atan2, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import inlined, part
from molnet.kernels.envelopes import envelope
from molnet.kernels.groups import combinations, firsts, group, place_of, seconds
from molnet.kernels.near import GR, RD, TX, TY, TZ, UX, UY, UZ, WX, WY, WZ, F, R
from molnet.kernels.shells import count_of, padded
from molnet.kernels.terms import BEND, BLOCK_HEADER, CORE, N_ANGULAR, N_RADIAL, THIRD_SCALE

Array = NDArray[Any]

# Columns of as many numbers as there are neighbours: those of the pairs (j, k) for one j, and what is in between.
THETA, SINE, COSINE, R3, TO_ANGLE, TO_R3, HT, HS, VALUE, SLOPE, X = range(11)
WORK = 11


@inlined
def at(column: int, stride: int) -> int:
    return (column * stride) & 0x7FFFFFFF


@inlined
def window(
    table: Array, inverse: float, center: float, s: Array, source: int, p: Array, places: tuple[int, int, int], n: int
) -> None:
    """f and its derivative of n numbers in s from `source` on, in p; places are those of x, f and f′."""
    one, (x_at, _, slope) = p.dtype.type(1), places
    for k in range(n):
        x = inverse * abs(s[source + k] - center)
        p[x_at + k] = one if x > one else x
    envelope((int(table[CORE]), one - one), p, places, n, one)
    for k in range(n):
        p[slope + k] *= -inverse if s[source + k] < center else inverse


@inlined
def shell(table: Array, t: int, s: Array, source: int, p: Array, places: tuple[int, int, int], n: int) -> None:
    """The same of a radial term, with x (2 − x) in place of x where it is bent, and its weight."""
    real, (x_at, value, slope) = p.dtype.type, places
    lanes = padded(count_of(table[N_RADIAL]))
    inverse, center = table[BLOCK_HEADER + t], table[BLOCK_HEADER + lanes + t]
    weight, one, two = table[BLOCK_HEADER + 2 * lanes + t], real(1), real(2)
    if table[BEND] == 0:
        window(table, inverse, center, s, source, p, places, n)
        for k in range(n):
            p[value + k] *= weight
            p[slope + k] *= weight
        return
    for k in range(n):
        x = inverse * abs(s[source + k] - center)
        p[x_at + k] = one if x > one else x * (two - x)
    envelope((int(table[CORE]), real(0)), p, places, n, one)
    for k in range(n):
        x = inverse * (s[source + k] - center)
        sign = -one if x < 0 else one
        p[value + k] *= weight
        p[slope + k] *= weight * inverse * sign * (two - two * sign * x)


@part
def space(table: Array, stride: int) -> Array:
    """Place for columns, and for values and derivatives of all terms."""
    return np.zeros((WORK + 4 * count_of(table[N_RADIAL]) + 2 * count_of(table[N_ANGULAR])) * stride, table.dtype)


@inlined
def terms_at(table: Array) -> tuple[int, int, int]:
    """The columns from which on W_t and W_t′, T_t and T_t′, and A_a and A_a′ stand."""
    n = count_of(table[N_RADIAL])
    return WORK, WORK + 2 * n, WORK + 4 * n


@part
def shells(table: Array, s: Array, stride: int, count: int, p: Array) -> None:
    """W_t and W_t′ of all neighbours."""
    first, _, _ = terms_at(table)
    for t in range(count_of(table[N_RADIAL])):
        value, slope = at(first + 2 * t, stride), at(first + 2 * t + 1, stride)
        shell(table, t, s, at(R, stride), p, (at(X, stride), value, slope), count)
        for k in range(count):
            p[value + k] *= s[F * stride + k]
            p[slope + k] *= s[F * stride + k]


@part
def pairs_of(table: Array, s: Array, stride: int, j: int, k0: int, n: int, p: Array) -> None:
    """θ, cos θ, sin θ and r_jk, and from these T_t and A_a, of the pairs of j with n neighbours from k0 on."""
    half, one = s.dtype.type(0.5), s.dtype.type(1)
    ux, uy, uz, rj = s[UX * stride + j], s[UY * stride + j], s[UZ * stride + j], s[R * stride + j]
    for m in range(n):
        k = k0 + m
        x, y, z, rk = s[UX * stride + k], s[UY * stride + k], s[UZ * stride + k], s[R * stride + k]
        apart = (ux - x) * (ux - x) + (uy - y) * (uy - y) + (uz - z) * (uz - z)
        along = (ux + x) * (ux + x) + (uy + y) * (uy + y) + (uz + z) * (uz + z)
        p[COSINE * stride + m] = one - half * apart
        p[SINE * stride + m] = half * sqrt(apart * along)
        p[THETA * stride + m] = atan2(sqrt(apart), sqrt(along)) / half
        p[R3 * stride + m] = sqrt((rj - rk) * (rj - rk) + rj * rk * apart)
    _, third, angles = terms_at(table)
    n_radial, n_angular = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR])
    for t in range(n_radial):
        value, slope = at(third + 2 * t, stride), at(third + 2 * t + 1, stride)
        if table[THIRD_SCALE] > 0:
            shell(table, t, p, at(R3, stride), p, (at(X, stride), value, slope), n)
        else:
            for m in range(n):
                p[value + m], p[slope + m] = one, one - one
    begin = BLOCK_HEADER + 3 * padded(n_radial)
    for a in range(n_angular):
        places = (at(X, stride), at(angles + 2 * a, stride), at(angles + 2 * a + 1, stride))
        window(table, table[begin + a], table[begin + n_angular + a], p, at(THETA, stride), p, places, n)


@inlined
def partners(a: int, b: int, j: int, first: Array) -> tuple[int, int]:
    """The first neighbour k of element b that makes a pair with j of element a, and their number."""
    k0 = j + 1 if a == b else first[b]
    return k0, max(0, first[b + 1] - k0)


@part
def arc_sums(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """The sums of each pair of elements."""
    width, n_elements, p = combinations(table), first.shape[0] - 1, space(table, stride)
    n, n_angular, zero = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR]), s.dtype.type(0)
    radial, third, angles = terms_at(table)
    shells(table, s, stride, first[n_elements], p)
    row[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            begin = group(table, a, b, n_elements) * width
            for j in range(first[a], first[a + 1]):
                k0, count = partners(a, b, j, first)
                pairs_of(table, s, stride, j, k0, count, p)
                for t in range(n):
                    w, q, own = at(radial + 2 * t, stride), at(third + 2 * t, stride), at(VALUE, stride)
                    wj = p[w + j]
                    for m in range(count if wj != 0 else 0):
                        p[own + m] = wj * p[w + k0 + m] * p[q + m]
                    for c in range(n_angular if wj != 0 else 0):
                        place, value, total = place_of(table, t * n_angular + c), at(angles + 2 * c, stride), zero
                        for m in range(count if place >= 0 else 0):
                            total += p[own + m] * p[value + m]
                        if place >= 0:
                            row[begin + place] += total


@part
def pull(table: Array, stride: int, j: int, k0: int, count: int, p: Array, s: Array, grad: Array) -> float:
    """∂θ and ∂r_jk of the pairs of j, and what goes to r_k; returns ∂r_j."""
    n, n_angular, zero = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR]), p.dtype.type(0)
    radial, third, angles = terms_at(table)
    to_angle, to_r3 = at(TO_ANGLE, stride), at(TO_R3, stride)
    h, h_slope, to_r = at(HT, stride), at(HS, stride), zero
    for m in range(count):
        p[to_angle + m], p[to_r3 + m] = zero, zero
    for t in range(n):
        w, q = at(radial + 2 * t, stride), at(third + 2 * t, stride)
        wj, dj = p[w + j], p[w + stride + j]
        for m in range(count):
            p[h + m], p[h_slope + m] = zero, zero
        for c in range(n_angular):
            place, value = place_of(table, t * n_angular + c), at(angles + 2 * c, stride)
            weight = grad[place] if place >= 0 else zero
            for m in range(count if weight != 0 else 0):
                p[h + m] += weight * p[value + m]
                p[h_slope + m] += weight * p[value + stride + m]
        for m in range(count):
            k = k0 + m
            both, own = p[w + k] * p[q + m], p[h + m]
            to_r += dj * both * own
            s[GR * stride + k] += wj * p[w + stride + k] * p[q + m] * own
            p[to_angle + m] += wj * both * p[h_slope + m]
            p[to_r3 + m] += wj * p[w + k] * p[q + stride + m] * own
    return to_r


@part
def arc_gradients(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """∂r and ∂u of all neighbours, from the derivatives with respect to the sums."""
    width, n_elements, p = combinations(table), first.shape[0] - 1, space(table, stride)
    shells(table, s, stride, first[n_elements], p)
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            begin = group(table, a, b, n_elements) * width
            for j in range(first[a], first[a + 1]):
                k0, count = partners(a, b, j, first)
                pairs_of(table, s, stride, j, k0, count, p)
                to_r = pull(table, stride, j, k0, count, p, s, row[begin : begin + width])
                hand_out(s, stride, j, k0, count, p, to_r)


@part
def hand_out(s: Array, stride: int, j: int, k0: int, count: int, p: Array, to_r: float) -> None:
    """Adds the derivatives with respect to θ and r_jk to those of r and of the direction of both neighbours."""
    zero, rj = s.dtype.type(0), s[R * stride + j]
    ux, uy, uz = s[UX * stride + j], s[UY * stride + j], s[UZ * stride + j]
    to_x = to_y = to_z = zero
    for m in range(count):
        k = k0 + m
        rk, r3, sine, x = s[R * stride + k], p[R3 * stride + m], p[SINE * stride + m], p[COSINE * stride + m]
        third = p[TO_R3 * stride + m] / r3 if r3 != zero else zero
        to_cosine = (-p[TO_ANGLE * stride + m] / sine if sine != zero else zero) - third * rj * rk
        to_r += third * (rj - rk * x)
        s[GR * stride + k] += third * (rk - rj * x)
        to_x += to_cosine * s[UX * stride + k]
        to_y += to_cosine * s[UY * stride + k]
        to_z += to_cosine * s[UZ * stride + k]
        s[TX * stride + k] += to_cosine * ux
        s[TY * stride + k] += to_cosine * uy
        s[TZ * stride + k] += to_cosine * uz
    s[GR * stride + j] += to_r
    s[TX * stride + j] += to_x
    s[TY * stride + j] += to_y
    s[TZ * stride + j] += to_z


@part
def tangents_of(s: Array, stride: int, j: int, k0: int, count: int, p: Array) -> None:
    """The tangents of θ and r_jk, in place of the derivatives with respect to them."""
    zero, one = s.dtype.type(0), s.dtype.type(1)
    rj, along = s[R * stride + j], s[RD * stride + j]
    ux, uy, uz = s[UX * stride + j], s[UY * stride + j], s[UZ * stride + j]
    wx, wy, wz = s[WX * stride + j], s[WY * stride + j], s[WZ * stride + j]
    for m in range(count):
        k = k0 + m
        rk, rk_dot, r3, sine = s[R * stride + k], s[RD * stride + k], p[R3 * stride + m], p[SINE * stride + m]
        x_dot = wx * s[UX * stride + k] + wy * s[UY * stride + k] + wz * s[UZ * stride + k]
        x_dot += ux * s[WX * stride + k] + uy * s[WY * stride + k] + uz * s[WZ * stride + k]
        square = (rj - rk) * (along - rk_dot) + (along * rk + rj * rk_dot) * (one - p[COSINE * stride + m])
        p[TO_ANGLE * stride + m] = -x_dot / sine if sine != zero else zero
        p[TO_R3 * stride + m] = (square - rj * rk * x_dot) / r3 if r3 != zero else zero


@part
def arc_tangents(table: Array, s: Array, stride: int, first: Array, row: Array) -> None:
    """The sums' tangents of each pair of elements."""
    width, n_elements, p = combinations(table), first.shape[0] - 1, space(table, stride)
    n, n_angular, zero = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR]), s.dtype.type(0)
    radial, third, angles = terms_at(table)
    shells(table, s, stride, first[n_elements], p)
    row[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            begin = group(table, a, b, n_elements) * width
            for j in range(first[a], first[a + 1]):
                k0, count = partners(a, b, j, first)
                pairs_of(table, s, stride, j, k0, count, p)
                tangents_of(s, stride, j, k0, count, p)
                for t in range(n):
                    w, q = at(radial + 2 * t, stride), at(third + 2 * t, stride)
                    wj, wj_dot = p[w + j], p[w + stride + j] * s[RD * stride + j]
                    for m in range(count):
                        k = k0 + m
                        both, wk_dot = wj * p[w + k], p[w + stride + k] * s[RD * stride + k]
                        own = both * p[q + m]
                        change = (wj_dot * p[w + k] + wj * wk_dot) * p[q + m]
                        p[VALUE * stride + m] = own * p[TO_ANGLE * stride + m]
                        p[SLOPE * stride + m] = change + both * p[q + stride + m] * p[TO_R3 * stride + m]
                    for c in range(n_angular):
                        place, value, total = place_of(table, t * n_angular + c), at(angles + 2 * c, stride), zero
                        for m in range(count if place >= 0 else 0):
                            total += p[SLOPE * stride + m] * p[value + m]
                            total += p[VALUE * stride + m] * p[value + stride + m]
                        if place >= 0:
                            row[begin + place] += total
