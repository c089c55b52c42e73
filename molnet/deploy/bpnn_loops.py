"""The networks of one element, there and back, in rows of atoms that stay in the processor's second cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.kernels.compiled import SOURCES, compiled, part
from molnet.kernels.dense import activate, add_product

Array = NDArray[Any]

ROWS = 128
"""So many rows are taken through a network at once."""


@compiled
def networks(
    between: tuple[int, int],
    x: Array,
    widths: Array,
    activations: Array,
    numbers: Array,
    energies: Array,
    slopes: Array,
    sources: int = SOURCES,
) -> None:
    """Adds Σ_m E_i^(m) and its derivative with respect to x_i in the rows between two.

    `numbers` are members × what `_network` reads of each.
    """
    low, high = between
    room = min(ROWS, high - low) * widths[1:].sum()
    hidden, derivatives = np.empty(room, x.dtype), np.empty(room, x.dtype)
    for m in range(numbers.shape[0]):
        for start in range(low, high, ROWS):
            rows = slice(start, min(high, start + ROWS))
            _network(x[rows], widths, activations, numbers[m], hidden, derivatives, energies[rows], slopes[rows])


@part
def _network(
    x: Array,
    widths: Array,
    activations: Array,
    numbers: Array,
    hidden: Array,
    derivatives: Array,
    energies: Array,
    slopes: Array,
) -> None:
    """One network: the numbers are weights, biases and transposed weights of layer after layer, and the readout."""
    n, last, before, at, place = x.shape[0], widths.shape[0] - 1, x, 0, 0
    for layer in range(last):
        k, width = widths[layer], widths[layer + 1]
        h, slope = _rows(hidden, place, n, width), _rows(derivatives, place, n, width)
        for i in range(n):
            for c in range(width):
                h[i, c] = numbers[at + k * width + c]
        add_product(0, n, before, _rows(numbers, at, k, width), h)
        activate((int(activations[layer, 0]), activations[layer, 1]), 0, n, h, slope)
        before, at, place = h, at + (2 * k + 1) * width, place + n * width
    _read_out(before, numbers[at:], energies, _rows(derivatives, place - n * widths[last], n, widths[last]))
    for layer in range(last, 0, -1):
        k, width = widths[layer - 1], widths[layer]
        at, place = at - k * width, place - n * width
        d_after, transposed = _rows(derivatives, place, n, width), _rows(numbers, at, width, k)
        at -= (k + 1) * width
        if layer == 1:
            add_product(0, n, d_after, transposed, slopes)
            return
        # What stood there was read for the last time.
        d_before, slope = _rows(hidden, place - n * k, n, k), _rows(derivatives, place - n * k, n, k)
        d_before[:] = 0
        add_product(0, n, d_after, transposed, d_before)
        for i in range(n):
            for c in range(k):
                slope[i, c] *= d_before[i, c]


@part
def _rows(numbers: Array, start: int, rows: int, width: int) -> Array:
    return numbers[start : start + rows * width].reshape((rows, width))


@part
def _read_out(h: Array, readout: Array, energies: Array, slopes: Array) -> None:
    """Adds the energies; the slopes of the last layer become derivatives of these."""
    for i in range(h.shape[0]):
        total = h.dtype.type(0)
        for c in range(h.shape[1]):
            total += h[i, c] * readout[c]
            slopes[i, c] *= readout[c]
        energies[i] += total
