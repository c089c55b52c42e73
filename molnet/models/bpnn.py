"""Behler–Parrinello networks: atom energies from symmetry functions, one small network per element."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor

from molnet.data.convert import to_graph
from molnet.data.labels import naming, where
from molnet.data.statistics import rms_force, species_of
from molnet.features.design import AtomFeatures
from molnet.features.ranges import Ranges, refuse_not_finite
from molnet.features.symmetry import SymmetryFunctions
from molnet.graph import Graph
from molnet.nn.activations import Activation, SiLU
from molnet.nn.mlp import GroupedMLP
from molnet.nn.seeding import seeded
from molnet.potential import Potential

Hidden = Sequence[int] | Sequence[Sequence[int]]


class BPNN(Potential):
    """E_i = scale · MLP_Z[(G_i − mean_Z)/spread_Z] with the symmetry functions G_i of atom i and its element Z.

    Mean and spread of the features are those that `standardize` measures, for each element; scale is in eV. The widths
    of the hidden layers are the same for all elements, or a sequence for each in the order of the features' species;
    there may be an activation for each hidden layer.

    Raises ValueError for widths of more or fewer elements than there are.
    Source: Behler & Parrinello, Phys. Rev. Lett. 98, 146401 (2007).
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        features: AtomFeatures,
        *,
        hidden: Hidden = (32, 32),
        activation: Activation | Sequence[Activation] = SiLU(),  # noqa: B008 - frozen
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.activation, self.scale, self.seed = features, activation, scale, seed
        self.species, self.cutoff, self.hidden = features.species, features.cutoff, hidden
        elements, inputs = len(self.species), max(features.counts)
        with seeded(seed):
            each = zip(features.counts, _of_each(hidden, elements), strict=True)
            widths = [[count, *layers, 1] for count, layers in each]
            self.networks = GroupedMLP(widths, activation=activation)
        self.ranges = Ranges(elements, inputs)
        self.register_buffer("mean", torch.zeros((elements, inputs), dtype=torch.float32))
        self.register_buffer("spread", torch.ones((elements, inputs), dtype=torch.float32))

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float, hidden: Hidden = (32, 32), seed: int = 0) -> BPNN:
        """An untrained network with the default features, standardized on the data.

        The scale is the root mean square force times 1 Å.
        """
        features = SymmetryFunctions.default(species_of(frames), cutoff)
        model = cls(features, hidden=hidden, scale=rms_force(frames), seed=seed)
        model.standardize(frames)
        return model

    @torch.no_grad()
    def standardize(self, frames: Sequence[Atoms]) -> None:
        """Set the mean, spread and ranges of the features to those of the data, element by element.

        The spread is the standard deviation, but for features that hardly vary a hundredth of the largest one, so
        that their small changes don't look large later. Raises ValueError for a feature that isn't finite.
        """
        graphs, each = list[Graph](), list[Tensor]()
        for index, atoms in enumerate(frames):
            with naming(atoms, index):
                graphs.append(to_graph(atoms, self.cutoff))
            each.append(self.features(graphs[-1]))
            refuse_not_finite(each[-1], atoms.numbers.tolist(), self.features.names, where(atoms, index))
        values = torch.cat(each)
        elements = self.features.elements(torch.cat([graph.species for graph in graphs]))
        self.ranges.measure(values, elements)
        for number in elements.unique().tolist():
            mine = values[elements == number]
            spread = mine.std(dim=0, correction=0)
            floor = 0.01 * spread.max() if spread.any() else 1.0
            self.mean[number] = mine.mean(dim=0)
            self.spread[number] = spread.clamp(min=floor)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        return self.of_features(self.features(graph), self.features.elements(graph.species))

    def of_features(
        self, values: Float[Tensor, "atoms features"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, " atoms"]:
        """The atom energies (eV) for features that are known; elements are places in `species`."""
        mean, spread = (table.index_select(0, element) for table in (self.mean, self.spread))
        return self.scale * self.networks((values - mean) / spread, element).squeeze(1)


def _of_each(hidden: Hidden, elements: int) -> list[list[int]]:
    shared = [width for width in hidden if isinstance(width, int)]
    each = [list(widths) for widths in hidden if not isinstance(widths, int)]
    if not each:
        return [shared] * elements
    if shared or len(each) != elements:
        raise ValueError(
            f"hidden = {hidden} has the widths of {len(each)} elements and {len(shared)} layers of all; expected those "
            f"of the {elements} species of the features, or of all at once."
        )
    return each
