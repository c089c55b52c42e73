"""Energies of priors from internal coordinates, and the slopes of their terms, as compiled loops over structures."""

from __future__ import annotations

from math import atan2, cos, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import compiled

Array = NDArray[Any]


@compiled
def energies(
    low: int,
    high: int,
    values: Array,
    terms: tuple[Array, Array],
    tables: tuple[Array, Array, Array],
    out: Array,
    slopes: Array,
) -> None:
    """Adds the terms' energies to atoms in equal parts, and writes ∂E/∂q, of dihedrals ∂E/∂φ.

    Terms are the columns of their values and their atoms, of which those below zero don't count. The first ones are
    harmonic with k and q₀, then periodic with a_n and b_n, then repulsive with σ, 1/R and p.
    """
    (columns, members), (harmonic, periodic, repulsive) = terms, tables
    n_harmonic, n_periodic = harmonic.shape[0], periodic.shape[0]
    for s in range(low, high):
        for t in range(columns.shape[0]):
            q = np.float64(values[s, columns[t]])
            energy, slope = 0.0, 0.0
            if t < n_harmonic:
                away = q - harmonic[t, 1]
                slope = harmonic[t, 0] * away
                energy = 0.5 * slope * away
            elif t < n_harmonic + n_periodic:
                table = periodic[t - n_harmonic]
                phi = atan2(np.float64(values[s, columns[t] + 1]), q)
                for n in range(table.shape[0]):
                    c, d = cos((n + 1) * phi), sin((n + 1) * phi)
                    energy += table[n, 0] * c + table[n, 1] * d
                    slope += (n + 1) * (table[n, 1] * c - table[n, 0] * d)
            else:
                row = t - n_harmonic - n_periodic
                sigma, inverse, power = repulsive[row, 0], repulsive[row, 1], repulsive[row, 2]
                u = q * inverse
                if u < 1:
                    bare = (sigma / q) ** power
                    envelope = 1 + u**3 * (-10 + u * (15 - 6 * u))
                    energy = bare * envelope
                    slope = -power / q * energy - bare * 30 * u**2 * (1 - u) ** 2 * inverse
            slopes[s, t] = slope
            size = 0
            for m in range(4):
                size += members[t, m] >= 0
            for m in range(size):
                out[s, members[t, m]] += energy / size


@compiled
def weigh(
    low: int,
    high: int,
    slopes: Array,
    d_energies: Array,
    values: Array,
    terms: tuple[Array, Array],
    periodic: tuple[int, int],
    out: Array,
) -> None:
    """Adds to ∂L/∂values what the terms give, with the mean ∂L/∂E of their atoms."""
    columns, members = terms
    for s in range(low, high):
        for t in range(columns.shape[0]):
            size, weight, column = 0, 0.0, columns[t]
            for m in range(4):
                if members[t, m] >= 0:
                    size += 1
                    weight += d_energies[s, members[t, m]]
            slope = slopes[s, t] * weight / size
            if periodic[0] <= t < periodic[1]:
                out[s, column] -= slope * values[s, column + 1]
                out[s, column + 1] += slope * values[s, column]
            else:
                out[s, column] += slope
