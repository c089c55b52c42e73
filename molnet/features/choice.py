"""Which sums of a block an atom has: those of some elements, of some parameters, or with elements as weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from molnet.kernels import Terms
from molnet.potential import names


@runtime_checkable
class Block(Protocol):
    """A family of symmetry functions with one cutoff (Å): `G1` to `G5`, `AniRadial`, `AniAngular`, windows."""

    @property
    def cutoff(self) -> float: ...

    def terms(self) -> Terms: ...

    def names(self, elements: list[str]) -> list[str]: ...


@dataclass(frozen=True)
class Weighted:
    """The sums of a block over neighbours of all elements together, each times its atomic number, Z_j or Z_j Z_k.

    Source: Gastegger et al., J. Chem. Phys. 148, 241709 (2018).
    """

    block: Block

    @property
    def cutoff(self) -> float:
        return self.block.cutoff

    def terms(self) -> Terms:
        return self.block.terms()

    def names(self, elements: list[str]) -> list[str]:
        return [f"Weighted {name}" for name in self.block.names(["*"])]


@dataclass(frozen=True)
class Only:
    """Some sums of a block: those of atoms of the element `center`, over the element or the pair in `neighbors`.

    Elements are atomic numbers; without `neighbors`, and with a center of 0, there is no such restriction. `chosen` are
    the numbers, from zero, of the combinations of parameters that are kept; all of them where it is empty.
    """

    block: Block
    center: int = 0
    neighbors: Sequence[int] = ()
    chosen: Sequence[int] = ()

    @property
    def cutoff(self) -> float:
        return self.block.cutoff

    def terms(self) -> Terms:
        found = self.block.terms()
        return found.select(self.chosen) if self.chosen else found

    def names(self, elements: list[str]) -> list[str]:
        wanted = list(dict.fromkeys(names([z]) for z in self.neighbors))
        found, every = self.block.names(wanted or elements), self.block.terms().combinations()
        groups = [found[k : k + every] for k in range(0, len(found), every)]
        if len(wanted) == 2:
            # Of the pairs of two elements, the mixed one.
            groups = groups[1:2]
        return [group[k] for group in groups for k in self.chosen or range(every)]


def placed(block: Block, species: Sequence[int]) -> Terms:
    """A block's terms, with places among species in place of atomic numbers."""
    terms = block.terms()
    if isinstance(block, Only):
        if block.center:
            terms = replace(terms, centers=(species.index(block.center),))
        terms = replace(terms, neighbors=tuple(sorted(species.index(z) for z in block.neighbors)))
        block = block.block
    if isinstance(block, Weighted):
        terms = replace(terms, weights=tuple(float(z) for z in species))
    return terms
