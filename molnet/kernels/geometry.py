"""Distances, angles and dihedrals of tuples of atoms, in plain torch: arbitrarily often differentiable.

Vectors are differences of positions as they stand, without minimum images: the molecules of a periodic structure
have to be whole, as dynamics leaves them. Lengths are in Å, angles in radians.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


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
