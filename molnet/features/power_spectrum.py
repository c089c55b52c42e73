"""The power spectrum of neighbour densities: what linear potentials are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from math import ceil

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import BSpline
from torch import Tensor, nn

from molnet.graph import Graph
from molnet.kernels import neighbor_density, neighborhood, spline_centers
from molnet.kernels.harmonics import edge_harmonics, tangent
from molnet.potential import SpeciesIndex, names

L_MAX, HARMONICS = 3, 16
SPACING = 0.05
"""Of the splines' knots, Å."""
DECAY = 1.5
"""How fast the resolution falls with the distance, in lengths."""


class PowerSpectrum(nn.Module):
    """Densities and their scalar products, for each element a, b of the neighbours and l ≤ 3:

        A_an,lm = Σ_j∈a R_n(r_ij) Y_lm(r̂_ij)        G_an = A_an,00        G_an,bn',l = Σ_m A_an,lm A_bn',lm

    with Chebyshev polynomials R_n = T_n(x) f_c(r), n = 0 … radial − 1, of a variable x that falls from 1 to −1 as
    exp(−1.5 r/length); they are tabulated as cubic splines, zero with two derivatives at the cutoff. The degree of G_an
    is n + 1, that of a product n + n' + l + 1; products are those up to `degree`. Lengths are in Å.

    Raises ValueError for sizes that make no features.
    Source: Bartók, Kondor & Csányi, Phys. Rev. B 87, 184115 (2013); Drautz, Phys. Rev. B 99, 014104 (2019).
    """

    control_points: Tensor
    columns: Tensor
    channel_pairs: Tensor

    def __init__(
        self, species: Sequence[int], cutoff: float, *, length: float, radial: int = 10, degree: int = 8
    ) -> None:
        super().__init__()
        if not (cutoff > 0 and length > 0 and radial >= 1 and degree >= 1):
            raise ValueError(
                f"the power spectrum has cutoff={cutoff}, length={length}, radial={radial} and degree={degree}; "
                "expected positive lengths, and at least one radial function and degree."
            )
        self.species, self.cutoff, self.length = tuple(species), cutoff, length
        self.radial, self.degree = radial, degree
        self.elements = SpeciesIndex(self.species)
        points = _radial_functions(spline_centers(cutoff, self._knots), cutoff, length, radial)
        self.register_buffer("control_points", points, persistent=False)
        self._products = _products(len(self.species), radial, degree)
        pairs = sorted({(first, second) for first, second, _ in self._products})
        columns = [(L_MAX + 1) * pairs.index((i, j)) + ell for i, j, ell in self._products]
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        self.register_buffer("channel_pairs", torch.tensor(pairs, dtype=torch.long).view(-1, 2).T, persistent=False)

    @property
    def _knots(self) -> int:
        return ceil(self.cutoff / SPACING)

    @property
    def names(self) -> list[str]:
        """What each feature is."""
        symbols = [f"{names([z])}, n={n}" for z in self.species for n in range(self.radial)]
        spectrum = [f"P({symbols[i]}; {symbols[j]}; l={ell})" for i, j, ell in self._products]
        return [f"A({symbol})" for symbol in symbols] + spectrum

    @property
    def counts(self) -> tuple[int, ...]:
        """How many features an atom of each element has: all of them."""
        return len(self.species) * (len(self.names),)

    @property
    def degrees(self) -> list[int]:
        """Of each feature: n + 1, and n + n' + l + 1 of a product."""
        n = [channel % self.radial for channel in range(len(self.species) * self.radial)]
        return [each + 1 for each in n] + [n[i] + n[j] + ell + 1 for i, j, ell in self._products]

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        near = neighborhood(
            graph.vectors, graph.edges, graph.n_atoms, cutoff=self.cutoff, knots=self._knots, l_max=L_MAX
        )
        element = self.elements(graph.species)
        points = self.control_points.to(graph.vectors.dtype)
        here = torch.arange(len(self.species), device=element.device) == element.unsqueeze(1)
        weights = here.to(points.dtype).repeat_interleave(self.radial, dim=1)
        return self._spectrum(neighbor_density(weights, points.repeat(1, len(self.species)), near))

    @property
    def _products_index(self) -> Int[Tensor, "3 products"]:
        return torch.tensor(self._products, dtype=torch.long).view(-1, 3).T

    def _spectrum(self, A: Float[Tensor, "atoms 16 channels"]) -> Float[Tensor, "atoms features"]:
        first, second = self.channel_pairs
        squares = A.index_select(2, first) * A.index_select(2, second)
        by_degree = torch.stack([squares[:, ell**2 : (ell + 1) ** 2].sum(1) for ell in range(L_MAX + 1)], dim=2)
        return torch.cat([A[:, 0], by_degree.flatten(1).index_select(1, self.columns)], dim=1)

    def jacobian(self, graph: Graph) -> tuple[Float[Tensor, "atoms features"], Float[Tensor, "edges features 3"]]:
        """The features of each atom in float64, and their derivatives with respect to the vectors of its own edges.

        Those of Σ_m A_m A'_m are Σ_m A_m ∂A'_m + A'_m ∂A_m, with ∂(R Y_m) = R' Y_m r̂ + R ∂Y_m.
        """
        vectors = graph.vectors.detach().double()
        distances = vectors.norm(dim=1, keepdim=True)
        radial, slopes = (self._of_element(graph, x) for x in self._radial(distances.squeeze(1)))
        harmonics = torch.cat([torch.eye(1, 4).expand(len(vectors), 1, 4), _harmonics(vectors)], dim=1)
        shells = (radial.unsqueeze(1) * harmonics[:, :, :1]).flatten(1)
        A = shells.new_zeros((graph.n_atoms, shells.shape[1])).index_add_(0, graph.centers, shells)
        A = A.view(graph.n_atoms, HARMONICS, -1)
        directions = (vectors / distances).unsqueeze(1)
        along = slopes.unsqueeze(2) * directions
        # Σ_m A_m Y_m and Σ_m A_m ∂Y_m of each edge and l.
        around = A.transpose(1, 2).index_select(0, graph.centers)
        parts = [slice(ell**2, (ell + 1) ** 2) for ell in range(L_MAX + 1)]
        turned = torch.stack([around[:, :, part] @ harmonics[:, part] for part in parts], dim=2)
        i, j, ell = self._products_index
        half = [
            turned[:, a, ell, :1] * along[:, b] + turned[:, a, ell, 1:] * radial[:, b, None]
            for a, b in ((i, j), (j, i))
        ]
        return self._spectrum(A), torch.cat([along, half[0] + half[1]], dim=1)

    def _radial(self, r: Float[Tensor, " edges"]) -> tuple[Tensor, Tensor]:
        """R_n(r) and its derivative."""
        spacing, n = self.cutoff / self._knots, self._knots
        spline = BSpline(spacing * np.arange(-3, n + 4), np.pad(self.control_points.double(), ((0, 3), (0, 0))), 3)
        inside = r.clamp(max=self.cutoff).numpy()
        return torch.from_numpy(spline(inside)), torch.from_numpy(spline(inside, nu=1))

    def _of_element(self, graph: Graph, radial: Float[Tensor, "edges radial"]) -> Float[Tensor, "edges channels"]:
        """The functions in the channels of the neighbour's element, zeros in the others."""
        element = self.elements(graph.species)[graph.neighbors]
        channels = radial.new_zeros((radial.shape[0], len(self.species), self.radial))
        channels[torch.arange(radial.shape[0]), element] = radial
        return channels.flatten(1)


def _harmonics(vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, "edges 15 4"]:
    """Y_lm for l = 1 … 3 and its derivatives along x, y and z."""
    axes = torch.eye(3, dtype=vectors.dtype)
    slopes = [tangent(axis.expand_as(vectors), vectors, HARMONICS - 1) for axis in axes]
    return torch.stack([edge_harmonics(vectors, L_MAX), *slopes], dim=2)


def _radial_functions(
    r: Float[Tensor, " knots"], cutoff: float, length: float, radial: int
) -> Float[Tensor, "knots radial"]:
    """T_n(x) (1 − 10u³ + 15u⁴ − 6u⁵) with u = r/cutoff."""
    r = r.clamp(min=0)
    low = (r.new_tensor(-DECAY * cutoff / length)).exp()
    x = 2 * ((-DECAY * r / length).exp() - low) / (1 - low) - 1
    u = (r / cutoff).unsqueeze(1)
    angles = x.clamp(-1, 1).acos().unsqueeze(1) * torch.arange(radial, dtype=r.dtype)
    return angles.cos() * (1 - 10 * u**3 + 15 * u**4 - 6 * u**5)


def _products(elements: int, radial: int, degree: int) -> list[tuple[int, int, int]]:
    """The channels (a, n), (b, n') and l of each product, in the order of their degrees."""
    channels = [(a * radial + n, n) for a in range(elements) for n in range(radial)]
    pairs = combinations_with_replacement(channels, 2)
    found = [(n + m + ell + 1, i, j, ell) for (i, n), (j, m) in pairs for ell in range(L_MAX + 1)]
    return [(i, j, ell) for total, i, j, ell in sorted(found) if total <= degree]
