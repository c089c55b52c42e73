"""Priors for use: one comparison while no pair is close, and atom energies looked up once."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from molnet.deploy.kept import Kept
from molnet.graph import Graph
from molnet.potential import Potential
from molnet.priors import ZBL, AtomEnergies


class CompiledAtomEnergies(Potential):
    """The same energies, looked up when the atoms change."""

    def __init__(self, atom_energies: AtomEnergies) -> None:
        super().__init__()
        self.species = atom_energies.species
        self.atom_energies = atom_energies
        self._found = Kept(self._look_up)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        return self._found.of(graph, torch.float64).clone()

    def _look_up(self, graph: Graph, _: torch.dtype) -> Float[Tensor, " atoms"]:
        return self.atom_energies(graph)


class CompiledZBL(Potential):
    """The same energies, zero at once while no pair is nearer than its radius."""

    def __init__(self, zbl: ZBL) -> None:
        super().__init__()
        self.species, self.cutoff = zbl.species, zbl.cutoff
        self.zbl = zbl
        self._squared_radii = Kept(self._look_up)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        vectors = graph.vectors
        with torch.no_grad():
            squared = vectors.detach().square().sum(dim=1)
            close = bool((squared < self._squared_radii.of(graph, squared.dtype)).any())
        return self.zbl(graph) if close else graph.positions.new_zeros(graph.n_atoms)

    def _look_up(self, graph: Graph, dtype: torch.dtype) -> Float[Tensor, " edges"]:
        kind = self.zbl.species_index(graph.species)
        return self.zbl.pair_radii[kind[graph.centers], kind[graph.neighbors]].to(dtype).square()
