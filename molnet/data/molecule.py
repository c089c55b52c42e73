"""What stays while a molecule moves: its atoms or beads, their masses, and the terms between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import mdtraj
import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor

from molnet.data.topology import TERMS, paths
from molnet.graph import Graph


@dataclass(frozen=True)
class Molecule:
    """The beads of a molecule that isn't periodic: their types (1, 2, …), masses (amu), names, residues and terms.

    Terms are tuples of places: bonds (i, j), angles (i, j, k) and dihedrals (i, j, k, l). Raises ValueError where
    the lists don't fit together.
    """

    species: tuple[int, ...]
    masses: tuple[float, ...]
    names: tuple[str, ...]
    residues: tuple[str, ...]
    bonds: tuple[tuple[int, ...], ...]
    angles: tuple[tuple[int, ...], ...]
    dihedrals: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        n = len(self.species)
        counts = [len(self.masses), len(self.names), len(self.residues)]
        if n == 0 or counts != [n] * 3:
            raise ValueError(f"a molecule has {n} types, and {counts} masses, names and residues; expected as many.")
        if min(self.species) < 1 or not all(0 < mass < np.inf for mass in self.masses):
            raise ValueError(f"types are {self.species} and masses {self.masses}; expected 1 or more, and positive.")
        for name, k in TERMS.items():
            for term in getattr(self, name):
                if len(set(term)) != k or len(term) != k or not 0 <= min(term) <= max(term) < n:
                    raise ValueError(f"{term} is no term for {name}: expected {k} different beads of {n}.")

    @classmethod
    def bonded(
        cls,
        names: Sequence[str],
        masses: Sequence[float],
        *,
        bonds: Iterable[tuple[int, int]],
        residues: Sequence[str] | None = None,
        species: Sequence[int] | None = None,
    ) -> Molecule:
        """A molecule with all the angles and dihedrals along its bonds; by default each bead is its own type.

        A residue is its name and number, such as ALA2; beads of the same residue stand together.
        """
        pairs = [(int(i), int(j)) for i, j in bonds]
        return cls(
            species=tuple(int(z) for z in species or range(1, len(names) + 1)),
            masses=tuple(float(mass) for mass in masses),
            names=tuple(names),
            residues=tuple(residues or ["MOL1"] * len(names)),
            bonds=tuple((min(pair), max(pair)) for pair in pairs),
            angles=tuple(paths(pairs, 3)),
            dihedrals=tuple(paths(pairs, 4)),
        )

    def __len__(self) -> int:
        return len(self.species)

    def graph(self, positions: Float[Tensor, "frames beads 3"], *, cutoff: float = 0.0) -> Graph:
        """All conformations (Å) as one batch; with a cutoff, each with all its pairs, however long."""
        frames = positions.shape[0]
        return Graph(
            positions=positions.reshape(-1, 3),
            cell=positions.new_zeros((frames, 3, 3)),
            total_charge=positions.new_zeros(frames),
            reach=positions.new_full((frames,), torch.inf if cutoff > 0 else 0.0),
            **_replicated(self, frames, cutoff > 0, positions.dtype),
        )

    def atoms(self, positions: Float[np.ndarray, "beads 3"]) -> Atoms:
        """One conformation for ASE, with the terms in `info`."""
        atoms = Atoms(numbers=self.species, positions=positions, masses=self.masses)
        atoms.info.update({name: getattr(self, name) for name in TERMS if getattr(self, name)})
        return atoms

    def topology(self) -> mdtraj.Topology:
        """For files that viewers open: one chain, with the beads' names, residues and bonds."""
        made, residue, last = mdtraj.Topology(), None, ""
        chain = made.add_chain()
        for name, place in zip(self.names, self.residues, strict=True):
            if residue is None or place != last:
                label = place.rstrip("0123456789")
                residue, last = made.add_residue(label, chain, int(place[len(label) :] or 1)), place
            element = mdtraj.element.Element.getBySymbol("C") if name == "CA" else mdtraj.element.virtual
            made.add_atom(name, element, residue)
        for i, j in self.bonds:
            made.add_bond(made.atom(i), made.atom(j))
        return made

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Molecule:
        fields: dict[str, Any] = {name: tuple(held[name]) for name in ("species", "masses", "names", "residues")}
        fields |= {name: tuple(tuple(term) for term in held[name]) for name in TERMS}
        return cls(**fields)

    @cached_property
    def _pairs(self) -> Int[Tensor, "2 pairs"]:
        n = len(self)
        return torch.tensor([(i, j) for i in range(n) for j in range(n) if i != j]).reshape(-1, 2).T

    def _columns(self, name: str) -> Int[Tensor, "k n"]:
        return torch.tensor(getattr(self, name), dtype=torch.long).reshape(-1, TERMS[name]).T


@lru_cache(maxsize=8)
def _replicated(molecule: Molecule, frames: int, with_pairs: bool, dtype: torch.dtype) -> dict[str, Tensor]:
    """What so many frames of a molecule have in common: the same tensors for batches of the same size."""
    n = len(molecule)
    start = n * torch.arange(frames)

    def repeated(columns: Int[Tensor, "k n"]) -> Int[Tensor, "k all"]:
        return (columns.unsqueeze(1) + start.unsqueeze(1)).flatten(1)

    pairs = molecule._pairs if with_pairs else molecule._pairs[:, :0]
    return {
        "species": torch.tensor(molecule.species).repeat(frames),
        "graph_index": torch.arange(frames).repeat_interleave(n),
        "edges": repeated(pairs),
        "shifts": torch.zeros((frames * pairs.shape[1], 3), dtype=dtype),
        **{name: repeated(molecule._columns(name)) for name in TERMS},
    }
