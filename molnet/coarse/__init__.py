"""From all-atom trajectories to beads: maps of positions and forces, with the units and constraints checked."""

from molnet.coarse.arrays import read_arrays
from molnet.coarse.beads import BeadMap, centers, linear, slices
from molnet.coarse.checks import implied_temperature
from molnet.coarse.constraints import bonds_to_hydrogen
from molnet.coarse.forces import ForceMap, Optimal, Slice
from molnet.coarse.mapped import Mapped
from molnet.coarse.mapping import coarse_grain
from molnet.coarse.selections import PRESETS

__all__ = [
    "PRESETS",
    "BeadMap",
    "ForceMap",
    "Mapped",
    "Optimal",
    "Slice",
    "bonds_to_hydrogen",
    "centers",
    "coarse_grain",
    "implied_temperature",
    "linear",
    "read_arrays",
    "slices",
]
