"""Distances, angles and dihedrals, as functions of positions and as featurizers of structures.

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


def distances(positions: Float[Tensor, "atoms 3"], pairs: Int[Tensor, "2 n"]) -> Float[Tensor, " n"]:
    """r_ij of the pairs (i, j)."""
    return _between(positions, pairs[0], pairs[1]).norm(dim=1)


def angles(positions: Float[Tensor, "atoms 3"], triples: Int[Tensor, "3 n"]) -> Float[Tensor, " n"]:
    """The angle at atom j of the triples (i, j, k), from 0 to π.

    θ = atan2(|u × v|, u·v) with u = r_i − r_j and v = r_k − r_j. Its derivatives with respect to r_i and r_k have
    the lengths 1/|u| and 1/|v|; where the three atoms lie on a line they have no direction, and are zero.
    """
    i, j, k = triples
    u, v = _between(positions, j, i), _between(positions, j, k)
    square = torch.linalg.cross(u, v).square().sum(1)
    # A root at zero has no derivative, not even in a branch that isn't taken.
    bent = square > torch.finfo(square.dtype).eps ** 3
    sine = torch.where(bent, torch.where(bent, square, 1.0).sqrt(), 0.0)
    return torch.atan2(sine, (u * v).sum(1))


def dihedrals(positions: Float[Tensor, "atoms 3"], quadruples: Int[Tensor, "4 n"]) -> Float[Tensor, " n"]:
    """The signed angle, from −π to π, of the quadruples (i, j, k, l): 0 is cis; clockwise along j→k is positive.

    φ = atan2(|b₂| b₁·(b₂ × b₃), (b₁ × b₂)·(b₂ × b₃)) with b₁ = r_j − r_i, b₂ = r_k − r_j and b₃ = r_l − r_k.
    Source: Blondel & Karplus, J. Comput. Chem. 17, 1132 (1996), with the IUPAC sign.
    """
    return torch.atan2(*_sine_and_cosine(positions, quadruples))


def dihedral_cos_sin(positions: Float[Tensor, "atoms 3"], quadruples: Int[Tensor, "4 n"]) -> Float[Tensor, "n 2"]:
    """cos φ and sin φ of `dihedrals`, without the jump at ±π."""
    y, x = _sine_and_cosine(positions, quadruples)
    return torch.stack([x, y], dim=1) / torch.hypot(x, y).unsqueeze(1)


def _between(
    positions: Float[Tensor, "atoms 3"], start: Int[Tensor, " n"], end: Int[Tensor, " n"]
) -> Float[Tensor, "n 3"]:
    return positions.index_select(0, end) - positions.index_select(0, start)


def _sine_and_cosine(positions: Tensor, quadruples: Tensor) -> tuple[Tensor, Tensor]:
    """sin φ and cos φ, both times the same positive number."""
    i, j, k, l = quadruples  # noqa: E741
    b1, b2, b3 = _between(positions, i, j), _between(positions, j, k), _between(positions, k, l)
    n1, n2 = torch.linalg.cross(b1, b2), torch.linalg.cross(b2, b3)
    return b2.norm(dim=1) * (b1 * n2).sum(1), (n1 * n2).sum(1)


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
