"""Potentials whose energies and forces are known by hand, and labelled frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms

from molnet.data.labels import set_labels
from molnet.graph import Graph
from molnet.potential import Potential


class Wells(Potential):
    """E_i = offset + k/2 |r_i|², so that F_i = −k r_i."""

    def __init__(self, k: float = 2.0, offset: float = 0.0) -> None:
        super().__init__()
        self.k, self.offset = k, offset

    def forward(self, graph: Graph) -> torch.Tensor:
        return self.offset + 0.5 * self.k * (graph.positions**2).sum(dim=1)


class Soft(Potential):
    """E = height · (1 − r/cutoff)³ for a pair, plus a constant for each atom."""

    def __init__(self, height: float = 5.0, species: Sequence[int] = (1, 8), cutoff: float = 3.0) -> None:
        super().__init__()
        self.height, self.species, self.cutoff = height, tuple(species), cutoff

    def forward(self, graph: Graph) -> torch.Tensor:
        x = (1 - graph.vectors.norm(dim=1) / self.cutoff).clamp(min=0)
        alone = -10.0 * graph.species.double()
        return alone.index_add(0, graph.centers, 0.5 * self.height * x**3)


def labelled(seed: int, formulas: Sequence[str]) -> list[Atoms]:
    """Molecules with energies near those of `Wells(2.0)` and forces near its own."""
    rng = np.random.default_rng(seed)
    frames = []
    for number, formula in enumerate(formulas):
        atoms = Atoms(formula)
        atoms.positions = rng.normal(size=(len(atoms), 3))
        energy = float((atoms.positions**2).sum()) + 0.1 * rng.normal()
        set_labels(atoms, energy, forces=-2 * atoms.positions + 0.1 * rng.normal(size=(len(atoms), 3)))
        atoms.info |= {"source": "toy.xyz", "frame": 10 * number}
        frames.append(atoms)
    return frames
