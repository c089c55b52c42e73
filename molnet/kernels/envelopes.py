"""Cutoff functions f_c(x) and their derivatives as loops.

With the cutoff R and an inner cutoff αR up to which they are one, x = (r − αR)/(R − αR). They are named by a number: 0
is the cosine, −1 the tanh³, −2 the tanh³ that is one at x = 0, −3 the exponential, −4 one up to the cutoff, and n ≥ 1
the polynomial with n continuous derivatives. Those with tanh³ know no inner cutoff.
"""

from __future__ import annotations

from math import pi, tanh
from typing import Any

from numpy.typing import NDArray

from molnet.kernels.compiled import inlined, part
from molnet.kernels.elementary import LOG2E, exp2, wave

Array = NDArray[Any]

COSINE, TANH, UNIT_TANH, EXPONENTIAL, HARD = 0, -1, -2, -3, -4
TANH_AT_ZERO = tanh(1.0) ** 3
LEAST = 2**-10


@inlined
def bounded(r: float, start: float, inverse: float) -> float:
    """x, at least 0 and at most 1; NaN stays NaN."""
    x, one, zero = (r - start) * inverse, type(r)(1), type(r)(0)
    x = zero if x < zero else x
    return one if x > one else x


@part
def envelope(shape: tuple[int, float], s: Array, places: tuple[int, int, int], count: int, cutoff: float) -> None:
    """f_c(r) and f_c′(r) of `count` distances, whose kind and α are given; `places` are those of r, f_c and f_c′."""
    r, f, slope = places
    number, inner = shape
    real = s.dtype.type
    start, inverse = real(inner * cutoff), real(1 / (cutoff - inner * cutoff))
    if number == COSINE:
        _cosine(s, r, f, slope, count, start, inverse)
    elif number in (TANH, UNIT_TANH):
        _tanh(s, r, f, slope, count, real(1 / cutoff), real(1 / TANH_AT_ZERO if number == UNIT_TANH else 1.0))
    elif number == EXPONENTIAL:
        _exponential(s, r, f, slope, count, start, inverse)
    elif number == HARD:
        for p in range(count):
            s[f + p], s[slope + p] = real(0) if s[r + p] >= real(cutoff) else real(1), real(0)
    else:
        _polynomial(number, s, r, f, slope, count, start, inverse)


@inlined
def _cosine(s: Array, r: int, f: int, slope: int, count: int, start: float, inverse: float) -> None:
    half, factor = s.dtype.type(0.5), s.dtype.type(-0.5 * pi) * inverse
    for p in range(count):
        cosine, sine = wave(bounded(s[r + p], start, inverse))
        s[f + p] = half * cosine + half
        s[slope + p] = factor * sine


@inlined
def _tanh(s: Array, r: int, f: int, slope: int, count: int, inverse: float, scale: float) -> None:
    real = s.dtype.type
    zero, one, three, rate = real(0), real(1), real(3), real(-2 * LOG2E)
    for p in range(count):
        e = exp2(rate * (one - bounded(s[r + p], zero, inverse)))
        t = (one - e) / (one + e)
        s[f + p] = scale * t * t * t
        s[slope + p] = -three * scale * inverse * t * t * (one - t * t)


@inlined
def _exponential(s: Array, r: int, f: int, slope: int, count: int, start: float, inverse: float) -> None:
    """f_c = exp[1 − 1/(1 − x²)]."""
    real = s.dtype.type
    one, two, rate, least = real(1), real(2), real(LOG2E), real(LEAST)
    for p in range(count):
        x = bounded(s[r + p], start, inverse)
        rest = one - x * x
        # The function is zero long before that.
        rest = least if rest < least else rest
        value = exp2(rate * (one - one / rest))
        s[f + p] = value
        s[slope + p] = -two * inverse * x / (rest * rest) * value


@inlined
def _polynomial(n: int, s: Array, r: int, f: int, slope: int, count: int, start: float, inverse: float) -> None:
    """f_c′ = −(2n+1) C(2n, n) xⁿ (1 − x)ⁿ/(R − αR); f_c by Horner's rule."""
    real = s.dtype.type
    one, coefficient = real(1), 1.0
    for k in range(1, n + 1):
        coefficient *= (n + k) / k
    last = real(-(2 * n + 1) * coefficient) * inverse
    for p in range(count):
        s[f + p] = real(coefficient)
        s[slope + p] = last
    for k in range(n, 0, -1):
        coefficient *= k / (n + k)
        lower = real(coefficient)
        for p in range(count):
            x = bounded(s[r + p], start, inverse)
            s[f + p] = s[f + p] * x + lower
            s[slope + p] *= x * (one - x)
    for _ in range(n + 1):
        for p in range(count):
            s[f + p] *= one - bounded(s[r + p], start, inverse)
