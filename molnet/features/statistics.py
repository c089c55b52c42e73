"""Internal coordinates of conformations, and their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.kernels.internal import InternalCoordinates

Terms = Sequence[Sequence[int]]


def internal_coordinates(
    conformations: Conformations, *, pairs: Terms = (), angles: Terms = (), dihedrals: Terms = ()
) -> Float[ndarray, "frames coordinates"]:
    """The distances (Å), then the angles (radians), then cos φ and sin φ of each dihedral, in each frame."""
    coordinates = coordinates_of(pairs, angles, dihedrals)
    positions = torch.from_numpy(conformations.positions.astype(np.float64))
    return coordinates(positions).numpy()


def coordinates_of(pairs: Terms, angles: Terms, dihedrals: Terms) -> InternalCoordinates:
    """The operation for the terms of one molecule."""
    lists = ((pairs, 2), (angles, 3), (dihedrals, 4))
    return InternalCoordinates(*(torch.tensor(list(terms), dtype=torch.long).reshape(-1, k) for terms, k in lists))


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean, standard deviation and range of each feature, in its unit; `rich` prints the table."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    mean: Float[ndarray, " features"]
    std: Float[ndarray, " features"]
    min: Float[ndarray, " features"]
    max: Float[ndarray, " features"]

    def __rich__(self) -> Table:
        numbers = [Column(name, justify="right") for name in ("mean", "std", "min", "max")]
        table = Table("feature", "unit", *numbers, title="Features", box=SIMPLE_HEAD)
        columns = (self.mean, self.std, self.min, self.max)
        for name, unit, *values in zip(self.names, self.units, *columns, strict=True):
            table.add_row(name, unit, *(f"{value:.4f}" for value in values))
        return table


def feature_statistics(
    conformations: Conformations,
    *,
    pairs: Terms | None = None,
    angles: Terms | None = None,
    dihedrals: Terms | None = None,
) -> FeatureStatistics:
    """Statistics over the frames; without a choice, of all pairs of beads and the molecule's angles and dihedrals."""
    molecule = conformations.molecule
    pairs = all_pairs(molecule) if pairs is None else pairs
    angles = molecule.angles if angles is None else angles
    dihedrals = molecule.dihedrals if dihedrals is None else dihedrals
    values = internal_coordinates(conformations, pairs=pairs, angles=angles, dihedrals=dihedrals)
    named = [(_name(molecule, term), "Å") for term in pairs]
    named += [(_name(molecule, term), "rad") for term in angles]
    named += [(f"{function} {_name(molecule, term)}", "") for term in dihedrals for function in ("cos", "sin")]
    names, units = zip(*named, strict=True) if named else ((), ())
    return FeatureStatistics(
        names, units, values.mean(axis=0), values.std(axis=0), values.min(axis=0), values.max(axis=0)
    )


def all_pairs(molecule: Molecule) -> list[tuple[int, int]]:
    """All pairs of beads i < j: (0, 1), (0, 2), …, (1, 2), …"""
    return list(combinations(range(len(molecule)), 2))


def _name(molecule: Molecule, term: Sequence[int]) -> str:
    return "–".join(f"{molecule.names[bead]}{bead + 1}" for bead in term)
