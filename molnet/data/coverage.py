"""How far a data set reaches, in the numbers by which a simulation notices that it has left it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from molnet.data.labels import labels
from molnet.data.statistics import shortest_contacts

_REACH = 5.0  # Å; a pair of elements that is never closer has no contact worth naming
_FORMULAS = 256  # so that a data set of very many compositions stays a small entry in a model's file


def coverage(frames: Sequence[Atoms]) -> dict[str, Any]:
    """The shortest contacts, the largest force and the energies of a data set, as plain JSON.

    - `contacts`: the shortest distance of each pair of elements, Å, under their sorted symbols: "C-H";
    - `largest_force`: max |F_i|, eV/Å, None without forces;
    - `energy_per_atom`: the lowest and highest energy per atom, eV, by `reduced_formula`, the 256 most
      frequent.
    """
    energies: dict[str, list[float]] = {}
    largest = 0.0
    for atoms in frames:
        found = labels(atoms)
        if np.isfinite(found.energy):
            energies.setdefault(reduced_formula(atoms), []).append(found.energy / len(atoms))
        if np.isfinite(found.forces).all():
            largest = max(largest, float(np.linalg.norm(found.forces, axis=1).max(initial=0.0)))
    contacts = {
        pair_name(chemical_symbols[first], chemical_symbols[second]): distance
        for (first, second), distance in shortest_contacts(frames, within=_REACH).items()
    }
    frequent = Counter({formula: len(values) for formula, values in energies.items()}).most_common(_FORMULAS)
    return {
        "contacts": dict(sorted(contacts.items())),
        "largest_force": largest or None,
        "energy_per_atom": {f: [min(energies[f]), max(energies[f])] for f, _ in sorted(frequent)},
    }


def reduced_formula(atoms: Atoms) -> str:
    """The smallest whole-number composition in Hill's order: "C2H6O" for any number of ethanols.

    Bead types beyond the elements have none: the types are listed.
    """
    if atoms.numbers.max(initial=0) >= len(chemical_symbols):
        return " ".join(map(str, np.unique(atoms.numbers)))
    return str(atoms.symbols.formula.reduce()[0].format("hill"))


def pair_name(first: str, second: str) -> str:
    """The key of a pair of elements."""
    return "-".join(sorted((first, second)))
