"""The general message passing network: a message function, a sum over neighbours, an update, and a readout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.data.statistics import rms_force, species_of
from molnet.graph import Graph
from molnet.kernels import neighbor_density, neighborhood
from molnet.nn.mlp import MLP
from molnet.nn.radial import SplineFilters, radial_basis
from molnet.nn.seeding import seeded
from molnet.potential import Potential, SpeciesIndex

Features = Float[Tensor, "atoms channels"]
Sums = Callable[[Tensor], Tensor]
"""From the features of all atoms to Σ_j M(h_i, h_j, r_ij), of the same shape."""


class MessageFunction(ABC):
    """M(h_i, h_j, r_ij), zero with two derivatives at the cutoff; as plain numbers, saved with the potential."""

    @abstractmethod
    def build(self, channels: int, cutoff: float) -> nn.Module:
        """A module from vectors, edges and the number of atoms to the `Sums` of all rounds."""


class UpdateFunction(ABC):
    """U(h_i, m_i); as plain numbers, saved with the potential."""

    @abstractmethod
    def build(self, channels: int) -> nn.Module:
        """A module from messages and features, in this order, to new features."""


@dataclass(frozen=True)
class GatedFilter(MessageFunction):
    """M = σ(G h_i) ∘ W(r_ij) ∘ P h_j: continuous filters, with a gate at the receiver, summed by the neighbour density.

    Filters are linear in `functions` Bessel functions, and splines on `knots` intervals up to the cutoff.
    """

    functions: int = 20
    knots: int = 128

    def build(self, channels: int, cutoff: float) -> nn.Module:
        return _GatedFilter(self, channels, cutoff)


class _GatedFilter(nn.Module):
    def __init__(self, sizes: GatedFilter, channels: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff, self.knots = cutoff, sizes.knots
        self.gate, self.project = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.filters = SplineFilters(channels, functions=sizes.functions, knots=sizes.knots, cutoff=cutoff)

    def forward(self, vectors: Float[Tensor, "edges 3"], edges: Int[Tensor, "2 edges"], n_atoms: int) -> Sums:
        near, filters = neighborhood(vectors, edges, n_atoms, cutoff=self.cutoff, knots=self.knots), self.filters()
        return lambda h: self.gate(h).sigmoid() * neighbor_density(self.project(h), filters, near).squeeze(1)


@dataclass(frozen=True)
class EdgeNetwork(MessageFunction):
    """M = A(r_ij) h_j: a network of the distance gives a matrix, A(r) = Σ_k a_k(r) A_k with `rank` functions a_k.

    With a layer of width `rank` before the linear one, this is the edge network of the paper (section 5.1); the sum
    over neighbours of a_k(r_ij) h_j comes before the matrices A_k. `functions` is the number of Bessel functions.
    """

    rank: int = 8
    functions: int = 20

    def build(self, channels: int, cutoff: float) -> nn.Module:
        return _EdgeNetwork(self, channels, cutoff)


class _EdgeNetwork(nn.Module):
    def __init__(self, sizes: EdgeNetwork, channels: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff, self.functions = cutoff, sizes.functions
        self.network = MLP([sizes.functions + 1, channels, sizes.rank])
        self.matrices = nn.Linear(sizes.rank * channels, channels, bias=False)

    def forward(self, vectors: Float[Tensor, "edges 3"], edges: Int[Tensor, "2 edges"], n_atoms: int) -> Sums:
        basis = radial_basis(vectors.norm(dim=1), self.cutoff, self.functions)
        # The first function is the envelope: the network's biases don't vanish at the cutoff.
        a = (self.network(basis) * basis[:, :1]).unsqueeze(2)

        def sums(h: Tensor) -> Tensor:
            products = (a * h.index_select(0, edges[1]).unsqueeze(1)).flatten(1)
            return self.matrices(_summed(products, edges[0], n_atoms))

        return sums


@dataclass(frozen=True)
class PairNetwork(MessageFunction):
    """M = f(r_ij) MLP(h_i, h_j, r_ij), a network of both atoms and `functions` Bessel functions of the distance."""

    functions: int = 20

    def build(self, channels: int, cutoff: float) -> nn.Module:
        return _PairNetwork(self, channels, cutoff)


class _PairNetwork(nn.Module):
    def __init__(self, sizes: PairNetwork, channels: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff, self.functions = cutoff, sizes.functions
        # The first layer is a sum of three, two of which run on atoms; the last one runs on sums.
        self.receiver, self.sender = nn.Linear(channels, channels), nn.Linear(channels, channels, bias=False)
        self.radial = nn.Linear(sizes.functions + 1, channels, bias=False)
        self.last = nn.Linear(channels, channels, bias=False)

    def forward(self, vectors: Float[Tensor, "edges 3"], edges: Int[Tensor, "2 edges"], n_atoms: int) -> Sums:
        basis = radial_basis(vectors.norm(dim=1), self.cutoff, self.functions)
        radial, envelope = self.radial(basis), basis[:, :1]

        def sums(h: Tensor) -> Tensor:
            receiver, sender = self.receiver(h).index_select(0, edges[0]), self.sender(h).index_select(0, edges[1])
            hidden = nn.functional.silu(receiver + sender + radial)
            return self.last(_summed(envelope * hidden, edges[0], n_atoms))

        return sums


def _summed(x: Float[Tensor, "edges channels"], centers: Int[Tensor, " edges"], n_atoms: int) -> Features:
    return x.new_zeros((n_atoms, x.shape[1])).index_add(0, centers, x)


@dataclass(frozen=True)
class GRU(UpdateFunction):
    """h_i ← GRU(h_i, m_i), a gated recurrent unit."""

    def build(self, channels: int) -> nn.Module:
        return nn.GRUCell(channels, channels)


@dataclass(frozen=True)
class Residual(UpdateFunction):
    """h_i ← h_i + MLP(m_i)."""

    def build(self, channels: int) -> nn.Module:
        return _Residual(channels)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.network = MLP([channels, channels, channels])

    def forward(self, messages: Features, features: Features) -> Features:
        return features + self.network(messages)


class MPNN(Potential):
    """E_i = scale · [R(h_i^T, h_i^0) − R of an isolated atom], after T rounds of messages and updates,

        m_i = Σ_j M(h_i, h_j, r_ij)      h_i ← U(h_i, m_i)      R = σ(MLP(h^T, h^0)) · MLP(h^T),

    which all rounds share. h^0 is a vector of the species; `scale` is in eV.

    Raises ValueError for sizes that make no model.
    Source: J. Gilmer et al., ICML 2017, PMLR 70, 1263, equations 1, 2 and 4.
    """

    def __init__(
        self,
        species: Sequence[int],
        cutoff: float,
        *,
        channels: int = 64,
        rounds: int = 3,
        message: MessageFunction = GatedFilter(),
        update: UpdateFunction = GRU(),
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < cutoff < inf or channels < 2 or rounds < 1:
            raise ValueError(
                f"MPNN has cutoff={cutoff}, channels={channels} and rounds={rounds}; expected a positive cutoff, at "
                "least two channels and one round."
            )
        self.species, self.cutoff = tuple(species), cutoff
        self.channels, self.rounds = channels, rounds
        self.message, self.update = message, update
        self.scale, self.seed = scale, seed
        self.species_index = SpeciesIndex(species)
        with seeded(seed):
            self.embedding = nn.Embedding(len(self.species), channels)
            self.messages, self.updates = message.build(channels, cutoff), update.build(channels)
            self.gate = MLP([2 * channels, channels, 1])
            self.readout = MLP([channels, channels, 1])
        self.float()

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float, **options: Any) -> MPNN:
        """An untrained MPNN for the species of the data, with the root mean square force (times 1 Å) as scale."""
        return cls(species_of(frames), cutoff, scale=rms_force(frames), **options)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        kind, alone = self.species_index(graph.species), len(self.species)
        # The last rows are an isolated atom of each species, whose energies are the zero of the others.
        sums = self.messages(graph.vectors, graph.edges, graph.n_atoms + alone)
        h = start = torch.cat([self.embedding(kind), self.embedding.weight])
        for _ in range(self.rounds):
            h = self.updates(sums(h), h)
        found = self.gate(torch.cat([h, start], dim=1)).sigmoid() * self.readout(h)
        energies, isolated = found.squeeze(1).split([graph.n_atoms, alone])
        return self.scale * (energies - isolated[kind])
