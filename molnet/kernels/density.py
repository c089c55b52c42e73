"""The neighbour density, the one operation that every continuous-filter model is made of.

This is the plain-torch reference: it runs on any device and is differentiable to any order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Neighborhood(ABC):
    """What the neighbour densities of one graph share: who neighbours whom, how far and in which direction."""

    edges: Int[Tensor, "2 edges"]
    n_atoms: int

    @abstractmethod
    def density(
        self, x: Float[Tensor, "atoms channels"], control_points: Float[Tensor, "knots channels"]
    ) -> Float[Tensor, "atoms harmonics channels"]:
        """A_imc = Σ_j Y_m(r̂_ij) W_c(r_ij) x_jc."""

    @abstractmethod
    def up_to(self, l_max: int) -> Neighborhood:
        """The same neighbours with fewer harmonics, for densities that don't need all."""


@dataclass(frozen=True)
class Reference(Neighborhood):
    """Densities in plain torch, with all splines of each edge."""

    splines: Float[Tensor, "edges knots"]
    harmonics: Float[Tensor, "edges harmonics"]

    @classmethod
    def of(cls, vectors: Tensor, edges: Tensor, n_atoms: int, *, cutoff: float, knots: int, l_max: int) -> Reference:
        distances = vectors.norm(dim=1)
        harmonics = spherical_harmonics(vectors / distances.unsqueeze(1), l_max)
        return cls(edges, n_atoms, spline_basis(distances, cutoff, knots), harmonics)

    def density(self, x: Tensor, control_points: Tensor) -> Tensor:
        centers, neighbors = self.edges
        messages = (self.splines @ control_points) * x.index_select(0, neighbors)
        harmonics = self.harmonics.shape[1]
        if harmonics > 1:
            messages = (self.harmonics.unsqueeze(2) * messages.unsqueeze(1)).flatten(1)
        total = torch.zeros((self.n_atoms, messages.shape[1]), dtype=x.dtype, device=x.device)
        return total.index_add(0, centers, messages).unflatten(1, (harmonics, -1))

    def up_to(self, l_max: int) -> Reference:
        return replace(self, harmonics=self.harmonics[:, : (l_max + 1) ** 2])


def spline_basis(distances: Float[Tensor, " edges"], cutoff: float, knots: int) -> Float[Tensor, "edges knots"]:
    """Uniform cubic B-splines B_k(r) = b(r/h − k + 1), k = 0 … knots − 1, with the spacing h = cutoff/knots.

    b(u) = [(2 − |u|)₊³ − 4 (1 − |u|)₊³]/6 is centered at u = 0. All of them end at or before the cutoff (Å), so any
    combination is zero there with its first and second derivative.
    """
    u = distances * (knots / cutoff)
    # NaN is an interval like any other: it passes to the energies, and no index is out of bounds.
    interval = u.detach().nan_to_num(nan=0.0).floor().clamp(max=knots)
    t = u - interval
    t2, s = t * t, 1 - t
    t3 = t2 * t
    four = torch.stack([s * s * s, 3 * t3 - 6 * t2 + 4, 3 * (t + t2 - t3) + 1, t3], dim=1) / 6
    columns = interval.long().unsqueeze(1) + torch.arange(4, device=u.device)
    padded = torch.zeros((u.shape[0], knots + 4), dtype=u.dtype, device=u.device)
    return padded.scatter(1, columns, four)[:, :knots]


def spline_centers(cutoff: float, knots: int) -> Float[Tensor, " knots"]:
    """Where the splines of `spline_basis` are centered, Å: r_k = (k − 1) h, in float64; the first is below zero."""
    return torch.arange(-1, knots - 1, dtype=torch.float64) * (cutoff / knots)


def spherical_harmonics(directions: Float[Tensor, "edges 3"], l_max: int) -> Float[Tensor, "edges harmonics"]:
    """Real spherical harmonics of unit vectors, l = 0 … l_max ≤ 3, m = −l … l, so normed that Σ_m Y_lm² = 1.

    With this (Racah) norm Σ_m Y_lm(a) Y_lm(b) is the Legendre polynomial P_l(a·b).
    Source: Schlegel & Frisch, Int. J. Quantum Chem. 54, 83 (1995).
    Raises ValueError for l_max > 3.
    """
    if l_max > 3:
        raise ValueError(f"spherical harmonics are given up to l = 3; l_max = {l_max} was asked for.")
    x, y, z = directions.unbind(1)
    rows = [torch.ones_like(x)]
    if l_max >= 1:
        rows += [y, z, x]
    if l_max >= 2:
        a = 3**0.5
        rows += [a * x * y, a * y * z, 1.5 * z**2 - 0.5, a * x * z, 0.5 * a * (x**2 - y**2)]
    if l_max >= 3:
        a, b, c = 0.625**0.5, 15**0.5, 0.375**0.5
        rows += [a * y * (3 * x**2 - y**2), b * x * y * z, c * y * (5 * z**2 - 1), 2.5 * z**3 - 1.5 * z]
        rows += [c * x * (5 * z**2 - 1), 0.5 * b * z * (x**2 - y**2), a * x * (x**2 - 3 * y**2)]
    return torch.stack(rows, dim=1)
