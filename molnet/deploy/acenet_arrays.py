"""What the loops of the compiled ACENet read and write, and places to work in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from molnet.deploy.pool import Pool
from molnet.deploy.schnet_loops import COLUMNS
from molnet.kernels import sphere_loops
from molnet.kernels.tiles import ROWS as TILE

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Grid = tuple[float, int]

HARMONICS = 16
ROWS = 24
"""Atoms of a block."""
CHUNK = 2 * TILE
"""Edges that pass through the products at a time."""


class Weights(NamedTuple):
    """By layer and then as in `models.acenet`; in `backward` the matrices are transposed."""

    control_points: Array
    mix: Array
    gate: Array
    gate_bias: Array
    update: Array
    inner: Array
    inner_bias: Array
    outer: Array
    outer_bias: Array
    project: Array
    readout: Array
    readout_bias: Array
    linear: Array
    last: Array


class Work(NamedTuple):
    """What `forward` keeps for `backward`, and features and the readout's hidden layer."""

    splines: Array
    first: Array
    harmonics: Array
    numbers: Array
    ends: Array
    told: Array
    functions: Array
    moments: Array
    factors: Array
    slopes: Array
    readout_slopes: Array
    features: Array
    readout: Array


class Space(NamedTuple):
    """Places for one atom, some of its edges or one block, for each part of the atoms."""

    density: Array
    told: Array
    heard: Array
    turned: Array
    by_edge: Array
    coupled: Array
    functions: Array
    gated: Array
    moments: Array
    factors: Array
    hidden: Array


class Gradients(NamedTuple):
    """With respect to features, what atoms tell (part by part), the readout's hidden layer, distances and harmonics."""

    features: Array
    told: Array
    readout: Array
    distance: Array
    harmonics: Array


class Couplings(NamedTuple):
    """Entries (first row of the degree, component, slots, slot, harmonic, component told), and slots of each degree."""

    entries: Array
    weights: Array
    slots: Array


Tables = tuple[tuple[Couplings, Couplings], sphere_loops.Tables]
"""Couplings of the first layer and of the others, and the quadrature."""


Shapes = dict[str, tuple[int, ...]]


def pools(
    sizes: tuple[int, int, int, int], edges: int, hidden: int, slots: Array, n_parts: int, dtype: torch.dtype
) -> tuple[Pool, Pool, Pool]:
    """What `forward` keeps, spaces of the parts, and what `backward` works in.

    The sizes are layers, atoms, channels and the width of all powers.
    """
    # Products of whole tiles end behind the last edge.
    places = edges + TILE
    work, gradients = _work(sizes, places, hidden), _gradients(sizes, places, hidden, n_parts)
    space, whole = _space(sizes, slots), ("first", "numbers", "ends")
    return (
        Pool([(work[name], torch.long if name in whole else dtype) for name in Work._fields]),
        Pool([((n_parts, *space[name]), dtype) for name in Space._fields]),
        Pool([(gradients[name], dtype) for name in Gradients._fields]),
    )


def _work(sizes: tuple[int, int, int, int], places: int, hidden: int) -> Shapes:
    layers, atoms, F, width = sizes
    return {
        "splines": (places, COLUMNS),
        "first": (places,),
        "harmonics": (places, HARMONICS),
        "numbers": (places, 3),
        "ends": (atoms,),
        "told": (layers, 4, atoms, F),
        "functions": (layers, atoms * HARMONICS * F),
        "moments": (layers, atoms * 4 * width),
        "factors": (layers, atoms, width),
        "slopes": (layers, atoms, F),
        "readout_slopes": (atoms, hidden),
        "features": (4, atoms, F),
        "readout": (atoms, hidden),
    }


def _space(sizes: tuple[int, int, int, int], slots: Array) -> Shapes:
    _, atoms, F, width = sizes
    rows, coupled = min(ROWS, max(atoms, 1)), int((slots * np.arange(1, 8, 2)).sum())
    return {
        "density": (HARMONICS * 4 * F,),
        "told": (CHUNK * 4 * F,),
        "heard": (CHUNK * 4 * F,),
        "turned": (max(4 * F, CHUNK) * HARMONICS,),
        "by_edge": (CHUNK, HARMONICS),
        "coupled": (rows * coupled * F,),
        "functions": (rows * HARMONICS * F,),
        "gated": (rows * 4 * width,),
        "moments": (rows * 4 * width,),
        "factors": (rows * width,),
        "hidden": (rows * F,),
    }


def _gradients(sizes: tuple[int, int, int, int], places: int, hidden: int, n_parts: int) -> Shapes:
    layers, atoms, F, _ = sizes
    return {
        "features": (4, atoms, F),
        "told": (layers - 1, n_parts, 4, atoms, F),
        "readout": (atoms, hidden),
        "distance": (places,),
        "harmonics": (places, HARMONICS),
    }
