"""Sums over neighbours of atoms and pairs of these: the plain-torch reference, differentiable to any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb, pi

import torch
from jaxtyping import Float, Int
from torch import Tensor

from molnet.kernels.density import spherical_harmonics
from molnet.kernels.terms import DENSITIES, PAIRS, WAVES, Terms


def environment_reference(
    vectors: Float[Tensor, "edges 3"],
    edges: Int[Tensor, "2 edges"],
    elements: Int[Tensor, " atoms"],
    blocks: Sequence[Terms],
    envelope: int,
    n_elements: int,
) -> Float[Tensor, "atoms features"]:
    """The sums of all blocks, one after the other."""
    near = Neighbors(
        vectors, vectors.norm(dim=1), edges[0], elements[edges[1]], elements.shape[0], n_elements, envelope
    )
    kinds = {DENSITIES: density_sums, PAIRS: pair_sums}
    return torch.cat([kinds.get(b.kind, shell_sums)(near.within(b.cutoff), b).flatten(1) for b in blocks], dim=1)


def envelope_values(r: Float[Tensor, " n"], cutoff: float, envelope: int) -> Float[Tensor, " n"]:
    """The cutoff function of a number: 0 is the cosine, −1 the tanh³, n ≥ 1 the polynomial with n derivatives."""
    x = (r / cutoff).clamp(max=1.0)
    if envelope == 0:
        return 0.5 * (pi * x).cos() + 0.5
    if envelope == -1:
        return (1 - x).tanh().pow(3)
    n = envelope
    total = comb(2 * n, n) * x + comb(2 * n - 1, n - 1)
    for k in reversed(range(n - 1)):
        total = total * x + comb(n + k, k)
    return (1 - x).pow(n + 1) * total


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The neighbours of all atoms, sorted by center; `elements` counts the elements of neighbours from zero."""

    vectors: Float[Tensor, "edges 3"]
    distances: Float[Tensor, " edges"]
    centers: Int[Tensor, " edges"]
    elements: Int[Tensor, " edges"]
    n_atoms: int
    n_elements: int
    envelope: int

    def within(self, cutoff: float) -> Neighbors:
        """The neighbours nearer than the cutoff (Å). Distances that are NaN stay, so that they are seen."""
        kept = (~(self.distances.detach() >= cutoff)).nonzero().squeeze(1)
        return replace(
            self,
            vectors=self.vectors.index_select(0, kept),
            distances=self.distances.index_select(0, kept),
            centers=self.centers[kept],
            elements=self.elements[kept],
        )

    def directions(self) -> Float[Tensor, "edges 3"]:
        return self.vectors / self.distances.unsqueeze(1)

    def sum_by_element(self, values: Float[Tensor, "edges n"]) -> Float[Tensor, "atoms elements n"]:
        """Σ_j over the neighbours j of each element."""
        rows = self.centers * self.n_elements + self.elements
        total = values.new_zeros((self.n_atoms * self.n_elements, values.shape[1]))
        return total.index_add(0, rows, values).unflatten(0, (self.n_atoms, self.n_elements))

    def element_pairs(self) -> Int[Tensor, "2 pairs"]:
        """The unordered pairs of elements (a, b), a ≤ b: (0, 0), (0, 1), …, (1, 1), …"""
        return torch.triu_indices(self.n_elements, self.n_elements, device=self.centers.device)

    def sum_by_elements(self, pairs: tuple[Tensor, Tensor], values: Float[Tensor, "triplets n"]) -> Tensor:
        """Σ_{j<k} over the pairs of neighbours of each unordered pair of elements."""
        first, second = pairs
        a, b = self.element_pairs()
        table = torch.zeros((self.n_elements, self.n_elements), dtype=torch.long, device=a.device)
        table[a, b] = table[b, a] = torch.arange(a.shape[0], device=a.device)
        rows = self.centers[first] * a.shape[0] + table[self.elements[first], self.elements[second]]
        total = values.new_zeros((self.n_atoms * a.shape[0], values.shape[1]))
        return total.index_add(0, rows, values).unflatten(0, (self.n_atoms, a.shape[0]))


def shell_sums(near: Neighbors, block: Terms) -> Float[Tensor, "atoms elements terms"]:
    """Σ_j ρ_t(r_ij)."""
    return near.sum_by_element(_rho(near, block))


def _rho(near: Neighbors, block: Terms) -> Float[Tensor, "edges terms"]:
    r = near.distances.unsqueeze(1)
    eta, shift, weight = r.new_tensor(block.radial).T
    values = (eta * r).cos() if block.kind == WAVES else (-eta * (r - shift).square()).exp()
    return weight * values * envelope_values(near.distances, block.cutoff, near.envelope).unsqueeze(1)


def pair_sums(near: Neighbors, block: Terms) -> Float[Tensor, "atoms pairs terms"]:
    """Σ_{j<k} R_t A_a, as it is written."""
    pairs = pairs_within(near.centers)
    (to_j, to_k), (r_j, r_k) = ([x.index_select(0, p) for p in pairs] for x in (near.vectors, near.distances))
    cosine_scale, mean_scale, difference_scale, third_scale = block.shape
    eta, shift, weight = r_j.new_tensor(block.radial).T
    rest = difference_scale * (r_j - r_k).square()
    inside = [envelope_values(r, block.cutoff, near.envelope) for r in (r_j, r_k)]
    envelope = inside[0] * inside[1]
    if third_scale:
        r_jk = (to_k - to_j).norm(dim=1)
        rest = rest + third_scale * r_jk.square()
        envelope = envelope * envelope_values(r_jk, block.cutoff, near.envelope)
    mean = (0.5 * (r_j + r_k)).unsqueeze(1) - shift
    radial = weight * (-eta * (mean_scale * mean.square() + rest.unsqueeze(1))).exp() * envelope.unsqueeze(1)
    u, v = (near.directions().index_select(0, p) for p in pairs)
    angular = _powers(cosine_scale * (u * v).sum(1, keepdim=True), block)
    return near.sum_by_elements(pairs, (radial.unsqueeze(2) * angular.unsqueeze(1)).flatten(1))


def _powers(x: Float[Tensor, "triplets 1"], block: Terms) -> Float[Tensor, "triplets terms"]:
    """2 [½ + ½ (a cos θ + b sin θ)]^ζ: no large power stands beside a small factor."""
    a, b, zeta = x.new_tensor(block.angular).T
    turned = a * x
    if any(term[1] for term in block.angular):
        turned = turned + b * (1 - x.square()).sqrt()
    # Rounding may bring the base below zero, where a power that isn't whole has no value.
    return 2 * (0.5 + 0.5 * turned).clamp(min=0).pow(zeta)


def density_sums(near: Neighbors, block: Terms) -> Float[Tensor, "atoms pairs radial angular"]:
    """Σ_{j<k} ρ_t ρ_t Σ_l c_l P_l(cos θ), from squares of densities."""
    rho, coefficients = _rho(near, block), near.distances.new_tensor(block.angular)
    harmonics = spherical_harmonics(near.directions(), 3)
    products = (rho.unsqueeze(2) * harmonics.unsqueeze(1)).flatten(1)
    density = near.sum_by_element(products).unflatten(2, (rho.shape[1], harmonics.shape[1]))
    a, b = near.element_pairs()
    squares = density.index_select(1, a) * density.index_select(1, b)
    same = (a == b).to(rho)[:, None, None]
    alone = near.sum_by_element(rho.square()).index_select(1, a).unsqueeze(3)
    # Every harmonic of degree l has the weight c_l, and Σ_l c_l is the value for a neighbour with itself.
    weights = coefficients.repeat_interleave(torch.tensor([1, 3, 5, 7], device=rho.device), dim=1)
    sums = squares @ weights.T - same * alone * coefficients.sum(1)
    return sums * (1 - 0.5 * same)


def pairs_within(groups: Int[Tensor, " n"]) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """The places e < f of all pairs of members of the same group; `groups` is sorted."""
    ends = torch.bincount(groups).cumsum(0)[groups]
    member = torch.arange(groups.shape[0], device=groups.device)
    partners = ends - 1 - member
    first = member.repeat_interleave(partners)
    start = partners.cumsum(0) - partners
    return first, first + 1 + torch.arange(first.shape[0], device=groups.device) - start[first]
