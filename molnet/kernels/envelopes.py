"""Cutoff functions f_c(r) of x = r/cutoff and their derivatives as loops.

They are named by a number: 0 is the cosine, −1 the tanh³, and n ≥ 1 the polynomial with n continuous derivatives.
"""

from __future__ import annotations

from math import pi
from typing import Any

from numpy.typing import NDArray

from molnet.kernels.compiled import inlined, part
from molnet.kernels.elementary import LOG2E, exp2, wave

Array = NDArray[Any]

COSINE, TANH = 0, -1


@inlined
def bounded(r: float, inverse: float) -> float:
    """x = r/cutoff, at most 1; NaN stays NaN."""
    x, one = r * inverse, type(r)(1)
    return one if x > one else x


@part
def envelope(shape: int, s: Array, places: tuple[int, int, int], count: int, cutoff: float) -> None:
    """f_c(r) and f_c′(r) of `count` distances; `places` says where r, f_c and f_c′ begin in s."""
    r, f, slope = places
    inverse = s.dtype.type(1 / cutoff)
    if shape == COSINE:
        _cosine(s, r, f, slope, count, inverse)
    elif shape == TANH:
        _tanh(s, r, f, slope, count, inverse)
    else:
        _polynomial(shape, s, r, f, slope, count, inverse)


@inlined
def _cosine(s: Array, r: int, f: int, slope: int, count: int, inverse: float) -> None:
    half, factor = s.dtype.type(0.5), s.dtype.type(-0.5 * pi) * inverse
    for p in range(count):
        cosine, sine = wave(bounded(s[r + p], inverse))
        s[f + p] = half * cosine + half
        s[slope + p] = factor * sine


@inlined
def _tanh(s: Array, r: int, f: int, slope: int, count: int, inverse: float) -> None:
    one, three, rate = s.dtype.type(1), s.dtype.type(3), s.dtype.type(-2 * LOG2E)
    for p in range(count):
        e = exp2(rate * (one - bounded(s[r + p], inverse)))
        t = (one - e) / (one + e)
        s[f + p] = t * t * t
        s[slope + p] = -three * inverse * t * t * (one - t * t)


@inlined
def _polynomial(n: int, s: Array, r: int, f: int, slope: int, count: int, inverse: float) -> None:
    """f_c′ = −(2n+1) C(2n, n) xⁿ (1 − x)ⁿ/cutoff; f_c by Horner's rule."""
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
            x = bounded(s[r + p], inverse)
            s[f + p] = s[f + p] * x + lower
            s[slope + p] *= x * (one - x)
    for _ in range(n + 1):
        for p in range(count):
            s[f + p] *= one - bounded(s[r + p], inverse)
