"""The repulsion of beads that the topology doesn't connect."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import inf

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from rich.console import Group
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.data.topology import TERMS
from molnet.features.statistics import all_pairs, internal_coordinates
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.potential import Potential
from molnet.priors.samples import by_types, fit_table, provenance
from molnet.priors.types import TypeIndex
from molnet.units import KB

_SHORTEST = 1e-3
"""Which part of the distances counts as the shortest ones; the very shortest is chance."""
_REACH = 2.0
"""The cutoff in multiples of the longest of the shortest distances."""


class Repulsion(Potential):
    """E_i = ½ Σ_j (σ_ij/r_ij)^p f(r_ij/R), in eV, over the pairs that no bond, angle or dihedral holds both of.

    σ (Å) by the types of both atoms, the envelope f(u) = 1 − 10u³ + 15u⁴ − 6u⁵, and R the cutoff (Å). A pair of types
    and its reverse are the same; one without σ raises UnknownSpecies.
    """

    table: Tensor

    def __init__(
        self, types: Sequence[Sequence[int]], sigmas: Sequence[float], cutoff: float, *, exponent: int = 6
    ) -> None:
        super().__init__()
        self.types, self.sigmas = tuple(tuple(pair) for pair in types), tuple(sigmas)
        if not 0 < cutoff < inf or exponent < 1 or len(sigmas) != len(types) or min(sigmas, default=1) <= 0:
            raise ValueError(
                f"{len(types)} pairs of types have the sigmas {self.sigmas}, with the cutoff {cutoff} and the exponent "
                f"{exponent}; expected a positive number for each, a positive cutoff and 1 or more."
            )
        self.cutoff, self.exponent = cutoff, exponent
        self.index = TypeIndex(types, 2, "pair")
        self.register_buffer("table", torch.tensor(self.sigmas, dtype=torch.float64), persistent=False)
        self._free = Kept(self._free_edges, fields=("species", "edges", *TERMS))

    @classmethod
    def fit(cls, conformations: Conformations, *, exponent: int = 6) -> Repulsion:
        """Repulsion that is kT at the shortest distances of each pair of types, of which one in 1,000 is shorter.

        It ends at twice the longest of these. Raises ValueError where every pair is in a bond, angle or dihedral.
        """
        pairs = free_pairs(conformations.molecule)
        if not pairs or not len(conformations):
            raise ValueError(f"there are {len(pairs)} pairs of free beads in {len(conformations)} frames; none repel.")
        found = by_types(conformations, pairs, internal_coordinates(conformations, pairs=pairs))
        shortest = [float(np.quantile(values, _SHORTEST)) for values in found.values()]
        cutoff, kT = _REACH * max(shortest), KB * conformations.temperature
        sigmas = [r * (kT / envelope(r / cutoff)) ** (1 / exponent) for r in shortest]
        fitted = cls(list(found), sigmas, cutoff, exponent=exponent)
        rows = [{"samples": len(values), "shortest": r} for values, r in zip(found.values(), shortest, strict=True)]
        fitted.provenance = provenance(conformations, rows)
        return fitted

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        free, sigmas = self._free.of(graph, graph.positions.dtype)
        r, pairs = graph.distances.index_select(0, free), graph.edges.index_select(1, free)
        u = (r / self.cutoff).clamp(max=1.0)
        energies = 0.5 * (sigmas / r) ** self.exponent * envelope(u)
        return energies.new_zeros(graph.n_atoms).index_add(0, pairs[0], energies)

    def _free_edges(self, graph: Graph, dtype: torch.dtype) -> tuple[Int[Tensor, " free"], Float[Tensor, " free"]]:
        """The edges that repel, and the σ of each."""
        free = (~connected(graph)).nonzero().squeeze(1)
        places = self.index(graph.species, graph.edges.index_select(1, free))
        return free, self.table.to(dtype).index_select(0, places)

    def profile(self, types: Sequence[int], r: Float[ndarray, " points"]) -> Float[ndarray, " points"]:
        """The energy (eV) of a pair of these types at r (Å)."""
        sigma = self.sigmas[self.index.place(types)]
        return np.where(r < self.cutoff, (sigma / r) ** self.exponent * envelope(r / self.cutoff), 0.0)

    def __rich__(self) -> Group:
        columns = {"σ (Å)": self.sigmas}
        return fit_table(f"Repulsion, p = {self.exponent}", self.types, columns, self.provenance)


def envelope(u):  # type: ignore[no-untyped-def]  # of an array or a tensor
    """1 − 10u³ + 15u⁴ − 6u⁵, which has two zero derivatives at 0 and 1."""
    return 1 + u**3 * (-10 + u * (15 - 6 * u))


def connected(graph: Graph) -> Bool[Tensor, " edges"]:
    """The edges between atoms of the same bond, angle or dihedral, as the positions stand."""
    terms = [getattr(graph, name)[[a, b]] for name, k in TERMS.items() for a, b in combinations(range(k), 2)]
    held = torch.cat([torch.cat(terms, dim=1), torch.cat(terms, dim=1).flip(0)], dim=1)
    within = ~graph.shifts.any(dim=1)
    return torch.isin(_key(graph.edges, graph), _key(held, graph)) & within


def _key(pairs: Int[Tensor, "2 pairs"], graph: Graph) -> Int[Tensor, " pairs"]:
    return pairs[0] * graph.n_atoms + pairs[1]


def free_pairs(molecule: Molecule) -> list[tuple[int, int]]:
    """The pairs of beads that aren't in one bond, angle or dihedral."""
    terms = [sorted(term) for name in TERMS for term in getattr(molecule, name)]
    held = {pair for term in terms for pair in combinations(term, 2)}
    return [pair for pair in all_pairs(molecule) if pair not in held]
