"""Atom-centred symmetry functions: what each atom's surroundings look like, whichever way they are turned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.data.convert import to_graph
from molnet.data.labels import naming, where
from molnet.data.statistics import species_of
from molnet.features.angular import G5
from molnet.features.choice import Block, Only, placed
from molnet.features.cutoffs import CutoffFunction, PolynomialCutoff
from molnet.features.radial import G2
from molnet.features.ranges import refuse_not_finite
from molnet.features.selection import CUR, Selection, dropped, grid, standardized, without
from molnet.graph import Graph
from molnet.kernels import PlainEnvironments, Terms, encoded, environment_sums
from molnet.potential import SpeciesIndex, names


class SymmetryFunctions(nn.Module):
    """The features of each atom, block by block: sums over neighbours and pairs of neighbours, by element.

    Atoms without neighbours have zeros. Elements stand in the order of `species`. With `Only` among the blocks, atoms
    of each element have their own functions: `counts` of them, at the beginning of a row that ends with zeros. Without
    dimension.
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
        self._blocks = [placed(block, self.species) for block in self.blocks]
        number, inner = cutoff_function.number, cutoff_function.inner
        self._terms = encoded(self._blocks, number, len(self.species), inner=inner)
        self.counts = self._terms.counts

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

        Functions that are constant there, or the same as others up to a factor and a constant, are left out: `dropped`
        has their names, with the reason. Of each candidate the others, for all elements of neighbours, are chosen
        together or not; so give one set of parameters each. About so many `atoms` of the frames are looked at.

        Raises ValueError where there is no function left, or where one isn't finite.
        """
        blocks = list(candidates) or grid(cutoff, shells=max(10, n // 2))
        every = cls(species_of(frames), blocks)
        sizes = [len(block.names([names([z]) for z in every.species])) for block in blocks]
        groups, titles = np.repeat(np.arange(len(blocks)), sizes), every.names
        step = max(1, sum(map(len, frames)) // atoms)
        values = []
        for index, structure in list(enumerate(frames))[::step]:
            with naming(structure, index):
                graph = to_graph(structure, every.cutoff)
            values.append(every(graph))
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
        made = cls(every.species, without(left_out, [blocks[k] for k in sorted(chosen)], every.species))
        made.dropped = left_out
        return made

    @property
    def names(self) -> list[str]:
        """What each feature is; where that depends on the element of the atom, for each element."""
        if not any(terms.centers for terms in self._blocks):
            return self.names_of(self.species[0])
        every = [(names([z]), self.names_of(z)) for z in self.species]
        width = self._terms.n_features
        return ["; ".join(f"{z}: {mine[k]}" for z, mine in every if k < len(mine)) for k in range(width)]

    def names_of(self, species: int) -> list[str]:
        """What each feature of the atoms of an element is."""
        symbols, element = [names([z]) for z in self.species], self.species.index(species)
        pairs = zip(self.blocks, self._blocks, strict=True)
        return [name for block, terms in pairs if _has(terms, element) for name in block.names(symbols)]

    def columns(self, element: int, present: Sequence[int]) -> list[int]:
        """Which features of an element's atoms may differ from zero where only some elements are present.

        Elements are places in `species`.
        """
        at = 0
        kept: list[int] = []
        for terms in self._blocks:
            if not _has(terms, element):
                continue
            for group in terms.groups(len(self.species)):
                kept += range(at, at + terms.combinations()) if set(group) <= set(present) else []
                at += terms.combinations()
        return kept

    def among(self, present: Sequence[int]) -> SymmetryFunctions:
        """The features for these elements only, places in `species` in ascending order."""
        species = [self.species[element] for element in present]

        def stays(block: Block) -> bool:
            return not isinstance(block, Only) or {*block.neighbors, block.center} <= {0, *species}

        return SymmetryFunctions(species, [block for block in self.blocks if stays(block)], self.cutoff_function)

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


def _has(terms: Terms, element: int) -> bool:
    return not terms.centers or element in terms.centers
