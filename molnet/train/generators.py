"""Boltzmann generators of molecules: the energy of a potential as a function that flows can learn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from molnet.data.molecule import Molecule
from molnet.evaluation import refuse_unfit
from molnet.features.zmatrix import UnboundedCoordinates
from molnet.potential import Potential
from molnet.units import KB


@dataclass(frozen=True, eq=False)
class ReducedEnergy:
    """u(x) = E(r(x))/kT − ln |det ∂r/∂x| of a molecule's internal coordinates, for `BoltzmannGenerator`.

    exp(−u) is then the Boltzmann distribution of the potential at the temperature (K), whatever the coordinates.
    Raises ValueError where the coordinates are another molecule's, and UnknownSpecies where the potential is.
    """

    potential: Potential
    molecule: Molecule
    coordinates: UnboundedCoordinates
    temperature: float

    def __post_init__(self) -> None:
        beads, expected = len(self.coordinates.matrix.rows), len(self.molecule)
        if beads != expected:
            raise ValueError(f"the coordinates are those of {beads} beads; the molecule has {expected}.")
        positions = self.coordinates.positions(torch.zeros((1, self.coordinates.features)))[0]
        refuse_unfit(self.potential, self.molecule.graph(positions, cutoff=self.potential.cutoff))

    def __call__(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
        positions, log_det = self.coordinates.positions(x)
        graph = self.molecule.graph(positions.to(self.potential.dtype), cutoff=self.potential.cutoff)
        energy = graph.sum_atoms(self.potential(graph)) / (KB * self.temperature)
        return energy.to(x.dtype) - log_det
