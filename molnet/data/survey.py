"""A data set as flat arrays: what its inspection computes with, gathered in one pass over the structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from molnet.data.labels import LabelError, Labels, labels


@dataclass(frozen=True)
class Survey:
    """The structures of a data set, one after the other, with their labels (eV, eV/Å, eV/Å³; NaN where missing)."""

    frames: Sequence[Atoms]
    sizes: Int[ndarray, " frames"]
    numbers: Int[ndarray, " atoms"]
    forces: Float[ndarray, "atoms 3"]
    energy: Float[ndarray, " frames"]
    stress: Float[ndarray, "frames 3 3"]
    cells: Float[ndarray, "frames 3 3"]
    pbc: Bool[ndarray, "frames 3"]
    unreadable: dict[int, str]

    @cached_property
    def owner(self) -> Int[ndarray, " atoms"]:
        """The structure that each atom belongs to."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def starts(self) -> Int[ndarray, " frames"]:
        """The first atom of each structure."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def formulas(self) -> list[str]:
        return [atoms.get_chemical_formula() for atoms in self.frames]

    @cached_property
    def volumes(self) -> Float[ndarray, " frames"]:
        """Å³; NaN where a structure isn't periodic in all directions or its cell has no volume."""
        volumes = np.abs(np.linalg.det(self.cells))
        return np.where(self.pbc.all(axis=1) & (volumes > 0), volumes, np.nan)

    @cached_property
    def labeled(self) -> dict[str, Bool[ndarray, " frames"]]:
        """By label: which structures have it, all of it finite."""
        return {
            "energy": np.isfinite(self.energy),
            "forces": self.per_frame(~np.isfinite(self.forces).all(axis=1)) == 0,
            "stress": np.isfinite(self.stress).all(axis=(1, 2)),
        }

    @cached_property
    def finite_forces(self) -> Float[ndarray, "atoms 3"]:
        """eV/Å; zero where a component is missing or isn't finite."""
        return np.nan_to_num(self.forces, posinf=0.0, neginf=0.0)

    @cached_property
    def largest_force(self) -> Float[ndarray, " frames"]:
        """The largest |F| of each structure, eV/Å; NaN without forces."""
        largest = np.zeros(len(self.sizes))
        np.maximum.at(largest, self.owner, np.linalg.norm(self.finite_forces, axis=1))
        return np.where(self.labeled["forces"], largest, np.nan)

    @cached_property
    def species(self) -> Int[ndarray, " species"]:
        return np.unique(self.numbers)

    @cached_property
    def counts(self) -> Int[ndarray, "frames species"]:
        """How many atoms of each species a structure has."""
        counts = np.zeros((len(self.sizes), len(self.species)), dtype=int)
        np.add.at(counts, (self.owner, np.searchsorted(self.species, self.numbers)), 1)
        return counts

    def per_frame(self, values: Shaped[ndarray, " atoms"]) -> Float[ndarray, " frames"]:
        """The sum of an atomic quantity over each structure."""
        return np.bincount(self.owner, values, minlength=len(self.sizes))

    def forces_of(self, frame: int) -> Float[ndarray, "atoms 3"]:
        return self.forces[self.starts[frame] : self.starts[frame] + self.sizes[frame]]


def survey(frames: Sequence[Atoms]) -> Survey:
    """Gather structures and labels; labels of a wrong shape count as missing and are noted in `unreadable`."""
    found, unreadable = [], {}
    for index, atoms in enumerate(frames):
        try:
            found.append(labels(atoms))
        except LabelError as error:
            unreadable[index] = str(error)
            found.append(Labels(np.nan, np.full((len(atoms), 3), np.nan), np.full((3, 3), np.nan)))
    return Survey(
        frames=frames,
        sizes=np.array([len(atoms) for atoms in frames]),
        numbers=np.concatenate([atoms.numbers for atoms in frames]),
        forces=np.concatenate([each.forces for each in found]),
        energy=np.array([each.energy for each in found]),
        stress=np.array([each.stress for each in found]),
        cells=np.array([atoms.cell.array for atoms in frames]),
        pbc=np.array([atoms.pbc for atoms in frames]),
        unreadable=unreadable,
    )
