"""Whether lengths, forces and the temperature fit each other: wrong units are found here, and never corrected."""

from __future__ import annotations

from typing import Final

import mdtraj
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from molnet.coarse.bonds import atom_bonds
from molnet.data.conformations import Conformations
from molnet.units import KB, force_unit, length_unit

_UNITS = ("Å", "nm", "Bohr", "pm")
_FORCE_UNITS = ("eV/Å", "kcal/mol/Å", "kJ/mol/nm", "kJ/mol/Å", "Ha/Bohr")
_ATOMS: Final[tuple[float, float]] = (0.6, 1.6)  # bond length over the sum of covalent radii; Å for Bohr gives 0.53
_BEADS: Final[tuple[float, float]] = (0.8, 12.0)  # Å; beads in one molecule
_FACTOR = 2.0  # by which the temperature that the forces imply may differ
_ERRORS = 3.0  # standard errors beyond that factor that make it certain


def check_atoms(
    topology: mdtraj.Topology, positions: Float[ndarray, "frames atoms 3"], *, name: str, unit: str
) -> None:
    """Refuse positions whose bonds can't be in Å, with the unit that their lengths fit.

    The median of the lengths is compared with sums of covalent radii; the nearest pairs of the first frame stand for
    the bonds of a topology without any.
    """
    pairs = _close_pairs(topology, positions[0])
    if not len(pairs):
        return
    radii = np.array([covalent_radii[atom.element.atomic_number if atom.element else 0] for atom in topology.atoms])
    lengths = np.linalg.norm(positions[:, pairs[:, 0]] - positions[:, pairs[:, 1]], axis=-1)
    expected = radii[pairs].sum(axis=1)
    ratio = float(np.median(lengths / expected))
    if not _ATOMS[0] < ratio < _ATOMS[1]:
        raise ValueError(
            f"bonded atoms of {name} are {np.median(lengths):.3g} Å apart if its positions are in {unit}; expected "
            f"about {np.median(expected):.2g} Å. {_advice(ratio, unit, _ATOMS)}"
        )


def check_beads(data: Conformations, *, name: str, unit: str) -> None:
    """Refuse beads whose bonds are too short or too long for Å, with the unit that their lengths fit."""
    bonds = np.array(data.molecule.bonds)
    if not len(bonds) or not len(data):
        return
    lengths = np.linalg.norm(data.positions[:, bonds[:, 0]] - data.positions[:, bonds[:, 1]], axis=-1)
    median, (low, high) = float(np.median(lengths)), _BEADS
    if not low < median < high:
        raise ValueError(
            f"bonded beads of {name} are {median:.3g} Å apart if its positions are in {unit}; expected {low:g} to "
            f"{high:g} Å. {_advice(median, unit, _BEADS)}"
        )


def implied_temperature(data: Conformations) -> tuple[float, float]:
    """The temperature (K) at which the forces fit the lengths of the bonds, and its standard error; NaN without bonds.

    For every vector field v, <F · v> = −kT <∇ · v> in equilibrium, with forces on atoms as well as with mapped forces
    on beads. With v stretching a bond of length b by its deviation from the mean b̄, summed over bonds,

        kT = −Σ <½ (F_j − F_i) · r̂_ij (b − b̄)> / Σ <1 + 2 (b − b̄)/b>.

    The error takes frames as independent.
    """
    bonds = np.array(data.molecule.bonds, dtype=np.int64).reshape(-1, 2)
    if not len(bonds) or len(data) < 2:
        return np.nan, np.nan
    vectors, pulls = (np.float64(x[:, bonds[:, 1]] - x[:, bonds[:, 0]]) for x in (data.positions, data.forces))
    lengths = np.linalg.norm(vectors, axis=-1)
    stretch = (lengths - lengths.mean(axis=0)) / lengths
    work = 0.5 * np.einsum("fbk,fbk,fb->f", pulls, vectors, stretch, optimize=True)
    kelvin = -work / (KB * (1 + 2 * stretch).mean(axis=0).sum())
    return float(kelvin.mean()), float(kelvin.std(ddof=1) / np.sqrt(len(data)))


def check_temperature(data: Conformations, *, unit: str) -> tuple[float, float]:
    """`implied_temperature`, where it is not certainly another one than that of the data; else ValueError."""
    found, error = implied_temperature(data)
    low, high = data.temperature / _FACTOR, data.temperature * _FACTOR
    if found + _ERRORS * error < low or found - _ERRORS * error > high:
        scaled = {other: found * force_unit(other) / force_unit(unit) for other in _FORCE_UNITS}
        fitting = [other for other, kelvin in scaled.items() if low < kelvin < high]
        advice = f"; they would fit in {' or '.join(fitting)}, so check the force unit" if fitting else ""
        raise ValueError(
            f"the forces, read in {unit}, and the positions belong to a temperature of {found:.3g} ± {error:.2g} K, "
            f"but {data.temperature:g} K was given{advice}. Otherwise check that each file of forces belongs to its "
            "trajectory, that forces aren't gradients, and which bonds were constrained."
        )
    return found, error


def _advice(value: float, unit: str, expected: tuple[float, float]) -> str:
    fitting = [other for other in _UNITS if expected[0] < value * length_unit(other) / length_unit(unit) < expected[1]]
    if not fitting:
        return "No usual unit fits: check that topology and positions have the same atoms in the same order."
    return f"They would fit in {' or '.join(fitting)}: look up what the program wrote, and give that as length unit."


def _close_pairs(topology: mdtraj.Topology, positions: Float[ndarray, "atoms 3"]) -> Int[ndarray, "pairs 2"]:
    bonds = atom_bonds(topology)
    if len(bonds) or len(positions) < 2:
        return bonds
    nearest = cKDTree(positions).query(positions, k=2)[1][:, 1]
    return np.stack([np.arange(len(positions)), nearest], axis=1)
