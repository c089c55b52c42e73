"""What the symmetry functions of one graph share: neighbours, pairs of neighbours, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from molnet.features.cutoffs import CutoffFunction


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The neighbours of all atoms, sorted by center; `elements` counts the elements of neighbours from zero."""

    vectors: Float[Tensor, "edges 3"]
    distances: Float[Tensor, " edges"]
    centers: Int[Tensor, " edges"]
    elements: Int[Tensor, " edges"]
    n_atoms: int
    n_elements: int
    cutoff_function: CutoffFunction

    def within(self, cutoff: float) -> Neighbors:
        """The neighbours nearer than the cutoff (Å)."""
        kept = (self.distances.detach() < cutoff).nonzero().squeeze(1)
        return replace(
            self,
            vectors=self.vectors.index_select(0, kept),
            distances=self.distances.index_select(0, kept),
            centers=self.centers[kept],
            elements=self.elements[kept],
        )

    def envelope(self, cutoff: float) -> Float[Tensor, " edges"]:
        return self.cutoff_function(self.distances, cutoff)

    def sum_by_element(self, values: Float[Tensor, "edges n"]) -> Float[Tensor, "atoms elements n"]:
        """Σ_j over the neighbours j of each element."""
        rows = self.centers * self.n_elements + self.elements
        total = values.new_zeros((self.n_atoms * self.n_elements, values.shape[1]))
        return total.index_add(0, rows, values).unflatten(0, (self.n_atoms, self.n_elements))

    def element_pairs(self) -> Int[Tensor, "2 pairs"]:
        """The unordered pairs of elements (a, b), a ≤ b: (0, 0), (0, 1), …, (1, 1), …"""
        return torch.triu_indices(self.n_elements, self.n_elements, device=self.centers.device)

    def pairs(self) -> Pairs:
        """All pairs of neighbours j < k of each atom."""
        return Pairs(self, *pairs_within(self.centers))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of neighbours j < k of one center: the places of both among all the neighbours."""

    near: Neighbors
    first: Int[Tensor, " triplets"]
    second: Int[Tensor, " triplets"]

    def both(self, values: Float[Tensor, "edges ..."]) -> tuple[Tensor, Tensor]:
        """The values of j and of k."""
        return values.index_select(0, self.first), values.index_select(0, self.second)

    def cosines(self) -> Float[Tensor, " triplets"]:
        """cos θ_jik."""
        u, v = self.both(self.near.vectors / self.near.distances.unsqueeze(1))
        return (u * v).sum(1)

    def sum_by_elements(self, values: Float[Tensor, "triplets n"]) -> Float[Tensor, "atoms pairs n"]:
        """Σ_{j<k} over the pairs of neighbours of each unordered pair of elements."""
        near, n = self.near, self.near.n_elements
        a, b = near.element_pairs()
        table = torch.zeros((n, n), dtype=torch.long, device=a.device)
        table[a, b] = table[b, a] = torch.arange(a.shape[0], device=a.device)
        pair = table[near.elements[self.first], near.elements[self.second]]
        total = values.new_zeros((near.n_atoms * a.shape[0], values.shape[1]))
        total = total.index_add(0, near.centers[self.first] * a.shape[0] + pair, values)
        return total.unflatten(0, (near.n_atoms, a.shape[0]))


def pairs_within(groups: Int[Tensor, " n"]) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """The places e < f of all pairs of members of the same group; `groups` is sorted."""
    ends = torch.bincount(groups).cumsum(0)[groups]
    member = torch.arange(groups.shape[0], device=groups.device)
    partners = ends - 1 - member
    first = member.repeat_interleave(partners)
    start = partners.cumsum(0) - partners
    return first, first + 1 + torch.arange(first.shape[0], device=groups.device) - start[first]
