"""PaiNN: messages of scalar and vector features, rotated with the molecule."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor, nn

from molnet.data.statistics import rms_force, species_of
from molnet.graph import Graph
from molnet.kernels import Neighborhood, neighbor_density, neighborhood
from molnet.nn.mlp import MLP
from molnet.nn.radial import SplineFilters
from molnet.nn.seeding import seeded
from molnet.potential import Potential, SpeciesIndex

SOFTENING = 1e-2
"""Added to |v|² under the root: lengths of vectors are smooth where these vanish, as in symmetric structures."""

Scalars = Float[Tensor, "atoms channels"]
Vectors = Float[Tensor, "atoms 3 channels"]


class FirstMessage(nn.Module):
    """s_i + Σ_j W_s φ_s(s_j) and v_i = Σ_j r̂_ij W_r φ_r(s_j), with filters W of the distance r_ij.

    Vectors have their components in the order of the harmonics, y, z, x.
    """

    def __init__(self, channels: int, **grid: Any) -> None:
        super().__init__()
        self.network = MLP([channels, channels, 2 * channels])
        self.filters = SplineFilters(2 * channels, **grid)

    def forward(self, s: Scalars, near: Neighborhood) -> tuple[Scalars, Vectors]:
        for_s, for_v = self.network(s).chunk(2, dim=1)
        W_s, W_r = self.filters().chunk(2, dim=1)
        ds = neighbor_density(for_s, W_s, near.up_to(0)).squeeze(1)
        return s + ds, neighbor_density(for_v, W_r, near)[:, 1:]


class Message(nn.Module):
    """s_i + Σ_j W_s φ_s(s_j) and v_i + Σ_j [v_j W_v φ_v(s_j) + r̂_ij W_r φ_r(s_j)]."""

    def __init__(self, channels: int, **grid: Any) -> None:
        super().__init__()
        self.network = MLP([channels, channels, 3 * channels])
        self.filters = SplineFilters(3 * channels, **grid)

    def forward(self, s: Scalars, v: Vectors, near: Neighborhood) -> tuple[Scalars, Vectors]:
        for_s, of_v, for_v = self.network(s).chunk(3, dim=1)
        W_s, W_v, W_r = self.filters().chunk(3, dim=1)
        # One sum for the scalars and the three components.
        x = torch.cat([for_s, (v * of_v.unsqueeze(1)).flatten(1)], dim=1)
        sums = neighbor_density(x, torch.cat([W_s, W_v, W_v, W_v], dim=1), near.up_to(0)).unflatten(2, (4, -1))
        directed = neighbor_density(for_v, W_r, near)[:, 1:]
        return s + sums[:, 0, 0], v + sums[:, 0, 1:] + directed


class Update(nn.Module):
    """s + a_s + a_sv Uv·Vv and v + a_v Uv, with (a_s, a_sv, a_v) a network of s and √(|Vv|² + ε)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, 2 * channels, bias=False)
        self.network = MLP([2 * channels, channels, 3 * channels])

    def forward(self, s: Scalars, v: Vectors) -> tuple[Scalars, Vectors]:
        U, V = self.mix(v).chunk(2, dim=2)
        lengths = ((V * V).sum(dim=1) + SOFTENING).sqrt()
        a_s, a_sv, a_v = self.network(torch.cat([s, lengths], dim=1)).chunk(3, dim=1)
        return s + a_s + a_sv * (U * V).sum(dim=1), v + a_v.unsqueeze(1) * U


class PaiNN(Potential):
    """E_i = scale · [MLP(s_i) − MLP(s_0)], with scalar features s_i that exchange messages with vector features.

    s_0 are the scalars of an isolated atom of the same species, whose energy is therefore zero. Each interaction adds
    a `Message` and then an `Update` to scalars and vectors. Filters are linear in `functions` Bessel functions of the
    distance, and cubic splines on `knots` intervals up to the cutoff (Å). `scale` is in eV.

    Raises ValueError for sizes that make no model.
    Source: K. T. Schütt, O. T. Unke and M. Gastegger, ICML 2021, PMLR 139, 9377, section 4.
    """

    def __init__(
        self,
        species: Sequence[int],
        cutoff: float,
        *,
        channels: int = 128,
        interactions: int = 3,
        functions: int = 20,
        knots: int = 128,
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < cutoff < inf or channels < 2 or min(interactions, functions, knots) < 1:
            raise ValueError(
                f"PaiNN has cutoff={cutoff}, channels={channels}, interactions={interactions}, functions={functions} "
                f"and knots={knots}; expected a positive cutoff, at least two channels, and at least one of the others."
            )
        self.species, self.cutoff = tuple(species), cutoff
        self.channels, self.interactions = channels, interactions
        self.functions, self.knots = functions, knots
        self.scale, self.seed = scale, seed
        self.species_index = SpeciesIndex(species)
        with seeded(seed):
            self.embedding = nn.Embedding(len(self.species), channels)
            self.first = FirstMessage(channels, functions=functions, knots=knots, cutoff=cutoff)
            self.messages = nn.ModuleList(
                Message(channels, functions=functions, knots=knots, cutoff=cutoff) for _ in range(interactions - 1)
            )
            self.updates = nn.ModuleList(Update(channels) for _ in range(interactions))
            self.readout = MLP([channels, channels // 2, 1])
        self.float()

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float, **options: int) -> PaiNN:
        """An untrained PaiNN for the species of the data, with the root mean square force (times 1 Å) as scale."""
        return cls(species_of(frames), cutoff, scale=rms_force(frames), **options)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        kind, alone = self.species_index(graph.species), len(self.species)
        # The last rows are an isolated atom of each species, whose energies are the zero of the others.
        n_rows = graph.n_atoms + alone
        near = neighborhood(graph.vectors, graph.edges, n_rows, cutoff=self.cutoff, knots=self.knots, l_max=1)
        s = torch.cat([self.embedding(kind), self.embedding.weight])
        first, *others = self.updates
        s, v = first(*self.first(s, near))
        for message, update in zip(self.messages, others, strict=True):
            s, v = update(*message(s, v, near))
        energies, isolated = self.readout(s).squeeze(1).split([graph.n_atoms, alone])
        return self.scale * (energies - isolated[kind])
