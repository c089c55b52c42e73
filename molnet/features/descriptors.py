"""Features of one structure with all their derivatives, for training that uses them again and again."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from molnet.features.design import AtomFeatures
from molnet.graph import Graph

STRAINS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""The six components of a symmetric strain, in Voigt's order."""


@runtime_checkable
class FeaturePotential(Protocol):
    """A potential whose atom energies are a function of features that know nothing of it."""

    features: AtomFeatures

    def of_features(
        self, values: Float[Tensor, "atoms features"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, " atoms"]:
        """The atom energies (eV); elements are places in the features' `species`."""


class Descriptors(NamedTuple):
    """G_i, ∂G_i/∂r_k (1/Å) for the atoms `moved` = k that change them, i itself too, and ∂G_i/∂ε in Voigt's order.

    The rows of atom i begin at `begin[i]`. A shear ε_xy is the one of the symmetric strain, with ε_yx = ε_xy.
    """

    values: Float[Tensor, "atoms features"]
    elements: Int[Tensor, " atoms"]
    begin: Int[Tensor, " atoms_and_end"]
    moved: Int[Tensor, " rows"]
    jacobian: Float[Tensor, "rows 3 features"]
    strains: Float[Tensor, "atoms 6 features"]


@torch.no_grad()
def descriptors(features: AtomFeatures, graph: Graph, dtype: torch.dtype = torch.float32) -> Descriptors:
    """The features of one structure and their derivatives, computed in double precision.

    The images of one atom make one row: edges to them are summed.
    """
    elements, n = features.elements(graph.species), graph.n_atoms
    values, by_edge = features.jacobian(graph)
    by_edge = by_edge.transpose(1, 2)
    # Row by row: i itself moves against its neighbours.
    own = torch.arange(n)
    keys = torch.cat([graph.centers * n + graph.neighbors, own * (n + 1)])
    found, place = keys.unique(return_inverse=True)
    jacobian = by_edge.new_zeros((len(found), *by_edge.shape[1:]))
    edges = len(by_edge)
    jacobian.index_add_(0, place[:edges], by_edge)
    jacobian.index_add_(0, place[edges:][graph.centers], -by_edge)
    strains = values.new_zeros((n, len(STRAINS), values.shape[1]))
    for number, (a, b) in enumerate(STRAINS):
        moves = by_edge[:, a] * graph.vectors[:, b, None] + by_edge[:, b] * graph.vectors[:, a, None]
        strains[:, number].index_add_(0, graph.centers, 0.5 * moves)
    begin = torch.searchsorted(found, torch.arange(n + 1) * n)
    return Descriptors(values.to(dtype), elements, begin, found % n, jacobian.to(dtype), strains.to(dtype))
