"""Atom-centred symmetry functions: what each atom's surroundings look like, whichever way they are turned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.data.convert import to_graph
from molnet.data.labels import where
from molnet.data.statistics import species_of
from molnet.features.angular import G5
from molnet.features.cutoffs import CutoffFunction, PolynomialCutoff
from molnet.features.radial import G2
from molnet.features.ranges import refuse_not_finite
from molnet.features.selection import CUR, Selection, dropped, grid, merged, standardized
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
        self.dropped: dict[str, str] = {}
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

    @classmethod
    def from_data(
        cls,
        frames: Sequence[Atoms],
        *,
        n: int,
        cutoff: float,
        candidates: Sequence[Block] = (),
        selection: Selection = CUR(),  # noqa: B008 - frozen
        atoms: int = 2000,
    ) -> SymmetryFunctions:
        """The n or fewer functions that say most about the data, out of a systematic grid or of the candidates.

        Each candidate is chosen or not as a whole, for all elements of neighbours; so give one set of parameters each.
        About so many `atoms` of the frames are looked at. Functions that are constant there, or the same as others up
        to a factor and a constant, are left out: `dropped` has their names, with the reason.

        Raises ValueError where there is no function left, or where one isn't finite.
        """
        blocks = list(candidates) or grid(cutoff, shells=max(10, n // 2))
        every = cls(species_of(frames), blocks)
        sizes = [len(block.names([names([z]) for z in every.species])) for block in blocks]
        groups, titles = np.repeat(np.arange(len(blocks)), sizes), every.names
        step = max(1, sum(map(len, frames)) // atoms)
        values = []
        for index, structure in list(enumerate(frames))[::step]:
            values.append(every(to_graph(structure, every.cutoff)))
            refuse_not_finite(values[-1], structure.numbers.tolist(), titles, where(structure, index))
        found = torch.cat(values).numpy()
        left_out = dropped(found, titles)
        kept = np.array([title not in left_out for title in titles])
        chosen = selection(standardized(found[:, kept]), groups[kept], n)
        if not chosen:
            raise ValueError(
                f"of {len(titles)} candidates none is left for n = {n}: {len(left_out)} are constant or duplicates in "
                "the data. Give a larger n, more varied frames or other candidates."
            )
        made = cls(every.species, merged([blocks[k] for k in sorted(chosen)]))
        made.dropped = left_out
        return made

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
