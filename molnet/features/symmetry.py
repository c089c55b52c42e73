"""Atom-centred symmetry functions: what each atom's surroundings look like, whichever way they are turned."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.features.angular import G5
from molnet.features.choice import Block, Only, placed
from molnet.features.cutoffs import CutoffFunction, PolynomialCutoff
from molnet.features.radial import G2
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

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        return environment_sums(graph.vectors, graph.edges, self.elements(graph.species), self._terms)

    def plain(self, elements: Int[Tensor, " atoms"], edges: Int[Tensor, "2 edges"]) -> PlainEnvironments:
        """The features without torch, for edges that stay while vectors change; elements are places in `species`."""
        return PlainEnvironments(edges, elements, self._terms)


def _has(terms: Terms, element: int) -> bool:
    return not terms.centers or element in terms.centers
