"""ZBL for use: where no pair is close, it costs one comparison."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from molnet.deploy.kept import Kept
from molnet.graph import Graph
from molnet.potential import Potential
from molnet.priors import ZBL


class CompiledZBL(Potential):
    """The same energies, zero at once while no pair is nearer than its radius."""

    def __init__(self, zbl: ZBL) -> None:
        super().__init__()
        self.species, self.cutoff, self.provenance = zbl.species, zbl.cutoff, zbl.provenance
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
