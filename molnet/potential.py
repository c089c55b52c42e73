"""A potential maps a graph of atoms to atom energies; sums, means and multiples of them are potentials."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.graph import Graph


class UnknownSpecies(ValueError):
    """A structure holds a species that the potential wasn't made for."""


class Potential(nn.Module):
    """The only base class: E = Σ_i E_i, with the atom energies E_i a function of a `Graph`.

    A concrete potential is final. It stores its constructor arguments under their own names, sets `cutoff` (Å; 0 if
    it reads no neighbours) and `species` (the atomic numbers or bead types it knows; empty if it takes any), and
    vanishes smoothly at its cutoff, so that a longer neighbour list gives the same answer.
    """

    cutoff: float = 0.0
    species: tuple[int, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.provenance: dict[str, Any] = {}

    @abstractmethod
    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        """Atom energies in eV; terms are added and atoms summed in float64."""

    def __add__(self, other: Potential) -> Sum:
        mine = self.terms if isinstance(self, Sum) else [self]
        theirs = other.terms if isinstance(other, Sum) else [other]
        total = Sum([*mine, *theirs])
        for part in (other, self):
            if isinstance(part, Sum):
                total.provenance |= part.provenance
        return total

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that a graph is cast to; float64 for a potential without real parameters."""
        return _anchor(self).dtype

    @property
    def device(self) -> torch.device:
        return _anchor(self).device

    def refuse_unknown(self, species: Iterable[int]) -> None:
        """Raise `UnknownSpecies`, by name, unless all the species are known."""
        unknown = sorted(set(species) - set(self.species)) if self.species else []
        if unknown:
            raise UnknownSpecies(
                f"the structure holds {names(unknown)}, which {type(self).__name__} doesn't know; "
                f"it was made for {names(self.species)}. Fit it to data with these species."
            )


_NO_PARAMETERS = torch.zeros((), dtype=torch.float64)


def _anchor(module: nn.Module) -> Tensor:
    tensors = (t for source in (module.parameters(), module.buffers()) for t in source)
    return next((t for t in tensors if t.is_floating_point()), _NO_PARAMETERS)


def names(species: Iterable[int]) -> str:
    """Chemical symbols, or numbers for bead types beyond the periodic table."""
    return ", ".join(chemical_symbols[z] if 0 < z < len(chemical_symbols) else str(z) for z in species)


LARGEST_SPECIES = 9999


class SpeciesIndex(nn.Module):
    """Species to their places in a list of species: what embeddings and tables are indexed by."""

    table: Tensor

    def __init__(self, species: Iterable[int]) -> None:
        super().__init__()
        known = list(species)
        if not known or len(set(known)) < len(known) or not 0 <= min(known) <= max(known) <= LARGEST_SPECIES:
            raise ValueError(
                f"species are {known}; expected atomic numbers or bead types, each once, from 0 to {LARGEST_SPECIES}."
            )
        table = torch.full((max(known) + 1,), -1)
        table[known] = torch.arange(len(known))
        self.register_buffer("table", table, persistent=False)

    def forward(self, species: Int[Tensor, " atoms"]) -> Int[Tensor, " atoms"]:
        return self.table[species]


class Sum(Potential):
    """E_i = Σ_t E_i^(t): energies are added, then differentiated once."""

    terms: nn.ModuleList

    def __init__(self, terms: Iterable[Potential]) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)
        self.cutoff, self.species = _in_common(self, list(self.terms))

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        total = torch.zeros(graph.n_atoms, dtype=torch.float64, device=graph.positions.device)
        for term in self.terms:
            total = total + term(graph)
        return total


class Committee(Potential):
    """E_i = 1/n Σ_m E_i^(m): the mean of n potentials, whose spread says how far they are to be trusted.

    Source: Behler, J. Phys.: Condens. Matter 26, 183001 (2014).
    """

    def __init__(self, members: Iterable[Potential]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.cutoff, self.species = _in_common(self, list(self.members))

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        total = torch.zeros(graph.n_atoms, dtype=torch.float64, device=graph.positions.device)
        for member in self.members:
            total = total + member(graph)
        return total / len(self.members)


def _in_common(whole: Potential, parts: Sequence[Any]) -> tuple[float, tuple[int, ...]]:
    """The largest cutoff, and the species that all parts know."""
    if not parts:
        raise ValueError(f"a {type(whole).__name__} needs at least one potential.")
    known = [set(part.species) for part in parts if part.species]
    species = tuple(sorted(set.intersection(*known))) if known else ()
    if known and not species:
        made = "; ".join(names(sorted(each)) for each in known)
        raise ValueError(f"the potentials of this {type(whole).__name__} know no species in common: {made}.")
    return max(part.cutoff for part in parts), species


class Scaled(Potential):
    """E_i = scale · E_i^(potential)."""

    def __init__(self, potential: Potential, scale: float) -> None:
        super().__init__()
        self.potential, self.scale = potential, scale
        self.cutoff, self.species = potential.cutoff, potential.species

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        return self.scale * self.potential(graph)
