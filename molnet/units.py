"""Factors that bring other units to molnet's own: eV, Å, amu, fs, K and e. The values are ASE's (CODATA)."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

import ase.units

KB: Final[float] = ase.units.kB
"""Boltzmann's constant, eV/K."""
COULOMB: Final[float] = ase.units.Hartree * ase.units.Bohr
"""e²/(4πε₀), eV Å."""
ACCELERATION: Final[float] = ase.units.fs**2
"""The acceleration of 1 amu under 1 eV/Å, in Å/fs²; an amu Å²/fs² is 1/ACCELERATION eV."""
GPA: Final[float] = ase.units.GPa
"""One gigapascal, eV/Å³."""

_KCAL, _KJ = ase.units.kcal / ase.units.mol, ase.units.kJ / ase.units.mol
ENERGY_UNITS: Final[Mapping[str, float]] = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": ase.units.Hartree,
    "hartree": ase.units.Hartree,
    "Ha": ase.units.Hartree,
    "Eh": ase.units.Hartree,
    "Rydberg": ase.units.Rydberg,
    "Ry": ase.units.Rydberg,
    "kcal/mol": _KCAL,
    "kJ/mol": _KJ,
}
LENGTH_UNITS: Final[Mapping[str, float]] = {
    "Å": 1.0,
    "A": 1.0,
    "Ang": 1.0,
    "Angstrom": 1.0,
    "angstrom": 1.0,
    "Bohr": ase.units.Bohr,
    "bohr": ase.units.Bohr,
    "a0": ase.units.Bohr,
    "nm": ase.units.nm,
    "pm": ase.units.nm * 1e-3,
}


def energy_unit(name: str) -> float:
    """How many eV the named unit of energy is; ValueError with the nearest name where it is unknown."""
    return _factor("energy", name, ENERGY_UNITS)


def length_unit(name: str) -> float:
    """How many Å the named unit of length is; ValueError with the nearest name where it is unknown."""
    return _factor("length", name, LENGTH_UNITS)


def force_unit(name: str) -> float:
    """How many eV/Å the unit written energy/length is, for example kcal/mol/Å, Ha/Bohr or kJ/mol/nm."""
    energy, slash, length = name.rpartition("/")
    if not slash or name.strip() in ENERGY_UNITS:
        raise ValueError(
            f"{name!r} is not a unit of force: write a unit of energy over one of length, e.g. 'kcal/mol/Å'."
        )
    return energy_unit(energy) / length_unit(length)


def _factor(kind: str, name: str, table: Mapping[str, float]) -> float:
    tidy = name.strip().replace(" ", "").replace("\u212b", "Å")
    if tidy in table:
        return table[tidy]
    lowered = {known.lower(): known for known in table}
    near = get_close_matches(tidy.lower(), lowered, n=1, cutoff=0.3)
    hint = f"; did you mean {lowered[near[0]]!r}?" if near else "."
    raise ValueError(f"{name!r} is not a known unit of {kind}{hint} Known are {', '.join(table)}.")
