"""Exponentials, logarithms and waves of single numbers that loops over them vectorize, exact to a few roundings.

The processor's vector units know no such functions, and the mathematical library's take one number at a time. These
are polynomials without branches, in the precision of their argument; the coefficients are those of Taylor's series.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, log, pi
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from molnet.kernels.compiled import inlined

# Type checkers would ask its callers for the typing context.
_intrinsic: Any = intrinsic

# The bits of a number: the type of as many, how many are its fraction's, and what is added to the exponent.
LAYOUT = {types.float32: (ir.IntType(32), 23, 127), types.float64: (ir.IntType(64), 52, 1023)}

LOG2E = 1 / log(2)
EXP = tuple(log(2) ** k / factorial(k) for k in range(13, -1, -1))
LOG = tuple(2 / (log(2) * (2 * k + 1)) for k in range(11, -1, -1))
SINE = tuple((-1) ** k * pi ** (2 * k + 1) / factorial(2 * k + 1) for k in range(10, -1, -1))
COSINE = tuple((-1) ** k * pi ** (2 * k) / factorial(2 * k) for k in range(10, -1, -1))


@_intrinsic
def times_power_of_two(typing: Any, x: Any, power: Any) -> tuple[Any, Callable[..., Any]]:
    """x 2^n for a whole number n, both floating-point, that leaves the exponent in its range."""
    bits, fraction, bias = LAYOUT[x]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, exponent = arguments
        whole = builder.add(builder.fptosi(exponent, bits), bits(bias))
        return builder.fmul(value, builder.bitcast(builder.shl(whole, bits(fraction)), value.type))

    return x(x, x), generate


@_intrinsic
def exponent_and_fraction(typing: Any, x: Any) -> tuple[Any, Callable[..., Any]]:
    """n and √½ ≤ f < √2 with x = f 2^n for a positive x that isn't subnormal."""
    bits, fraction, _ = LAYOUT[x]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        least = builder.bitcast(value.type(0.5**0.5), bits)
        above = builder.sub(builder.bitcast(value, bits), least)
        exponent = builder.ashr(above, bits(fraction))
        rest = builder.add(builder.and_(above, bits((1 << fraction) - 1)), least)
        parts = [builder.sitofp(exponent, value.type), builder.bitcast(rest, value.type)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(x, 2)(x), generate


@inlined
def polynomial(x: float, coefficients: tuple[float, ...]) -> float:
    """Horner's rule, the highest power first."""
    real = type(x)
    total = real(coefficients[0])
    for k in range(1, len(coefficients)):
        total = total * x + real(coefficients[k])
    return total


@inlined
def exp2(x: float) -> float:
    """2^x for x ≤ 126, and zero below −126, in double precision below −1022; NaN stays NaN."""
    real = type(x)
    # The compiler knows which of these it is.
    low = real(-126) if real(1e-300) == real(0) else real(-1022)
    inside = low if x < low else x
    n = np.floor(inside + real(0.5))
    value = times_power_of_two(polynomial(inside - n, EXP), n)
    return real(0) if x < low else value


@inlined
def log2(x: float) -> float:
    """The logarithm of a positive number from 2 artanh(s) = ln[(1 + s)/(1 − s)]."""
    real = type(x)
    n, f = exponent_and_fraction(x)
    s = (f - real(1)) / (f + real(1))
    return n + s * polynomial(s * s, LOG)


@inlined
def wave(x: float) -> tuple[float, float]:
    """cos πx and sin πx for 0 ≤ x ≤ 1."""
    real = type(x)
    z = x - real(0.5)
    return -z * polynomial(z * z, SINE), polynomial(z * z, COSINE)
