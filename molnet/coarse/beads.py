"""Maps of atoms to beads: slices, centers of mass, and any other linear map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import mdtraj
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from molnet.coarse.bonds import atom_bonds, bead_bonds, joined
from molnet.coarse.selections import load_topology, select
from molnet.data.molecule import Molecule

_CAPS = ("ACE:C", "NME:N", "NMA:N", "NHE:N", "NH2:N")
TYPES: Final[tuple[str, ...]] = (
    *(f"{residue}:{atom}" for residue in "ACDEFGHIKLMNPQRSTVWY" for atom in ("N", "CA", "C", "O", "CB")),
    *_CAPS,
)
"""The transferable types of protein beads, numbered from 1: one-letter code of the residue, and name of the bead."""


@dataclass(frozen=True, eq=False)
class BeadMap:
    """Beads as weighted means of atoms: R_I = Σ_i c_Ii r_i with Σ_i c_Ii = 1.

    Types are the beads' places, from 1, if none are given. Raises ValueError where the weights don't fit the topology,
    a row doesn't sum to one, or two beads are the same.
    """

    weights: Float[ndarray, "beads atoms"]
    topology: mdtraj.Topology
    names: tuple[str, ...]
    species: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        expected = (len(self.names), self.topology.n_atoms)
        if self.weights.shape != expected or not len(self.names):
            raise ValueError(
                f"a map has weights of the shape {self.weights.shape}; expected {expected}, a row for each of the "
                f"{len(self.names)} names of beads and a column for each atom of the topology."
            )
        wrong = ~np.isclose(self.weights.sum(axis=1), 1.0)
        if wrong.any():
            bead = int(wrong.argmax())
            raise ValueError(
                f"the weights of bead {bead} ({self.names[bead]}) sum to {self.weights[bead].sum():g}; expected 1, "
                "so that a bead moves with its atoms: divide the row by its sum."
            )
        if np.linalg.matrix_rank(self.weights[:, self.weights.any(axis=0)]) < len(self.names):
            raise ValueError("some beads of the map follow from the others; leave out those that are repeated.")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def atoms(self) -> Int[ndarray, " involved"]:
        """The atoms of the molecules that have beads; all others, such as the solvent, are left out of every map."""
        component = joined(atom_bonds(self.topology), self.topology.n_atoms)
        return np.flatnonzero(np.isin(component, component[self.weights.any(axis=0)]))

    @cached_property
    def molecule(self) -> Molecule:
        """The beads with their masses and with bonds, angles and dihedrals (`bead_bonds`)."""
        return Molecule.bonded(
            self.names,
            self.masses.tolist(),
            bonds=bead_bonds(self.weights, atom_bonds(self.topology)),
            residues=[str(residue) for residue in self._residues],
            species=self.species or None,
        )

    @cached_property
    def masses(self) -> Float[ndarray, " beads"]:
        """m_I = 1 / Σ_i (c_Ii² / m_i), amu: an atom's own for a slice, the total for a center of mass.

        The velocity of a bead, Σ_i c_Ii v_i, has the variance kT Σ_i c_Ii²/m_i per component in the all-atom ensemble,
        and kT/m_I in that of the beads; they agree for this mass (Noid et al., J. Chem. Phys. 128, 244114 (2008),
        where it is the condition of consistent momenta). Averages over positions don't depend on masses.
        Raises ValueError for an atom in a bead that has no mass.
        """
        masses = np.array([atom.element.mass if atom.element else 0.0 for atom in self.topology.atoms])
        used = self.weights.any(axis=0)
        for index in np.flatnonzero(used & (masses <= 0)):
            raise ValueError(
                f"{self.topology.atom(index)} has no element in the topology, and so no mass, but is part of a bead; "
                "leave it out of the selection, or give its element in the topology file."
            )
        return 1 / (self.weights[:, used] ** 2 / masses[used]).sum(axis=1)

    def transferable(self, types: Sequence[str] = TYPES) -> BeadMap:
        """The same map with types by residue and bead name, which different molecules share: their places in `types`.

        Raises ValueError for a bead that isn't in the list.
        """
        residues = [residue.code or residue.name for residue in self._residues]
        labels = [f"{residue}:{name}" for residue, name in zip(residues, self.names, strict=True)]
        unknown = sorted({label for label in labels if label not in types})
        if unknown:
            raise ValueError(
                f"no transferable type is known for {', '.join(unknown)}; give a list of types that has them, the same "
                "for all your molecules, or let each bead be its own type."
            )
        return replace(self, species=tuple(list(types).index(label) + 1 for label in labels))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What messages call the beads, such as ALA2-CA."""
        return tuple(f"{residue}-{name}" for residue, name in zip(self._residues, self.names, strict=True))

    @cached_property
    def _residues(self) -> list[mdtraj.core.topology.Residue]:
        return [self.topology.atom(int(np.flatnonzero(row)[0])).residue for row in self.weights]


def slices(topology: str | Path | mdtraj.Topology, selection: str | Sequence[int]) -> BeadMap:
    """A bead on each of the atoms that a preset, a selection of mdtraj, or a list of their numbers from 0 names.

    Raises ValueError for a selection without atoms, and for an atom in two beads.
    """
    topology = load_topology(topology)
    chosen = select(topology, selection) if isinstance(selection, str) else np.asarray(selection, dtype=np.int64)
    _check_numbers(topology, chosen)
    weights = np.zeros((len(chosen), topology.n_atoms))
    weights[np.arange(len(chosen)), chosen] = 1.0
    return BeadMap(weights, topology, tuple(topology.atom(i).name for i in chosen))


def centers(topology: str | Path | mdtraj.Topology, groups: Mapping[str, str] | Sequence[str]) -> BeadMap:
    """A bead at the center of mass of each group of atoms, given by selections, with names if they are a mapping.

    Raises ValueError for a group without atoms.
    """
    topology = load_topology(topology)
    named = groups if isinstance(groups, Mapping) else {f"B{n}": text for n, text in enumerate(groups, start=1)}
    weights = np.zeros((len(named), topology.n_atoms))
    for row, text in zip(weights, named.values(), strict=True):
        chosen = select(topology, text)
        row[chosen] = [atom.element.mass if atom.element else 0.0 for atom in map(topology.atom, chosen)]
        if not row.any():
            raise ValueError(f"the atoms of {text!r} have no mass; give their elements in the topology file.")
        row /= row.sum()
    return BeadMap(weights, topology, tuple(named))


def linear(
    topology: str | Path | mdtraj.Topology,
    weights: Float[ndarray, "beads atoms"],
    *,
    names: Sequence[str] = (),
) -> BeadMap:
    """Beads from any matrix whose rows sum to one; names are B1, B2, … if none are given."""
    names = names or [f"B{n}" for n in range(1, len(weights) + 1)]
    return BeadMap(np.asarray(weights, dtype=np.float64), load_topology(topology), tuple(names))


def _check_numbers(topology: mdtraj.Topology, chosen: Int[ndarray, " beads"]) -> None:
    if not len(chosen):
        raise ValueError("the list of atoms is empty; give at least one, numbered from 0.")
    if chosen.min() < 0 or chosen.max() >= topology.n_atoms:
        raise ValueError(
            f"atoms {chosen.min()} to {chosen.max()} are asked for; the topology has 0 to {topology.n_atoms - 1}."
        )
    twice = [int(atom) for atom in np.unique(chosen) if (chosen == atom).sum() > 1]
    if twice:
        names = ", ".join(str(topology.atom(atom)) for atom in twice)
        raise ValueError(f"{names} would be in two beads; each atom of a slice is one bead: name it once.")
