"""Small potentials for simulations: fast, smooth, and known by a formula."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from molnet.graph import Graph
from molnet.potential import Potential


class LennardJones(Potential):
    """E = Σ_pairs 4ε[(σ/r)¹² − (σ/r)⁶] (1 − (r/cutoff)²)³ for argon-like atoms."""

    def __init__(self, epsilon: float = 0.0104, sigma: float = 3.4, cutoff: float = 6.5) -> None:
        super().__init__()
        self.epsilon, self.sigma, self.cutoff = epsilon, sigma, cutoff

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        squared = (graph.vectors**2).sum(dim=1)
        u = (squared / self.cutoff**2).clamp(max=1.0)
        attraction = (self.sigma**2 / squared) ** 3
        half = 2 * self.epsilon * (attraction**2 - attraction) * (1 - u) ** 3
        return torch.zeros_like(graph.positions[:, 0]).index_add(0, graph.centers, half)


class Springs(Potential):
    """E = Σ_i k r_i²/2 + offset·charge: atoms that hang on the origin and see nothing of each other."""

    def __init__(self, stiffness: float = 1.0) -> None:
        super().__init__()
        self.stiffness = stiffness

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        charges = graph.total_charge.index_select(0, graph.graph_index)
        return 0.5 * self.stiffness * (graph.positions**2).sum(dim=1) + charges
