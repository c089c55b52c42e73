"""Atom-centred symmetry functions: what each atom's surroundings look like, whichever way they are turned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.features.angular import G5
from molnet.features.cutoffs import CutoffFunction, PolynomialCutoff
from molnet.features.radial import G2
from molnet.graph import Graph
from molnet.kernels import PlainEnvironments, Terms, encoded, environment_sums
from molnet.potential import SpeciesIndex, names


@runtime_checkable
class Block(Protocol):
    """A family of symmetry functions with one cutoff (Å): `G1` to `G5`, `AniRadial`, `AniAngular`."""

    @property
    def cutoff(self) -> float: ...

    def terms(self) -> Terms: ...

    def names(self, elements: list[str]) -> list[str]: ...


class SymmetryFunctions(nn.Module):
    """The features of each atom, block by block: sums over neighbours and pairs of neighbours, by element.

    Atoms without neighbours have zeros. Elements stand in the order of `species`. Without dimension.
    """

    def __init__(
        self,
        species: Sequence[int],
        blocks: Sequence[Block],
        cutoff_function: CutoffFunction = PolynomialCutoff(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.species, self.blocks, self.cutoff_function = tuple(species), tuple(blocks), cutoff_function
        if not self.species or not self.blocks:
            raise ValueError("symmetry functions need at least one species and one block, such as G2(...).")
        self.cutoff = max(block.cutoff for block in self.blocks)
        self.elements = SpeciesIndex(self.species)
        # In double precision on the CPU wherever the module is: read as numbers.
        self._terms = encoded([block.terms() for block in blocks], cutoff_function.number, len(self.species))

    @classmethod
    def default(cls, species: Sequence[int], cutoff: float) -> SymmetryFunctions:
        """A general set: G2 on a grid of shifts per element, and G5 with ζ = 1 and 3 per pair of elements."""
        # Gaussians as wide as their spacing: a network learns smooth potentials from them much faster than from
        # narrow ones.
        step, inner = cutoff / 14, 0.75 * cutoff
        radial = G2(cutoff, (0.6 / step**2,), tuple(step * k for k in range(2, 13)))
        angular = G5(inner, (4 / inner**2,), (1.0, -1.0), (1.0, 3.0), (0.0, inner / 3, 2 * inner / 3))
        return cls(species, (radial, angular))

    @property
    def names(self) -> list[str]:
        """What each feature is."""
        symbols = [names([z]) for z in self.species]
        return [name for block in self.blocks for name in block.names(symbols)]

    @property
    def degrees(self) -> list[int]:
        """One each, so that products of up to `degree` features have that degree."""
        return [1] * self._terms.n_features

    def jacobian(self, graph: Graph) -> tuple[Float[Tensor, "atoms features"], Float[Tensor, "edges features 3"]]:
        """The features of each atom in float64, and their derivatives with respect to the vectors of its own edges."""
        vectors = graph.vectors.detach().double().cpu().contiguous().numpy()
        values, pullback = self.plain(self.elements(graph.species).cpu(), graph.edges.cpu())(vectors)
        slopes = np.empty((vectors.shape[0], values.shape[1], 3))
        for feature in range(values.shape[1]):
            chosen = np.zeros_like(values)
            chosen[:, feature] = 1.0
            slopes[:, feature] = pullback(chosen)
        return torch.from_numpy(values), torch.from_numpy(slopes)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        return environment_sums(graph.vectors, graph.edges, self.elements(graph.species), self._terms)

    def plain(self, elements: Int[Tensor, " atoms"], edges: Int[Tensor, "2 edges"]) -> PlainEnvironments:
        """The features without torch, for edges that stay while vectors change; elements are places in `species`."""
        return PlainEnvironments(edges, elements, self._terms)
