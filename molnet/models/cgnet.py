"""CGnet: the free energy of a molecule of beads as a network of its internal coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.data.conformations import Conformations
from molnet.features.statistics import all_pairs, coordinates_of, feature_statistics
from molnet.graph import Graph
from molnet.kernels.internal import InternalCoordinates
from molnet.nn.activations import Tanh
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.potential import Potential
from molnet.units import KB

_NARROWEST = 1e-3
"""The least width of a feature (Å, rad or one), so that a constrained one doesn't get a force without bounds."""

Terms = Sequence[Sequence[int]]


class CGnet(Potential):
    """E = scale · MLP(x), with x the standardized internal coordinates of one molecule, in equal parts on its beads.

    The coordinates are distances of `pairs`, `angles`, and cos φ and sin φ of `dihedrals`, given by the places of
    beads in the molecule; `normalization` has the mean and the standard deviation of each, in this order. `beads` are
    the types of the molecule's beads, and graphs hold it, or replicas of it, with the beads in that order: the energy
    isn't the same when beads of one type change places. `scale` is in eV, and activations are tanh. It reads no
    neighbours, and molecules aren't periodic.

    Source: J. Wang et al., ACS Cent. Sci. 5, 755 (2019).
    """

    mean: Tensor
    inverse: Tensor

    def __init__(
        self,
        beads: Sequence[int],
        pairs: Terms,
        angles: Terms,
        dihedrals: Terms,
        normalization: Sequence[Sequence[float]],
        *,
        hidden: Sequence[int] = (128, 128, 128),
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.beads, self.hidden = tuple(beads), tuple(hidden)
        self.pairs, self.angles, self.dihedrals = (
            tuple(tuple(term) for term in terms) for terms in (pairs, angles, dihedrals)
        )
        self.normalization = tuple(tuple(row) for row in normalization)
        self.scale, self.seed = scale, seed
        self.species = tuple(sorted(set(self.beads)))
        width = len(self.pairs) + len(self.angles) + 2 * len(self.dihedrals)
        if not width or [len(row) for row in self.normalization] != [2] * width:
            raise ValueError(
                f"there are {width} features and {len(self.normalization)} rows of normalization; expected a mean and "
                "a standard deviation for each, and one feature at least."
            )
        self.register_buffer("types", torch.tensor(self.beads), persistent=False)
        self.coordinates = _Coordinates(self.pairs, self.angles, self.dihedrals)
        mean, std = torch.tensor(self.normalization, dtype=torch.float32).unbind(1)
        self.register_buffer("mean", mean.contiguous(), persistent=False)
        self.register_buffer("inverse", 1 / std, persistent=False)
        with seeded(seed):
            self.network = MLP([width, *self.hidden, 1], activation=Tanh())

    @classmethod
    def like(
        cls,
        conformations: Conformations,
        *,
        features: Sequence[str] = ("pairs", "angles", "dihedrals"),
        hidden: Sequence[int] = (128, 128, 128),
        seed: int = 0,
    ) -> CGnet:
        """An untrained CGnet of all pairs, angles and dihedrals of a molecule, or of some of these; kT as scale."""
        molecule = conformations.molecule
        every: dict[str, Terms] = {
            "pairs": all_pairs(molecule),
            "angles": molecule.angles,
            "dihedrals": molecule.dihedrals,
        }
        if unknown := set(features) - set(every):
            raise ValueError(f"features are {', '.join(every)}; found {', '.join(sorted(unknown))}.")
        pairs, angles, dihedrals = (terms if name in features else () for name, terms in every.items())
        found = feature_statistics(conformations, pairs=pairs, angles=angles, dihedrals=dihedrals)
        widths = found.std.clip(min=_NARROWEST)
        normalization = list(zip(found.mean.tolist(), widths.tolist(), strict=True))
        scale = KB * conformations.temperature
        return cls(molecule.species, pairs, angles, dihedrals, normalization, hidden=hidden, scale=scale, seed=seed)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        self._refuse_others(graph)
        n = len(self.beads)
        features = self.coordinates(graph.positions.view(graph.n_graphs, n, 3))
        energies = self.network((features - self.mean) * self.inverse)
        return (self.scale / n * energies).expand(-1, n).reshape(-1)

    def layers(self) -> tuple[list[Tensor], list[Tensor]]:
        """The weights, with a row for each input, and the biases of all layers."""
        layers: Any = self.network.layers
        return [layer.weight.T for layer in layers], [layer.bias for layer in layers]

    def _refuse_others(self, graph: Graph) -> None:
        """Raise ValueError unless the graph holds replicas of the molecule and no cell."""
        shape = (graph.n_graphs, len(self.beads))
        same = graph.n_atoms == shape[0] * shape[1]
        if same:
            number, species = graph.graph_index.view(shape), graph.species.view(shape)
            same = bool(((species == self.types) & (number == number[:, :1])).all())
        if not same or bool(graph.cell.any()):
            raise ValueError(
                f"a CGnet is for one molecule, here of beads of the types {', '.join(map(str, self.beads))}, in this "
                f"order and without a cell; the structure has {graph.n_atoms} atoms of the types "
                f"{', '.join(map(str, graph.species[: 2 * len(self.beads)].tolist()))} … in {graph.n_graphs} molecules."
            )


class _Coordinates(nn.Module):
    """The internal coordinates of a molecule, with its terms on the device of the model."""

    pairs: Tensor
    angles: Tensor
    dihedrals: Tensor

    def __init__(self, pairs: Terms, angles: Terms, dihedrals: Terms) -> None:
        super().__init__()
        made = coordinates_of(pairs, angles, dihedrals)
        self.register_buffer("pairs", made.pairs, persistent=False)
        self.register_buffer("angles", made.angles, persistent=False)
        self.register_buffer("dihedrals", made.dihedrals, persistent=False)

    def forward(self, positions: Float[Tensor, "graphs beads 3"]) -> Float[Tensor, "graphs features"]:
        return InternalCoordinates(self.pairs, self.angles, self.dihedrals)(positions)
