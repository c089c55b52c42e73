"""Graph attention: atoms weigh their neighbours by a softmax that stays smooth when one enters."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.data.statistics import rms_force, species_of
from molnet.graph import Graph
from molnet.nn.mlp import MLP
from molnet.nn.radial import radial_basis
from molnet.nn.seeding import seeded
from molnet.potential import Potential, SpeciesIndex


def smooth_softmax(
    logits: Float[Tensor, "edges heads"],
    envelope: Float[Tensor, "edges 1"],
    centers: Int[Tensor, " edges"],
    n_atoms: int,
) -> Float[Tensor, "edges heads"]:
    """α_ij = f_ij exp(a_ij) / [1 + Σ_k f_ik exp(a_ik)] with the logits a and the envelope f.

    A neighbour that enters changes all weights smoothly, since f is zero at the cutoff with two derivatives. The one in
    the denominator does the same for the first neighbour: without it, α is 1 however small f is.
    """
    # α is the same for any shift, so the largest logit of an atom, or 0, is a constant for derivatives.
    zeros = logits.new_zeros((n_atoms, logits.shape[1]))
    rows = centers.unsqueeze(1).expand_as(logits)
    shift = zeros.scatter_reduce(0, rows, logits.detach(), "amax")
    weights = envelope * (logits - shift.index_select(0, centers)).exp()
    total = (-shift).exp().index_add(0, centers, weights)
    return weights / total.index_select(0, centers)


class Attention(nn.Module):
    """h_i + MLP(Σ_j α_ij W(r_ij) ∘ V h_j) with logits a_ij = (Q h_i)·(K h_j)/√d + b(r_ij), head by head.

    W and b are linear in the radial basis, whose envelope is thus outside of the softmax, too.
    """

    def __init__(self, channels: int, heads: int, functions: int) -> None:
        super().__init__()
        self.heads, self.root = heads, (channels // heads) ** 0.5
        self.queries = nn.Linear(channels, channels)
        self.keys_values = nn.Linear(channels, 2 * channels)
        self.radial = nn.Linear(functions + 1, heads + channels, bias=False)
        self.update = MLP([channels, channels, channels])

    def forward(
        self, h: Float[Tensor, "atoms channels"], basis: Float[Tensor, "edges functions"], edges: Int[Tensor, "2 edges"]
    ) -> Float[Tensor, "atoms channels"]:
        (centers, neighbors), n_atoms = edges, h.shape[0]
        q = self.queries(h).index_select(0, centers)
        k, v = self.keys_values(h).index_select(0, neighbors).chunk(2, dim=1)
        b, W = self.radial(basis).split([self.heads, h.shape[1]], dim=1)
        logits = (q * k).unflatten(1, (self.heads, -1)).sum(dim=2) / self.root + b
        weights = smooth_softmax(logits, basis[:, :1], centers, n_atoms)
        values = weights.unsqueeze(2) * (W * v).unflatten(1, (self.heads, -1))
        return h + self.update(torch.zeros_like(h).index_add(0, centers, values.flatten(1)))


class AttentionMPNN(Potential):
    """E_i = scale · [MLP(h_i) − MLP(h_0)], with features h_i that pass some layers of `Attention` with several heads.

    h_0 are the features of an isolated atom of the same species, whose energy is therefore zero. `functions` is the
    number of Bessel functions of the distance up to the cutoff (Å); `scale` is in eV.

    Raises ValueError for sizes that make no model.
    Sources: A. Vaswani et al., NeurIPS 2017, section 3.2; P. Veličković et al., ICLR 2018, section 2.1.
    """

    def __init__(
        self,
        species: Sequence[int],
        cutoff: float,
        *,
        channels: int = 64,
        layers: int = 3,
        heads: int = 4,
        functions: int = 20,
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < cutoff < inf or min(layers, heads, functions) < 1 or channels < 2 or channels % heads:
            raise ValueError(
                f"AttentionMPNN has cutoff={cutoff}, channels={channels}, layers={layers}, heads={heads} and "
                f"functions={functions}; expected a positive cutoff, two channels or more in equal parts for the "
                "heads, and at least one of the others."
            )
        self.species, self.cutoff = tuple(species), cutoff
        self.channels, self.layers, self.heads, self.functions = channels, layers, heads, functions
        self.scale, self.seed = scale, seed
        self.species_index = SpeciesIndex(species)
        with seeded(seed):
            self.embedding = nn.Embedding(len(self.species), channels)
            self.attention = nn.ModuleList(Attention(channels, heads, functions) for _ in range(layers))
            self.readout = MLP([channels, channels // 2, 1])
        self.float()

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float, **options: Any) -> AttentionMPNN:
        """An untrained network for the species of the data, with the root mean square force (times 1 Å) as scale."""
        return cls(species_of(frames), cutoff, scale=rms_force(frames), **options)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        kind, alone = self.species_index(graph.species), len(self.species)
        basis = radial_basis(graph.distances, self.cutoff, self.functions)
        # The last rows are an isolated atom of each species, whose energies are the zero of the others.
        h = torch.cat([self.embedding(kind), self.embedding.weight])
        for layer in self.attention:
            h = layer(h, basis, graph.edges)
        energies, isolated = self.readout(h).squeeze(1).split([graph.n_atoms, alone])
        return self.scale * (energies - isolated[kind])
