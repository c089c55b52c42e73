"""The linear pieces of networks of ReLUs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from molnet.nn.activations import LeakyReLU, ReLU
from molnet.nn.mlp import MLP

_ROUNDING = 1e-12


def linear_regions(network: MLP, corners: Float[Tensor, "corners inputs"]) -> list[Float[ndarray, "_ inputs"]]:
    """The parts of a segment or a flat convex polygon, by their corners, on which a network of ReLUs is linear.

    Layer by layer, each part is cut where a unit's input is zero; every part is linear, so that is exact. The length of
    the list is the number of activation patterns that occur. `corners` are two points of the input space, or the
    corners of a polygon in their order. Raises ValueError for other activations, norms, and fewer than two corners.
    Source: Montúfar et al., NeurIPS 2014; Hanin & Rolnick, ICML 2019.
    """
    activations = [each for each in network.activations if isinstance(each, ReLU | LeakyReLU)]
    if len(activations) < len(network.activations) or network.norms is not None:
        raise ValueError(f"regions are counted for an MLP of ReLU or LeakyReLU without norms; found {network}.")
    if len(corners) < 2:
        raise ValueError(f"regions need a segment's two ends or a polygon's corners; found {len(corners)}.")
    points = corners.detach().double().numpy()
    parts = [(points, points)]  # corners in the input space, and what the layers so far make of them
    for layer, activation in zip(network.layers, activations, strict=False):
        weight, bias = (layer.get_parameter(p).detach().double().numpy() for p in ("weight", "bias"))
        cut = [piece for start, values in parts for piece in _cut(start, values @ weight.T + bias)]
        parts = [(start, _activated(activation, values)) for start, values in cut]
    return [start for start, _ in parts]


def _cut(points: ndarray, values: ndarray) -> list[tuple[ndarray, ndarray]]:
    """One part, cut by the zero lines of all units."""
    parts = [(points, values)]
    for unit in range(values.shape[1]):
        parts = [half for part in parts for half in _halves(*part, unit)]
    return parts


def _halves(points: ndarray, values: ndarray, unit: int) -> list[tuple[ndarray, ndarray]]:
    height = values[:, unit]
    tiny = _ROUNDING * (1 + np.abs(values).max())
    if not (height.min() < -tiny and height.max() > tiny):
        return [(points, values)]
    both = np.concatenate([points, values], axis=1)
    # A segment has one edge; a polygon also one from its last corner to the first.
    edges = [(i, (i + 1) % len(both)) for i in range(len(both) if len(both) > 2 else 1)]
    sides: tuple[list[ndarray], list[ndarray]] = ([], [])
    for corner in range(len(both)):
        for side, sign in zip(sides, (-1, 1), strict=True):
            if sign * height[corner] >= 0:
                side.append(both[corner])
        for a, b in (edge for edge in edges if edge[0] == corner):
            if height[a] * height[b] < 0:
                crossing = both[a] + (both[b] - both[a]) * height[a] / (height[a] - height[b])
                crossing[points.shape[1] + unit] = 0.0
                for side in sides:
                    side.append(crossing)
    return [(found[:, : points.shape[1]], found[:, points.shape[1] :]) for found in map(np.array, sides)]


def _activated(activation: ReLU | LeakyReLU, values: ndarray) -> ndarray:
    # A cut leaves a corner's value at zero up to rounding; the whole part takes the side of its middle.
    slope = activation.alpha if isinstance(activation, LeakyReLU) else 0.0
    return values * np.where(values.mean(axis=0) > 0, 1.0, slope)
