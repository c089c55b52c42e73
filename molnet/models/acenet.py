"""ACENet: messages from the powers of neighbour densities, with scalar and vector features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise, product
from math import ceil, factorial, inf

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor, nn

from molnet.data.convert import to_graph
from molnet.data.statistics import rms_force, species_of
from molnet.graph import Graph
from molnet.kernels import Neighborhood, neighbor_density, neighborhood, spline_centers
from molnet.kernels.coupling import clebsch_gordan, map_components
from molnet.kernels.sphere import sphere_moments
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.potential import Potential, SpeciesIndex

L_MAX, HARMONICS = 3, 16
SPACING = 0.08
"""Of the splines' knots, Å."""
BESSELS, WIDTH = 8, 64
DEGREES = [degree for degree in range(L_MAX + 1) for _ in range(2 * degree + 1)]
VECTOR_DEGREES = DEGREES[:4]


class Filters(nn.Module):
    """Filters W_c(r) as control points of cubic splines: a network of sin(nπr/R)/r, times 1 − 10u³ + 15u⁴ − 6u⁵.

    The network, without biases at its end, is evaluated at the splines' centers and not on edges; u = r/R, with the
    cutoff R. Each of the `channels` serves as many components as are said beside it.
    """

    repeated: Tensor

    def __init__(self, cutoff: float, channels: int, components: Sequence[int]) -> None:
        super().__init__()
        r = spline_centers(cutoff, ceil(cutoff / SPACING)).clamp(min=0).unsqueeze(1)
        n, u = torch.arange(1, BESSELS + 1), r / cutoff
        basis = n * torch.sinc(n * u)
        self.register_buffer("basis", (basis / basis.square().mean().sqrt()).float(), persistent=False)
        self.register_buffer("envelope", (1 - 10 * u**3 + 15 * u**4 - 6 * u**5).float(), persistent=False)
        of = torch.arange(len(components) * channels).view(-1, channels)
        repeated = torch.cat([of[k : k + 1].expand(count, -1) for k, count in enumerate(components)]).flatten()
        self.register_buffer("repeated", repeated, persistent=False)
        self.network = MLP([BESSELS, WIDTH, WIDTH, len(components) * channels])

    def forward(self) -> Float[Tensor, "knots channels"]:
        return (self.envelope * self.network(self.basis)).index_select(1, self.repeated)


class PerDegree(nn.Module):
    """y_lm = x_lm W_l: the channels of each degree l, mixed; the one thing that linear maps can do to components."""

    degrees: Tensor

    def __init__(self, degrees: Sequence[int], inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("degrees", torch.tensor(degrees), persistent=False)
        self.weights = nn.Parameter(torch.randn(max(degrees) + 1, inputs, outputs) * inputs**-0.5)

    def forward(self, x: Float[Tensor, "atoms components inputs"]) -> Float[Tensor, "components atoms outputs"]:
        return torch.bmm(x.transpose(0, 1), self.weights.index_select(0, self.degrees))


@cache
def couplings(components: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, int]:
    """The entries of the map from densities to functions on the sphere, y_s,l3m3 = Σ C A_l1m1,l2m2, and its outputs.

    A has harmonics of the direction (l1, m1) and components of features of the neighbour (l2, m2): scalars, or scalars
    and vectors. Each y has as many slots s as there are ways to a degree with an even sum of degrees: one from scalars,
    and two from vectors, of which one stays zero where there is one way only.
    """
    slots = 1 if components == 1 else 3
    matrix = np.zeros((HARMONICS, slots, HARMONICS, components))
    used = [0] * (L_MAX + 1)
    for l2, l1, l3 in product(range(1 if components == 1 else 2), range(L_MAX + 1), range(L_MAX + 1)):
        if (l1 + l2 + l3) % 2 or not abs(l1 - l2) <= l3 <= l1 + l2:
            continue
        # Harmonics of norm one become components of norm one; ½ makes one of their sum on the sphere.
        C = 0.5 * (2 * l1 + 1) ** 0.5 * clebsch_gordan(l1, l2, l3).numpy()
        rows, columns, features = (slice(degree**2, (degree + 1) ** 2) for degree in (l3, l1, l2))
        matrix[rows, used[l3], columns, features] = C.transpose(2, 0, 1)
        used[l3] += 1
    flat = matrix.reshape(HARMONICS * slots, -1)
    entries = torch.from_numpy(np.stack(flat.nonzero())).to(device)
    return entries, torch.from_numpy(flat[flat != 0]).to(device, dtype), len(flat)


class Interaction(nn.Module):
    """Features h (scalars, and vectors but of the first interaction) gain messages of powers of their density.

        D = Σ_j Y(r̂_ij) W(r_ij) P h_j          A = V (C ⊗ D)          M_n = ∫ Aⁿ (1, Y_1) dΩ
        B = M (1 + G s_i)                        h_i ← h_i + U B + (MLP B_0, 0)

    P, V and U mix the channels of each degree; C are `couplings`, and G are gates from the atom's own scalars. Only the
    sum over j is over edges.
    """

    def __init__(self, channels: int, order: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.order, self.outputs = order, outputs
        self.project = PerDegree(VECTOR_DEGREES[:inputs], channels, channels)
        self.mix = PerDegree(DEGREES, (1 if inputs == 1 else 3) * channels, channels)
        self.gate = nn.Linear(channels, order * channels)
        nn.init.zeros_(self.gate.bias)
        # Powers of numbers of order one grow with the root of the factorial, about.
        sizes = torch.tensor([factorial(n) ** -0.5 for n in range(1, order + 1)])
        self.register_buffer("sizes", sizes.repeat_interleave(channels), persistent=False)
        self.update = PerDegree(VECTOR_DEGREES[:outputs], order * channels, channels)
        self.scalars = MLP([order * channels, channels, channels])

    def forward(
        self, h: Float[Tensor, "atoms inputs channels"], control_points: Tensor, near: Neighborhood
    ) -> Float[Tensor, "atoms outputs channels"]:
        atoms, inputs, channels = h.shape
        x = self.project(h).transpose(0, 1).reshape(atoms, -1)
        D = neighbor_density(x, control_points, near).view(atoms, -1, channels)
        A = self.mix(map_components(D, *couplings(inputs, D.dtype, D.device)).view(atoms, HARMONICS, -1))
        M = sphere_moments(A, order=self.order, components=self.outputs).flatten(2)
        B = M * (self.sizes * (1 + self.gate(h[:, 0]))).unsqueeze(1)
        message = self.update(B)
        s = (h[:, 0] + message[0] + self.scalars(B[:, 0])).unsqueeze(1)
        if self.outputs == 1:
            return s
        v = message[1:].transpose(0, 1)
        return torch.cat([s, v + h[:, 1:] if inputs > 1 else v], dim=1)


class ACENet(Potential):
    """E_i = scale · Σ_t [R_t(s_i^t) − R_t(s_0^t)] with the scalars s^t after each interaction t.

    s_0 are those of an isolated atom of the same species, whose energy is therefore zero. Messages are powers of
    neighbour densities up to `order`, which makes them functions of order + 1 bodies. They pass scalars and vectors
    from atom to atom. `neighbors` is the usual number of neighbours within the cutoff (Å), and `scale` is in eV.

    Raises ValueError for sizes that make no model.
    Source: after I. Batatia et al., NeurIPS 2022 (MACE), with the products of R. Drautz, Phys. Rev. B 99, 014104 (2019)
    taken on the sphere as in S. Luo et al., ICLR 2024.
    """

    def __init__(
        self,
        species: Sequence[int],
        cutoff: float,
        *,
        channels: int = 64,
        interactions: int = 2,
        order: int = 3,
        neighbors: float = 12.0,
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not (0 < cutoff < inf and channels >= 2 and interactions >= 1 and order >= 1 and neighbors > 0):
            raise ValueError(
                f"ACENet has cutoff={cutoff}, channels={channels}, interactions={interactions}, order={order} and "
                f"neighbors={neighbors}; expected a positive cutoff and number of neighbours, at least two channels, "
                "and at least one interaction and order."
            )
        self.species, self.cutoff = tuple(species), cutoff
        self.channels, self.interactions, self.order = channels, interactions, order
        self.neighbors, self.scale, self.seed = neighbors, scale, seed
        self.species_index = SpeciesIndex(species)
        components = [1, *[4] * (interactions - 1), 1]
        with seeded(seed):
            self.embedding = nn.Embedding(len(self.species), channels)
            self.filters = nn.ModuleList(Filters(cutoff, channels, [1, 3][: 1 + n // 4]) for n in components[:-1])
            self.layers = nn.ModuleList(Interaction(channels, order, *pair) for pair in pairwise(components))
            self.linear = nn.Linear(interactions * channels, 1)
            self.network = MLP([interactions * channels, channels // 2, 1])
        self.float()

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float, **options: int) -> ACENet:
        """An untrained ACENet for the species of the data, with their mean number of neighbours and force."""
        edges = sum(to_graph(atoms, cutoff).edges.shape[1] for atoms in frames)
        neighbors = max(1.0, edges / sum(len(atoms) for atoms in frames))
        return cls(species_of(frames), cutoff, neighbors=neighbors, scale=rms_force(frames), **options)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        kind, alone = self.species_index(graph.species), len(self.species)
        # The last rows are an isolated atom of each species, whose energies are the zero of the others.
        n_rows = graph.n_atoms + alone
        near = neighborhood(
            graph.vectors, graph.edges, n_rows, cutoff=self.cutoff, knots=ceil(self.cutoff / SPACING), l_max=L_MAX
        )
        h = torch.cat([self.embedding(kind), self.embedding.weight]).unsqueeze(1)
        scalars = []
        for layer, filters in zip(self.layers, self.filters, strict=True):
            h = layer(h, filters() * self.neighbors**-0.5, near)
            scalars.append(h[:, 0])
        s = torch.cat(scalars, dim=1)
        energies, isolated = (self.linear(s) + self.network(s)).squeeze(1).split([graph.n_atoms, alone])
        return self.scale * (energies - isolated[kind])
