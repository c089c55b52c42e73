"""SchNet: continuous-filter convolutions on atoms, with the filters on a grid of splines."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from molnet.data.statistics import rms_force, species_of
from molnet.graph import Graph
from molnet.kernels import Neighborhood, neighbor_density, neighborhood, spline_centers
from molnet.nn.seeding import seeded
from molnet.potential import Potential, SpeciesIndex

LOG_2 = 0.6931471805599453
LINEAR = 40.0
"""From here on ln(1 + eˣ) is x in double precision; torch changes over at 20, with a step of 2e-9."""


class ShiftedSoftplus(nn.Module):
    """ssp(x) = ln(eˣ/2 + 1/2), zero at zero and infinitely differentiable."""

    def forward(self, x: Tensor) -> Tensor:
        return softplus(x, threshold=LINEAR) - LOG_2


class Filters(nn.Module):
    """The filters W_lc(r) of all interactions l as control points of cubic splines.

    Gaussians of the distance pass a network of two layers, evaluated at the splines' centers and not on edges; the
    envelope 1 − 10u³ + 15u⁴ − 6u⁵ with u = r/cutoff brings them to zero.
    """

    def __init__(self, interactions: int, gaussians: int, knots: int, channels: int, cutoff: float) -> None:
        super().__init__()
        r = spline_centers(cutoff, knots).clamp(min=0).unsqueeze(1)
        width = cutoff / (gaussians - 1)
        basis = torch.exp(-0.5 * ((r - width * torch.arange(gaussians, dtype=r.dtype)) / width) ** 2)
        u = r / cutoff
        self.register_buffer("basis", basis.float(), persistent=False)
        self.register_buffer("envelope", (1 - 10 * u**3 + 15 * u**4 - 6 * u**5).float(), persistent=False)
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(gaussians, channels), ShiftedSoftplus(), nn.Linear(channels, channels))
            for _ in range(interactions)
        )

    def forward(self) -> list[Float[Tensor, "knots channels"]]:
        return [self.envelope * network(self.basis) for network in self.networks]


class Interaction(nn.Module):
    """x_i ← x_i + V ssp(U Σ_j W(r_ij) ∘ P x_j)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, channels, bias=False)
        self.update = nn.Sequential(nn.Linear(channels, channels), ShiftedSoftplus(), nn.Linear(channels, channels))

    def forward(
        self, x: Float[Tensor, "atoms channels"], control_points: Tensor, near: Neighborhood
    ) -> Float[Tensor, "atoms channels"]:
        density = neighbor_density(self.project(x), control_points, near)
        return x + self.update(density.squeeze(1))


class SchNet(Potential):
    """E_i = scale · [MLP(x_i) − MLP(x_0)], where features x_i start from the species and pass some interactions.

    x_0 are the features of an isolated atom of the same species, whose energy is therefore zero.

    Source: K. T. Schütt et al., J. Chem. Phys. 148, 241722 (2018), section II. The filters are cubic splines on
    `knots` intervals up to the cutoff (Å), whose control points the filter networks give. `scale` is in eV.
    """

    def __init__(
        self,
        species: Sequence[int],
        cutoff: float,
        *,
        channels: int = 128,
        interactions: int = 3,
        gaussians: int = 50,
        knots: int = 128,
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < cutoff < inf or min(channels, gaussians) < 2 or min(interactions, knots) < 1:
            raise ValueError(
                f"SchNet has cutoff={cutoff}, channels={channels}, interactions={interactions}, gaussians={gaussians} "
                f"and knots={knots}; expected a positive cutoff, at least two channels and Gaussians, and at least one "
                "interaction and knot."
            )
        self.species, self.cutoff = tuple(species), cutoff
        self.channels, self.interactions = channels, interactions
        self.gaussians, self.knots = gaussians, knots
        self.scale, self.seed = scale, seed
        self.species_index = SpeciesIndex(species)
        with seeded(seed):
            self.embedding = nn.Embedding(len(self.species), channels)
            self.filters = Filters(interactions, gaussians, knots, channels, cutoff)
            self.layers = nn.ModuleList(Interaction(channels) for _ in range(interactions))
            self.readout = nn.Sequential(
                nn.Linear(channels, channels // 2), ShiftedSoftplus(), nn.Linear(channels // 2, 1)
            )
        self.float()

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float, **options: int) -> SchNet:
        """An untrained SchNet for the species of the data, with the root mean square force (times 1 Å) as scale."""
        return cls(species_of(frames), cutoff, scale=rms_force(frames), **options)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        kind, alone = self.species_index(graph.species), len(self.species)
        # The last rows are an isolated atom of each species, whose energies are the zero of the others.
        n_rows = graph.n_atoms + alone
        near = neighborhood(graph.vectors, graph.edges, n_rows, cutoff=self.cutoff, knots=self.knots)
        x = torch.cat([self.embedding(kind), self.embedding.weight])
        for layer, control_points in zip(self.layers, self.filters(), strict=True):
            x = layer(x, control_points, near)
        energies, isolated = self.readout(x).squeeze(1).split([graph.n_atoms, alone])
        return self.scale * (energies - isolated[kind])
