"""What energies, forces and virials are in terms of linear coefficients of features and of products of these."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from molnet.graph import Graph
from molnet.potential import SpeciesIndex

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""The components of a symmetric tensor, in Voigt's order."""


@runtime_checkable
class AtomFeatures(Protocol):
    """Features of atoms that depend on the vectors to their own neighbours, such as `SymmetryFunctions`."""

    species: tuple[int, ...]
    cutoff: float
    elements: SpeciesIndex

    @property
    def counts(self) -> tuple[int, ...]: ...

    @property
    def names(self) -> list[str]: ...

    @property
    def degrees(self) -> list[int]: ...

    def __call__(self, graph: Graph) -> Float[Tensor, "atoms features"]: ...

    def jacobian(self, graph: Graph) -> tuple[Float[Tensor, "atoms features"], Float[Tensor, "edges features 3"]]: ...


class Rows(NamedTuple):
    """The derivatives of one structure's energy, forces and virial with respect to the coefficients.

    For each element of the features' species a constant, the features, and their products. Virials are ∂E/∂ε (eV) in
    Voigt's order.
    """

    energy: Float[Tensor, " columns"]
    forces: Float[Tensor, "components columns"]
    virial: Float[Tensor, "6 columns"]


def products_up_to(degrees: list[int], degree: int) -> Int[Tensor, "2 products"]:
    """The pairs of features f ≤ g whose degrees add up to `degree` or less."""
    n = len(degrees)
    pairs = [(f, g) for f in range(n) for g in range(f, n) if degrees[f] + degrees[g] <= degree]
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2).T


def expanded(features: Float[Tensor, "atoms features"], pairs: Int[Tensor, "2 products"]) -> Tensor:
    """The features and the products G_f G_g of the pairs."""
    first, second = (features.index_select(1, index) for index in pairs)
    return torch.cat([features, first * second], dim=1)


def design(features: AtomFeatures, pairs: Int[Tensor, "2 products"], graph: Graph) -> Rows:
    """The rows of one structure, in float64.

    With G'_e = ∂G_i/∂r_e for the edges e from i, ∂E/∂ε = Σ_e r_e ⊗ G'_e, and the force on k is the sum of G'_e over
    the edges from k less that over the edges to it. Products are summed without building those of each edge: over the
    edges that end at k, Σ_e G_f,i(e) G'_e,g is a product of matrices.
    """
    values, slopes = features.jacobian(graph)
    element, width = features.elements(graph.species), 1 + values.shape[1] + pairs.shape[1]
    n_atoms, n_elements = graph.n_atoms, len(features.species)
    energy, virial = values.new_zeros((n_elements, width)), values.new_zeros((n_elements, width, 6))
    forces = values.new_zeros((n_atoms, n_elements, width, 3))
    per_atom = torch.cat([torch.ones_like(values[:, :1]), expanded(values, pairs)], dim=1)
    energy.index_add_(0, element, per_atom)
    tensors = torch.stack([slopes[:, :, a] * graph.vectors[:, None, b] for a, b in VOIGT], dim=2)
    own = torch.cat([slopes, tensors], dim=2)
    summed = values.new_zeros((n_atoms, *own.shape[1:])).index_add_(0, graph.centers, own)
    at_center = _with_products(values, summed, pairs)
    forces[torch.arange(n_atoms), element, 1:] = at_center[:, :, :3]
    virial[:, 1:].index_add_(0, element, at_center[:, :, 3:])
    for atom, kind, edges in _ends(graph, element, n_elements):
        forces[atom, kind, 1:] -= _at_end(values[graph.centers[edges]], slopes[edges], pairs)
    return Rows(energy.flatten(), forces.flatten(1, 2).transpose(1, 2).flatten(0, 1), virial.flatten(0, 1).T)


def _with_products(values: Tensor, slopes: Tensor, pairs: Tensor) -> Float[Tensor, "atoms columns directions"]:
    """The derivatives of features and, by the product rule, of their products."""
    f, g = pairs
    mixed = values[:, f, None] * slopes[:, g] + values[:, g, None] * slopes[:, f]
    return torch.cat([slopes, mixed], dim=1)


def _ends(graph: Graph, element: Tensor, n_elements: int) -> list[tuple[int, int, Tensor]]:
    """The edges that end at each atom, by the element of the atom that they come from."""
    groups = graph.neighbors * n_elements + element[graph.centers]
    order = torch.argsort(groups, stable=True)
    found, counts = torch.unique_consecutive(groups[order], return_counts=True)
    parts = order.split(counts.tolist())
    return [(*divmod(group, n_elements), part) for group, part in zip(found.tolist(), parts, strict=True)]


def _at_end(
    values: Float[Tensor, "edges features"], slopes: Float[Tensor, "edges features 3"], pairs: Int[Tensor, "2 products"]
) -> Float[Tensor, "columns 3"]:
    """Σ_e G'_e of the features and of their products."""
    f, g = pairs
    mixed = (values.T @ slopes.flatten(1)).unflatten(1, (-1, 3))
    return torch.cat([slopes.sum(0), mixed[f, g] + mixed[g, f]])
