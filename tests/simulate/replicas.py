"""Small molecules and potentials for replicas, known by their formulas."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from molnet.data.molecule import Molecule
from molnet.graph import Graph
from molnet.potential import Potential
from molnet.simulate import State


class Bonds(Potential):
    """E = Σ_bonds k(r − r₀)²/2, half on each bead; its weight gives it a precision."""

    def __init__(self, stiffness: float = 10.0, length: float = 1.5) -> None:
        super().__init__()
        self.stiffness, self.length = torch.nn.Parameter(torch.tensor(stiffness)), length

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        first, second = graph.bonds
        vectors = graph.positions.index_select(0, second) - graph.positions.index_select(0, first)
        energies = 0.25 * self.stiffness * (vectors.norm(dim=1) - self.length) ** 2
        return torch.zeros_like(graph.positions[:, 0]).index_add(0, graph.bonds.flatten(), energies.repeat(2))


def chain(n: int = 3) -> Molecule:
    names = [f"B{i}" for i in range(n)]
    return Molecule.bonded(names, [12.0 + i for i in range(n)], bonds=[(i, i + 1) for i in range(n - 1)])


def chains(replicas: int, *, beads: int = 3, dtype: type = np.float64, temperatures=300.0, seed: int = 5) -> State:
    """Chains along x, each with its bonds at their length."""
    positions = np.zeros((replicas, beads, 3), dtype=dtype)
    positions[..., 0] = 1.5 * np.arange(beads)
    return State.start(chain(beads), positions, temperatures=temperatures, seed=seed)


def springs(stiffness: float):
    """Beads that hang on the origin, without torch: U = k r²/2."""

    def forces(positions):
        return 0.5 * stiffness * (positions.astype(np.float64) ** 2).sum(axis=(1, 2)), -stiffness * positions

    return forces


def beads(replicas: int, n: int = 1, *, temperatures=300.0, dtype: type = np.float64, mass: float = 20.0) -> State:
    molecule = Molecule.bonded([f"B{i}" for i in range(n)], [mass] * n, bonds=[])
    return State.start(molecule, np.zeros((replicas, n, 3), dtype=dtype), temperatures=temperatures, seed=1)
