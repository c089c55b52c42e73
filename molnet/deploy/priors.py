"""Priors for use: a list of close pairs only, and atom energies looked up once."""

from __future__ import annotations

from dataclasses import replace

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
    """The same energies, of the pairs that are nearer than their radii, and no others."""

    def __init__(self, zbl: ZBL) -> None:
        super().__init__()
        self.species, self.cutoff = zbl.species, zbl.cutoff
        self.zbl = zbl
        self._squared_radii = Kept(self._look_up)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        vectors = graph.vectors
        with torch.no_grad():
            squared = vectors.detach().square().sum(dim=1)
            near = squared < self._squared_radii.of(graph, squared.dtype)
            if not near.any():
                return graph.positions.new_zeros(graph.n_atoms)
            close = near.nonzero().squeeze(1)
            edges, shifts = graph.edges.index_select(1, close), graph.shifts.index_select(0, close)
        return self.zbl(replace(graph, edges=edges, shifts=shifts))

    def _look_up(self, graph: Graph, dtype: torch.dtype) -> Float[Tensor, " edges"]:
        kind = self.zbl.species_index(graph.species)
        return self.zbl.pair_radii[kind[graph.centers], kind[graph.neighbors]].to(dtype).square()
