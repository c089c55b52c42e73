"""Sums over neighbours of atoms and pairs of these: the plain-torch reference, differentiable to any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb, pi

import torch
from jaxtyping import Float, Int
from torch import Tensor

from molnet.kernels.density import spherical_harmonics
from molnet.kernels.envelopes import COSINE, EXPONENTIAL, HARD, LEAST, TANH, TANH_AT_ZERO, UNIT_TANH
from molnet.kernels.terms import ARCS, DENSITIES, PAIRS, WAVES, WINDOWS, Envelope, Terms


def environment_reference(
    vectors: Float[Tensor, "edges 3"],
    edges: Int[Tensor, "2 edges"],
    elements: Int[Tensor, " atoms"],
    blocks: Sequence[Terms],
    envelope: Envelope,
    n_elements: int,
) -> Float[Tensor, "atoms features"]:
    """The sums of all blocks, one after the other; of each atom those that its element has, and zeros after them."""
    near = Neighbors(
        vectors, vectors.norm(dim=1), edges[0], elements[edges[1]], elements.shape[0], n_elements, envelope
    )
    columns = torch.cat([_sums(near, block) for block in blocks], dim=1)
    if not any(block.centers for block in blocks):
        return columns
    widths = torch.tensor([block.width(n_elements) for block in blocks])
    mine = [[not block.centers or element in block.centers for block in blocks] for element in range(n_elements)]
    has = torch.tensor(mine).repeat_interleave(widths, dim=1).to(elements.device)
    packed = (~has).to(torch.int8).argsort(dim=1, stable=True)[:, : int(has.sum(dim=1).max())]
    kept = has.gather(1, packed)[elements]
    return torch.where(kept, columns.gather(1, packed[elements]), 0.0)


def _sums(near: Neighbors, block: Terms) -> Float[Tensor, "atoms features"]:
    kinds = {DENSITIES: density_sums, PAIRS: pair_sums, ARCS: arc_sums}
    near = near.within(block.cutoff)
    if block.weights:
        near = near.weighted(block.weights)
    elif block.neighbors:
        near = near.only(block.neighbors)
    sums = kinds.get(block.kind, shell_sums)(near, block)
    if len(set(block.neighbors)) == 2:
        # Of (0, 0), (0, 1) and (1, 1), the mixed pair.
        sums = sums[:, 1:2]
    sums = sums.flatten(2)
    if block.chosen:
        numbers = [t * len(block.angular) + a for t, a in block.chosen]
        sums = sums[:, :, torch.tensor(numbers, device=sums.device)]
    return sums.flatten(1)


def envelope_values(
    r: Float[Tensor, "*batch"], cutoff: float, envelope: int, *, inner: float = 0.0
) -> Float[Tensor, "*batch"]:
    """The cutoff function of a number, which `molnet.kernels.envelopes` lists, that is one up to inner · cutoff."""
    if envelope in (TANH, UNIT_TANH):
        scale = TANH_AT_ZERO if envelope == UNIT_TANH else 1.0
        return (1 - (r / cutoff).clamp(max=1.0)).tanh().pow(3) / scale
    if envelope == HARD:
        return torch.where(r >= cutoff, torch.zeros_like(r), torch.ones_like(r))
    x = ((r - inner * cutoff) / (cutoff - inner * cutoff)).clamp(min=0.0, max=1.0)
    if envelope == COSINE:
        return 0.5 * (pi * x).cos() + 0.5
    if envelope == EXPONENTIAL:
        return (1 - 1 / (1 - x.square()).clamp(min=LEAST)).exp()
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
    envelope: Envelope
    weights: Tensor | None = None

    def f_c(self, r: Float[Tensor, " n"], cutoff: float) -> Float[Tensor, " n"]:
        number, inner = self.envelope
        return envelope_values(r, cutoff, number, inner=inner)

    def of_edges(self, values: Float[Tensor, " edges"]) -> Float[Tensor, " edges"]:
        """Values of neighbours, times their weights."""
        return values if self.weights is None else values * self.weights

    def within(self, cutoff: float) -> Neighbors:
        """The neighbours nearer than the cutoff (Å). Distances that are NaN stay, so that they are seen."""
        return self.kept((~(self.distances.detach() >= cutoff)).nonzero().squeeze(1))

    def only(self, elements: tuple[int, ...]) -> Neighbors:
        """The neighbours of one or two elements, which are numbers 0 and 1 from then on."""
        places = sorted(set(elements))
        table = torch.full((self.n_elements,), -1, device=self.centers.device)
        table[places] = torch.arange(len(places), device=self.centers.device)
        near = self.kept((table[self.elements] >= 0).nonzero().squeeze(1))
        return replace(near, elements=table[near.elements], n_elements=len(places))

    def weighted(self, weights: tuple[float, ...]) -> Neighbors:
        """All neighbours as if they were of one element, with weights."""
        each = self.distances.new_tensor(weights)[self.elements]
        return replace(self, elements=torch.zeros_like(self.elements), n_elements=1, weights=each)

    def kept(self, kept: Int[Tensor, " some"]) -> Neighbors:
        return replace(
            self,
            vectors=self.vectors.index_select(0, kept),
            distances=self.distances.index_select(0, kept),
            centers=self.centers[kept],
            elements=self.elements[kept],
            weights=None if self.weights is None else self.weights[kept],
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
    if block.kind == WINDOWS:
        return near.of_edges(torch.ones_like(near.distances)).unsqueeze(1) * _windows(near.distances, block)
    r = near.distances.unsqueeze(1)
    eta, shift, weight = r.new_tensor(block.radial).T
    values = (eta * r).cos() if block.kind == WAVES else (-eta * (r - shift).square()).exp()
    return weight * values * near.of_edges(near.f_c(near.distances, block.cutoff)).unsqueeze(1)


def _windows(r: Float[Tensor, " n"], block: Terms) -> Float[Tensor, "n terms"]:
    inverse, center, weight = r.new_tensor(block.radial).T
    x = (inverse * (r.unsqueeze(1) - center).abs()).clamp(max=1.0)
    return weight * envelope_values(x * (2 - x) if block.shape[2] else x, 1.0, int(block.shape[0]))


def _triangles(near: Neighbors) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
    """The pairs of neighbours and their distances r_j, r_k and r_jk."""
    pairs = pairs_within(near.centers)
    (to_j, to_k), (r_j, r_k) = ([x.index_select(0, p) for p in pairs] for x in (near.vectors, near.distances))
    return pairs, [r_j, r_k, (to_k - to_j).norm(dim=1)]


def pair_sums(near: Neighbors, block: Terms) -> Float[Tensor, "atoms pairs terms"]:
    """Σ_{j<k} R_t A_a, as it is written."""
    pairs, (r_j, r_k, r_jk) = _triangles(near)
    cosine_scale, mean_scale, difference_scale, third_scale = block.shape
    eta, shift, weight = r_j.new_tensor(block.radial).T
    inside = near.of_edges(near.f_c(near.distances, block.cutoff))
    envelope = inside.index_select(0, pairs[0]) * inside.index_select(0, pairs[1])
    rest = difference_scale * (r_j - r_k).square().unsqueeze(1)
    if third_scale:
        rest = rest + third_scale * (r_jk.unsqueeze(1) - shift).square()
        envelope = envelope * near.f_c(r_jk, block.cutoff)
    mean = (0.5 * (r_j + r_k)).unsqueeze(1) - shift
    radial = weight * (-eta * (mean_scale * mean.square() + rest)).exp() * envelope.unsqueeze(1)
    u, v = (near.directions().index_select(0, p) for p in pairs)
    angular = _powers(cosine_scale * (u * v).sum(1, keepdim=True), block)
    return near.sum_by_elements(pairs, (radial.unsqueeze(2) * angular.unsqueeze(1)).flatten(1))


def arc_sums(near: Neighbors, block: Terms) -> Float[Tensor, "atoms pairs terms"]:
    """Σ_{j<k} ρ_t(r_ij) ρ_t(r_ik) f(a |θ − b|)."""
    pairs, (_, _, r_jk) = _triangles(near)
    rho = near.of_edges(torch.ones_like(near.distances)).unsqueeze(1) * _windows(near.distances, block)
    radial = rho.index_select(0, pairs[0]) * rho.index_select(0, pairs[1])
    if block.shape[3]:
        radial = radial * _windows(r_jk, block)
    u, v = (near.directions().index_select(0, p) for p in pairs)
    theta = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))
    inverse, center = theta.new_tensor(block.angular).T
    x = (inverse * (theta.unsqueeze(1) - center).abs()).clamp(max=1.0)
    angular = envelope_values(x, 1.0, int(block.shape[0]))
    return near.sum_by_elements(pairs, (radial.unsqueeze(2) * angular.unsqueeze(1)).flatten(1))


def _powers(x: Float[Tensor, "triplets 1"], block: Terms) -> Float[Tensor, "triplets terms"]:
    """2 [½ + ½ (a cos θ + b sin θ)]^ζ, where no large power stands beside a small factor, or Gaussians of θ."""
    a, b, zeta = x.new_tensor(block.angular).T
    if not block.shape[1]:
        # On a line, the angle has no derivative.
        edge = 1 - 4 * torch.finfo(x.dtype).eps
        theta = x.clamp(min=-edge, max=edge).arccos()
        near = torch.stack([theta - b, theta + b])
        return (-a * torch.cat([near, near - 2 * pi]).square()).exp().sum(0)
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
