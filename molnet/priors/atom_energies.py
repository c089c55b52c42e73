"""Energies of isolated atoms, the constant part of every potential."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text
from torch import Tensor

from molnet.data.labels import labels, require
from molnet.data.statistics import composition_fit, composition_matrix, species_of
from molnet.graph import Graph
from molnet.potential import Potential, SpeciesIndex, names


class AtomEnergies(Potential):
    """E_i = E₀(species of i), in eV: given, those of isolated atoms (`isolated`), or least squares (`fit`).

    They are kept as float64 numbers whatever dtype the potential around them has.
    """

    def __init__(self, species: Sequence[int], energies: Sequence[float]) -> None:
        super().__init__()
        if len(species) != len(energies):
            raise ValueError(f"{len(species)} species were given {len(energies)} atom energies; give one to each.")
        self.species, self.energies = tuple(species), tuple(energies)
        self.species_index = SpeciesIndex(species)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        table = torch.tensor(self.energies, dtype=torch.float64, device=graph.positions.device)
        return table[self.species_index(graph.species)]

    @classmethod
    def fit(cls, frames: Sequence[Atoms]) -> AtomEnergies:
        """Least squares of the energies on the composition.

        Where compositions don't vary enough to tell the atoms apart (`provenance["rank"]` below the number of species),
        only the sum over each structure means something; the solution with the smallest numbers is taken.
        Raises LabelError for a frame without energy.
        """
        require(frames, "energy")
        energies, residual = composition_fit(frames)
        fitted = cls(species_of(frames), energies.tolist())
        fitted.provenance = {
            "method": "least squares",
            "rank": int(np.linalg.matrix_rank(composition_matrix(frames))),
            "residual_rms_eV": float(np.sqrt(np.mean(residual**2))),
        }
        return fitted

    @classmethod
    def isolated(cls, frames: Sequence[Atoms]) -> AtomEnergies:
        """The energies of the frames that consist of one atom; ValueError where a species of the others has none."""
        require(frames, "energy")
        found = {int(atoms.numbers[0]): labels(atoms).energy for atoms in frames if len(atoms) == 1}
        if missing := set(species_of(frames)) - set(found):
            raise ValueError(
                f"the data hold no isolated atom of {names(sorted(missing))}; add one, or use AtomEnergies.fit."
            )
        known = cls(sorted(found), [found[z] for z in sorted(found)])
        known.provenance = {"method": "isolated atoms", "rank": len(found)}
        return known

    def __rich__(self) -> Group:
        method, rank = self.provenance.get("method", "given"), self.provenance.get("rank", len(self.species))
        table = Table("element", Column("energy in eV", justify="right"), title="Atom energies", box=SIMPLE_HEAD)
        for z, energy in zip(self.species, self.energies, strict=True):
            table.add_row(names([z]), f"{energy:,.4f}")
        note = f"{method}, rank {rank} of {len(self.species)}"
        if rank < len(self.species):
            note += ": only their sums over the compositions of the data mean something"
        return Group(table, Text(note))
