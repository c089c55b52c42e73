"""Distances, angles and dihedrals as featurizers of structures.

Vectors are differences of positions as they stand, without minimum images: the molecules of a periodic structure
have to be whole, as dynamics leaves them. Lengths are in Å, angles in radians.

The featurizers give one row per structure, so all structures of a batch have to hold the same number of terms, as
the conformations of one molecule do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.graph import Graph
from molnet.kernels import pairs_within
from molnet.kernels.geometry import angles, dihedral_cos_sin, dihedrals, distances


class BondLengths(nn.Module):
    """The lengths of the bonds in each structure's topology."""

    def forward(self, graph: Graph) -> Float[Tensor, "graphs features"]:
        return _by_structure(distances(graph.positions, graph.bonds), graph, graph.bonds, "bonds")


class BondAngles(nn.Module):
    """The angles in each structure's topology."""

    def forward(self, graph: Graph) -> Float[Tensor, "graphs features"]:
        return _by_structure(angles(graph.positions, graph.angles), graph, graph.angles, "angles")


class DihedralAngles(nn.Module):
    """The signed dihedral angles of each structure's topology; they jump at ±π."""

    def forward(self, graph: Graph) -> Float[Tensor, "graphs features"]:
        values = dihedrals(graph.positions, graph.dihedrals)
        return _by_structure(values, graph, graph.dihedrals, "dihedrals")


class DihedralCosSin(nn.Module):
    """cos φ and sin φ of the dihedral angles of each structure's topology, one after the other."""

    def forward(self, graph: Graph) -> Float[Tensor, "graphs features"]:
        values = dihedral_cos_sin(graph.positions, graph.dihedrals)
        return _by_structure(values, graph, graph.dihedrals, "dihedrals")


class PairDistances(nn.Module):
    """The distances of all pairs of atoms i < j in each structure: (0, 1), (0, 2), …, (1, 2), …

    Raises ValueError for a periodic structure, where a pair has many distances.
    """

    def forward(self, graph: Graph) -> Float[Tensor, "graphs features"]:
        if bool(graph.cell.any()):
            raise ValueError(
                "the pairs of atoms of a periodic structure have no single distance; use BondLengths for its "
                "topology or SymmetryFunctions for its neighbours."
            )
        pairs = torch.stack(pairs_within(graph.graph_index))
        return _by_structure(distances(graph.positions, pairs), graph, pairs, "pairs of atoms")


class Joined(nn.Module):
    """The features of several featurizers, side by side."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, graph: Graph) -> Float[Tensor, "graphs features"]:
        return torch.cat([part(graph) for part in self.parts], dim=1)


def _by_structure(values: Tensor, graph: Graph, terms: Int[Tensor, "k n"], what: str) -> Tensor:
    counts = torch.bincount(graph.graph_index[terms[0]], minlength=graph.n_graphs).tolist()
    if len(set(counts)) > 1:
        raise ValueError(
            f"the structures of the batch hold {counts} {what}; rows of features need equal numbers. Batch "
            "conformations of one molecule."
        )
    return values.reshape(graph.n_graphs, -1)
