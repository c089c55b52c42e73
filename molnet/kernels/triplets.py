"""Sums over pairs of neighbours j < k of an atom by pair of elements, as loops that vectorize over the pairs.

Pairs of one pair of elements are laid out in columns of CHUNK numbers, and computed term by term:

    Σ_jk F R_t A_a      R_t = w_t exp{−η_t [c (m − s_t)² + D]}      A_a = 2 z_a^ζ      z_a = ½ + ½ (a x + b √(1 − x²))

with D = d (r_j − r_k)² + e r_jk² and x = q cos θ; where e and s_t aren't zero, e s_t (s_t − 2 r_jk) belongs to D, too.
Where c is 0, A_a is that of `bells`. With the derivatives G_ta of the energy with respect to these sums,

    h_a = Σ_t G_ta R_t      H = Σ_a A_a h_a      ∂x = F Σ_a A_a′ h_a      ∂F = H      ∂m = F Σ_ta G_ta A_a R_t′,

and so on; ∂r_j gets ∂m/2 and f_c′(r_j) f_c(r_k) H, and directions get ∂u_j = q ∂x u_k.
"""

from __future__ import annotations

from math import atan2, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import inlined, part
from molnet.kernels.elementary import LOG2E, exp2, log2
from molnet.kernels.envelopes import envelope
from molnet.kernels.groups import combinations, firsts, group, place_of, seconds
from molnet.kernels.near import GR, RD, SLOPE, TX, TY, TZ, UX, UY, UZ, WX, WY, WZ, F, R
from molnet.kernels.shells import count_of, padded
from molnet.kernels.terms import (
    BLOCK_HEADER,
    COSINE_SCALE,
    CUTOFF,
    DIFFERENCE_SCALE,
    ENVELOPE,
    INNER,
    MEAN_SCALE,
    N_ANGULAR,
    N_RADIAL,
    PAIRS,
    THIRD_SCALE,
)

Array = NDArray[Any]

CHUNK = 256

# Columns of pairs: m, D, cos θ, F without f_c(r_jk), F, r_jk, f_c(r_jk) and its derivative; ∂F, ∂m, ∂D and ∂x; what is
# between; tangents of m, D, cos θ and F; ∂r_jk of what s_t adds. Then two for each angular, one for each radial term.
M, D, X, FF, FFF, R3, F3, SLOPE3, H, HM, HD, HX, Q, MT, DT, XT, FT, HS = (CHUNK * k for k in range(18))
ANGULAR = 18 * CHUNK


@inlined
def column(number: int) -> int:
    """Where a term's column begins. The compiler must see that no place is negative, or it doesn't vectorize."""
    return (ANGULAR + CHUNK * number) & 0x7FFFFFFF


@part
def scratch(kind: int, table: Array) -> Array:
    """Columns for the pairs of a block, if it is one of pairs."""
    terms = count_of(table[N_RADIAL]) + 2 * count_of(table[N_ANGULAR])
    out = np.zeros(column(terms) if kind == PAIRS else F3 + CHUNK, table.dtype)
    out[F3 : F3 + CHUNK] = 1
    return out


@inlined
def start(j: int, same: bool, k0: int) -> int:
    """The first partner of neighbour j: the next one, or the first of the other element."""
    return j + 1 if same else k0


@part
def lay_out(
    s: Array, stride: int, place: tuple[int, int], ends: tuple[int, int, int], table: Array, p: Array
) -> tuple[int, int, int]:
    """Fills the columns with as many pairs as there is place for, from the pair (j, k) on.

    `ends` are those of j and k, and where k begins for each j, −1 for the one after j. Returns the number of pairs, and
    the next j and k.
    """
    (j, k), (j1, k1, k0) = place, ends
    half, one, d, count = s.dtype.type(0.5), s.dtype.type(1), table[DIFFERENCE_SCALE], 0
    while j < j1 and count < CHUNK:
        take = max(0, min(k1 - k, CHUNK - count))
        rj, fj = s[R * stride + j], s[F * stride + j]
        ux, uy, uz = s[UX * stride + j], s[UY * stride + j], s[UZ * stride + j]
        for m in range(take):
            rk = s[R * stride + k + m]
            x, y, z = ux - s[UX * stride + k + m], uy - s[UY * stride + k + m], uz - s[UZ * stride + k + m]
            apart = x * x + y * y + z * z
            square = (rj - rk) * (rj - rk)
            p[M + count + m] = half * (rj + rk)
            p[D + count + m] = d * square
            p[X + count + m] = one - half * apart
            p[FF + count + m] = fj * s[F * stride + k + m]
            p[R3 + count + m] = square + rj * rk * apart
        count += take
        k += take
        if k >= k1:
            j += 1
            k = start(j, k0 < 0, k0)
    return count, j, k


@inlined
def cutoff_function(table: Array) -> tuple[int, float]:
    return int(table[ENVELOPE]), table[INNER]


@part
def close(table: Array, p: Array, count: int) -> None:
    """F and D, with what depends on r_jk if anything does."""
    e = table[THIRD_SCALE]
    for m in range(count):
        p[FFF + m] = p[FF + m]
    if e > 0:
        for m in range(count):
            p[D + m] += e * p[R3 + m]
            p[R3 + m] = sqrt(p[R3 + m])
        envelope(cutoff_function(table), p, (R3, F3, SLOPE3), count, table[CUTOFF])
        for m in range(count):
            p[FFF + m] *= p[F3 + m]


@part
def bells(eta: float, center: float, q: float, p: Array, places: tuple[int, int], count: int) -> None:
    """A = Σ exp[−η (θ ± θ_s)²], with 2π − θ too, and q A′, which is zero on a line, where A may have a kink."""
    real, (value, slope) = p.dtype.type, places
    one, zero, turn, rate = real(1), real(0), real(2 * pi), real(-LOG2E)
    for m in range(count):
        x = min(one, max(-one, q * p[X + m]))
        y = sqrt((one - x) * (one + x))
        theta = atan2(y, x)
        total = change = zero
        for apart in (theta - center, theta + center, theta - center - turn, theta + center - turn):
            each = exp2(rate * eta * apart * apart)
            total += each
            change += (eta + eta) * apart * each
        p[value + m] = total
        p[slope + m] = q * change / y if y != zero else zero


@part
def factors(table: Array, p: Array, count: int) -> None:
    """A_a and q A_a′ of all angular terms, and R_t of all radial ones."""
    real = table.dtype.type
    one, half, two, tiny, rate = real(1), real(0.5), real(2), real(1e-30), real(-LOG2E)
    n, n_angular, q, c = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR]), table[COSINE_SCALE], table[MEAN_SCALE]
    lanes = padded(n)
    angular = table[BLOCK_HEADER + 3 * lanes :]
    for term in range(n_angular):
        a, b, zeta = angular[term], angular[n_angular + term], angular[2 * n_angular + term]
        value, slope = column(2 * term), column(2 * term + 1)
        if c == 0:
            bells(a, b, q, p, (value, slope), count)
        for m in range(count if c != 0 else 0):
            x = q * p[X + m]
            square = one - x * x
            y = sqrt(tiny if square < tiny else square)
            z = half + half * (a * x + b * y)
            z = tiny if z < tiny else z
            power = exp2((zeta - one) * log2(z))
            p[value + m] = two * power * z
            p[slope + m] = zeta * q * power * (a - b * x / y)
    for term in range(n):
        eta, shift = table[BLOCK_HEADER + term], table[BLOCK_HEADER + lanes + term]
        weight = table[BLOCK_HEADER + 2 * lanes + term]
        value = column(2 * n_angular + term)
        for m in range(count):
            apart = p[M + m] - shift
            p[value + m] = weight * exp2(rate * eta * (c * apart * apart + p[D + m]))
        if table[THIRD_SCALE] * shift != 0:
            e = table[THIRD_SCALE] * shift
            for m in range(count):
                p[value + m] *= exp2(rate * eta * e * (shift - two * p[R3 + m]))


@inlined
def products(left: int, right: int, p: Array, count: int) -> float:
    total = p.dtype.type(0)
    for m in range(count):
        total += p[left + m] * p[right + m]
    return total


@part
def add_sums(table: Array, p: Array, count: int, out: Array) -> None:
    """Σ F R_t A_a."""
    n, n_angular = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR])
    for term in range(n):
        radial = column(2 * n_angular + term)
        for m in range(count):
            p[Q + m] = p[FFF + m] * p[radial + m]
        for a in range(n_angular):
            place = place_of(table, term * n_angular + a)
            if place >= 0:
                out[place] += products(Q, column(2 * a), p, count)


@part
def differentiate(table: Array, p: Array, count: int, grad: Array) -> None:
    """H = ∂F, and of ∂m, ∂D and q ∂x what is to be multiplied by F."""
    zero, minus_two = table.dtype.type(0), table.dtype.type(-2)
    n, n_angular, c = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR]), table[MEAN_SCALE]
    lanes = padded(n)
    for m in range(count):
        p[H + m], p[HM + m], p[HD + m], p[HX + m], p[HS + m] = zero, zero, zero, zero, zero
    for term in range(n):
        eta, shift = table[BLOCK_HEADER + term], table[BLOCK_HEADER + lanes + term]
        radial = column(2 * n_angular + term)
        for m in range(count):
            p[Q + m], p[XT + m] = zero, zero
        for a in range(n_angular):
            place, value = place_of(table, term * n_angular + a), column(2 * a)
            if place < 0:
                continue
            weight = grad[place]
            for m in range(count):
                p[Q + m] += weight * p[value + m]
                p[XT + m] += weight * p[value + CHUNK + m]
        for m in range(count):
            change = p[radial + m] * p[Q + m]
            p[H + m] += change
            p[HD + m] -= eta * change
            p[HM + m] += minus_two * eta * c * (p[M + m] - shift) * change
            p[HX + m] += p[radial + m] * p[XT + m]
        if table[THIRD_SCALE] * shift != 0:
            for m in range(count):
                p[HS + m] += eta * shift * p[radial + m] * p[Q + m]
    if table[THIRD_SCALE] > 0:
        e = table[THIRD_SCALE] + table[THIRD_SCALE]
        for m in range(count):
            r = p[R3 + m]
            along = p[FF + m] * p[SLOPE3 + m] * p[H + m] + e * p[FFF + m] * p[HS + m]
            p[FT + m] = e * p[FFF + m] * p[HD + m] + (along / r if r != zero else zero)


@part
def hand_out(s: Array, stride: int, place: tuple[int, int], ends: tuple[int, int, int], table: Array, p: Array) -> None:
    """Adds the derivatives of the pairs from (j, k) on to those of r and of the direction of their neighbours."""
    (j, k), (j1, k1, k0) = place, ends
    half, d, count, zero = s.dtype.type(0.5), table[DIFFERENCE_SCALE] + table[DIFFERENCE_SCALE], 0, s.dtype.type(0)
    while j < j1 and count < CHUNK:
        take = max(0, min(k1 - k, CHUNK - count))
        rj, fj, slope_j = s[R * stride + j], s[F * stride + j], s[SLOPE * stride + j]
        ux, uy, uz = s[UX * stride + j], s[UY * stride + j], s[UZ * stride + j]
        to_r = to_x = to_y = to_z = zero
        for m in range(take):
            pair, near = count + m, k + m
            rk, f = s[R * stride + near], p[FFF + pair]
            third = p[FT + pair]
            both = half * f * p[HM + pair]
            apart = d * f * p[HD + pair] * (rj - rk)
            h = p[F3 + pair] * p[H + pair]
            to_cosine = f * p[HX + pair] - third * rj * rk
            to_r += both + apart + slope_j * s[F * stride + near] * h + third * (rj - rk * p[X + pair])
            to_x += to_cosine * s[UX * stride + near]
            to_y += to_cosine * s[UY * stride + near]
            to_z += to_cosine * s[UZ * stride + near]
            to_k = both - apart + fj * s[SLOPE * stride + near] * h + third * (rk - rj * p[X + pair])
            s[GR * stride + near] += to_k
            s[TX * stride + near] += to_cosine * ux
            s[TY * stride + near] += to_cosine * uy
            s[TZ * stride + near] += to_cosine * uz
        s[GR * stride + j] += to_r
        s[TX * stride + j] += to_x
        s[TY * stride + j] += to_y
        s[TZ * stride + j] += to_z
        count += take
        k += take
        if k >= k1:
            j += 1
            k = start(j, k0 < 0, k0)


@part
def lay_out_tangents(
    s: Array, stride: int, place: tuple[int, int], ends: tuple[int, int, int], table: Array, p: Array
) -> None:
    """The tangents of m, D, cos θ and F of the pairs from (j, k) on."""
    (j, k), (j1, k1, k0) = place, ends
    real = s.dtype.type
    half, one, two, count = real(0.5), real(1), real(2), 0
    d, e = two * table[DIFFERENCE_SCALE], table[THIRD_SCALE]
    while j < j1 and count < CHUNK:
        take = max(0, min(k1 - k, CHUNK - count))
        rj, along, fj = s[R * stride + j], s[RD * stride + j], s[F * stride + j]
        fj_dot = s[SLOPE * stride + j] * along
        ux, uy, uz = s[UX * stride + j], s[UY * stride + j], s[UZ * stride + j]
        wx, wy, wz = s[WX * stride + j], s[WY * stride + j], s[WZ * stride + j]
        for m in range(take):
            pair, near = count + m, k + m
            rk, rk_dot = s[R * stride + near], s[RD * stride + near]
            x_dot = wx * s[UX * stride + near] + wy * s[UY * stride + near] + wz * s[UZ * stride + near]
            x_dot += ux * s[WX * stride + near] + uy * s[WY * stride + near] + uz * s[WZ * stride + near]
            apart = (rj - rk) * (along - rk_dot)
            square = two * (apart + (along * rk + rj * rk_dot) * (one - p[X + pair]) - rj * rk * x_dot)
            p[MT + pair] = half * (along + rk_dot)
            p[DT + pair] = d * apart + e * square
            p[XT + pair] = x_dot
            f_dot = fj_dot * s[F * stride + near] + fj * s[SLOPE * stride + near] * rk_dot
            p[FT + pair] = f_dot * p[F3 + pair]
            p[H + pair] = half * square
        count += take
        k += take
        if k >= k1:
            j += 1
            k = start(j, k0 < 0, k0)
    if e > 0:
        for m in range(count):
            r = p[R3 + m]
            p[FT + m] += p[FF + m] * p[SLOPE3 + m] * p[H + m] / r if r != real(0) else real(0)


@part
def add_tangents(table: Array, p: Array, count: int, out: Array) -> None:
    """Σ [(F R_t)˙ A_a + F R_t Ȧ_a]."""
    two, zero = table.dtype.type(2), table.dtype.type(0)
    n, n_angular, c = count_of(table[N_RADIAL]), count_of(table[N_ANGULAR]), table[MEAN_SCALE]
    lanes = padded(n)
    for term in range(n):
        eta, shift = table[BLOCK_HEADER + term], table[BLOCK_HEADER + lanes + term]
        radial = column(2 * n_angular + term)
        for m in range(count):
            change = two * c * (p[M + m] - shift) * p[MT + m] + p[DT + m]
            p[Q + m] = p[radial + m] * (p[FT + m] - eta * p[FFF + m] * change)
            p[HX + m] = p[radial + m] * p[FFF + m] * p[XT + m]
        if table[THIRD_SCALE] * shift != 0:
            e = two * eta * table[THIRD_SCALE] * shift
            for m in range(count):
                r = p[R3 + m]
                p[Q + m] += e * p[radial + m] * p[FFF + m] * (p[H + m] / r if r != zero else zero)
        for a in range(n_angular):
            place, value = place_of(table, term * n_angular + a), column(2 * a)
            if place >= 0:
                out[place] += products(Q, value, p, count) + products(HX, value + CHUNK, p, count)


@inlined
def bounds(a: int, b: int, first: Array) -> tuple[tuple[int, int], tuple[int, int, int]]:
    """The first pair (j, k) of a pair of elements, and the ends as `lay_out` takes them."""
    j, j1 = first[a], first[a + 1]
    if a == b:
        return (j, j + 1), (j1 - 1, j1, -1)
    # Without any k, no j has a pair.
    return (j, first[b]), (j1 if first[b + 1] > first[b] else j, first[b + 1], first[b])


@part
def pair_sums(table: Array, s: Array, stride: int, first: Array, p: Array, row: Array) -> None:
    """The sums of each pair of elements."""
    width, n_elements = combinations(table), first.shape[0] - 1
    row[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            place, ends = bounds(a, b, first)
            at = group(table, a, b, n_elements) * width
            while place[0] < ends[0]:
                count, j, k = lay_out(s, stride, place, ends, table, p)
                close(table, p, count)
                factors(table, p, count)
                add_sums(table, p, count, row[at : at + width])
                place = (j, k)


@part
def pair_gradients(table: Array, s: Array, stride: int, first: Array, p: Array, row: Array) -> None:
    """∂r and ∂u of all neighbours, from the derivatives with respect to the sums."""
    width, n_elements = combinations(table), first.shape[0] - 1
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            place, ends = bounds(a, b, first)
            at = group(table, a, b, n_elements) * width
            while place[0] < ends[0]:
                count, j, k = lay_out(s, stride, place, ends, table, p)
                close(table, p, count)
                factors(table, p, count)
                differentiate(table, p, count, row[at : at + width])
                hand_out(s, stride, place, ends, table, p)
                place = (j, k)


@part
def pair_tangents(table: Array, s: Array, stride: int, first: Array, p: Array, row: Array) -> None:
    """The sums' tangents of each pair of elements."""
    width, n_elements = combinations(table), first.shape[0] - 1
    row[:] = 0
    for a in range(*firsts(table, n_elements)):
        for b in range(*seconds(table, a, first)):
            place, ends = bounds(a, b, first)
            at = group(table, a, b, n_elements) * width
            while place[0] < ends[0]:
                count, j, k = lay_out(s, stride, place, ends, table, p)
                close(table, p, count)
                factors(table, p, count)
                lay_out_tangents(s, stride, place, ends, table, p)
                add_tangents(table, p, count, row[at : at + width])
                place = (j, k)
