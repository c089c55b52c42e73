"""Internal coordinates as compiled loops: their values, and what takes changes of one side to the other.

Of a structure with pairs (i, j), angles (i, j, k) and dihedrals (i, j, k, l) the values are the distances, then the
angles, then cos φ and sin φ of each dihedral. Structures have the same terms; the loops run over a range of structures.
With the Jacobian J = ∂values/∂positions, `pullback` is Jᵀ·gradient and `tangent` J·dot. Sums are made in double
precision. An angle whose atoms lie on a line has no derivative here, and neither has a dihedral with such an angle.
"""

from __future__ import annotations

from math import atan2, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import compiled, inlined

Array = NDArray[Any]

_LINE = 1e-30
"""Å⁴: of a cross product of vectors whose square is below, the direction is nothing but rounding."""


@inlined
def _between(x: Array, i: int, j: int) -> Any:
    return (
        np.float64(x[j, 0]) - np.float64(x[i, 0]),
        np.float64(x[j, 1]) - np.float64(x[i, 1]),
        np.float64(x[j, 2]) - np.float64(x[i, 2]),
    )


@inlined
def _dot(a: Any, b: Any) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def _cross(a: Any, b: Any) -> Any:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inlined
def _times(a: Any, x: Any) -> Any:
    return a * x[0], a * x[1], a * x[2]


@inlined
def _combined(a: Any, x: Any, b: Any, y: Any) -> Any:
    return a * x[0] + b * y[0], a * x[1] + b * y[1], a * x[2] + b * y[2]


@inlined
def _add(out: Array, i: int, factor: Any, x: Any) -> None:
    out[i, 0] += factor * x[0]
    out[i, 1] += factor * x[1]
    out[i, 2] += factor * x[2]


@compiled
def _angle_slopes(u: Any, v: Any) -> Any:
    """∂θ/∂u and ∂θ/∂v of the angle between u and v."""
    n = _cross(u, v)
    square = _dot(n, n)
    if square < _LINE:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    size = sqrt(square)
    return _times(1 / (_dot(u, u) * size), _cross(u, n)), _times(1 / (_dot(v, v) * size), _cross(n, v))


@compiled
def _cosine_sine(b1: Any, b2: Any, b3: Any) -> Any:
    n1, n2 = _cross(b1, b2), _cross(b2, b3)
    x, y = _dot(n1, n2), sqrt(_dot(b2, b2)) * _dot(b1, n2)
    size = sqrt(x * x + y * y)
    if size < _LINE:
        return 1.0, 0.0
    return x / size, y / size


@compiled
def _dihedral_slopes(b1: Any, b2: Any, b3: Any) -> Any:
    """∂φ/∂r of the first three atoms; that of the last is minus their sum. Blondel & Karplus, eq. 27."""
    n1, n2 = _cross(b1, b2), _cross(b2, b3)
    first, last = _dot(n1, n1), _dot(n2, n2)
    if first < _LINE or last < _LINE:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    length = sqrt(_dot(b2, b2))
    along, back = _dot(b1, b2) / (first * length), _dot(b3, b2) / (last * length)
    outer = length / first
    i = _times(-outer, n1)
    j = _combined(outer + along, n1, back, n2)
    k = _combined(-along, n1, -back - length / last, n2)
    return i, j, k


@compiled
def outside(n_atoms: int, terms: Array) -> bool:
    """Whether one of the terms holds the number of an atom that a structure doesn't have."""
    for t in range(terms.shape[0]):
        for k in range(terms.shape[1]):
            if terms[t, k] < 0 or terms[t, k] >= n_atoms:
                return True
    return False


@compiled
def values(low: int, high: int, x: Array, pairs: Array, angles: Array, dihedrals: Array, out: Array) -> None:
    n_pairs, n_angles = pairs.shape[0], angles.shape[0]
    for s in range(low, high):
        r, found = x[s], out[s]
        for t in range(n_pairs):
            d = _between(r, pairs[t, 0], pairs[t, 1])
            found[t] = sqrt(_dot(d, d))
        for t in range(n_angles):
            i, j, k = angles[t, 0], angles[t, 1], angles[t, 2]
            u, v = _between(r, j, i), _between(r, j, k)
            n = _cross(u, v)
            found[n_pairs + t] = atan2(sqrt(_dot(n, n)), _dot(u, v))
        for t in range(dihedrals.shape[0]):
            i, j, k, l = dihedrals[t, 0], dihedrals[t, 1], dihedrals[t, 2], dihedrals[t, 3]  # noqa: E741
            c, s_ = _cosine_sine(_between(r, i, j), _between(r, j, k), _between(r, k, l))
            place = n_pairs + n_angles + 2 * t
            found[place], found[place + 1] = c, s_


@compiled
def pullback(
    low: int, high: int, gradient: Array, x: Array, pairs: Array, angles: Array, dihedrals: Array, out: Array
) -> None:
    n_pairs, n_angles = pairs.shape[0], angles.shape[0]
    total = np.empty((x.shape[1], 3))
    for s in range(low, high):
        r, g = x[s], gradient[s]
        total[:] = 0.0
        for t in range(n_pairs):
            i, j = pairs[t, 0], pairs[t, 1]
            d = _between(r, i, j)
            slope = g[t] / sqrt(_dot(d, d))
            _add(total, i, -slope, d)
            _add(total, j, slope, d)
        for t in range(n_angles):
            i, j, k = angles[t, 0], angles[t, 1], angles[t, 2]
            first, second = _angle_slopes(_between(r, j, i), _between(r, j, k))
            slope = np.float64(g[n_pairs + t])
            _add(total, i, slope, first)
            _add(total, k, slope, second)
            _add(total, j, -slope, _combined(1.0, first, 1.0, second))
        for t in range(dihedrals.shape[0]):
            i, j, k, l = dihedrals[t, 0], dihedrals[t, 1], dihedrals[t, 2], dihedrals[t, 3]  # noqa: E741
            b1, b2, b3 = _between(r, i, j), _between(r, j, k), _between(r, k, l)
            c, s_ = _cosine_sine(b1, b2, b3)
            place = n_pairs + n_angles + 2 * t
            slope = c * g[place + 1] - s_ * g[place]
            first, second, third = _dihedral_slopes(b1, b2, b3)
            _add(total, i, slope, first)
            _add(total, j, slope, second)
            _add(total, k, slope, third)
            _add(total, l, -slope, first)
            _add(total, l, -slope, _combined(1.0, second, 1.0, third))
        out[s] = total


@compiled
def tangent(
    low: int, high: int, dot: Array, x: Array, pairs: Array, angles: Array, dihedrals: Array, out: Array
) -> None:
    n_pairs, n_angles = pairs.shape[0], angles.shape[0]
    for s in range(low, high):
        r, dr, found = x[s], dot[s], out[s]
        for t in range(n_pairs):
            i, j = pairs[t, 0], pairs[t, 1]
            d = _between(r, i, j)
            found[t] = _dot(d, _between(dr, i, j)) / sqrt(_dot(d, d))
        for t in range(n_angles):
            i, j, k = angles[t, 0], angles[t, 1], angles[t, 2]
            first, second = _angle_slopes(_between(r, j, i), _between(r, j, k))
            found[n_pairs + t] = _dot(first, _between(dr, j, i)) + _dot(second, _between(dr, j, k))
        for t in range(dihedrals.shape[0]):
            i, j, k, l = dihedrals[t, 0], dihedrals[t, 1], dihedrals[t, 2], dihedrals[t, 3]  # noqa: E741
            b1, b2, b3 = _between(r, i, j), _between(r, j, k), _between(r, k, l)
            c, s_ = _cosine_sine(b1, b2, b3)
            first, second, third = _dihedral_slopes(b1, b2, b3)
            turn = _dot(first, _between(dr, l, i)) + _dot(second, _between(dr, l, j)) + _dot(third, _between(dr, l, k))
            place = n_pairs + n_angles + 2 * t
            found[place], found[place + 1] = -s_ * turn, c * turn
