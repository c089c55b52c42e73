"""Numbers that potentials take from their training data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from molnet.data.labels import labels
from molnet.data.neighbors import neighbor_list

_ROUNDING = 1e-6  # eV and eV/Å


def species_of(frames: Sequence[Atoms]) -> list[int]:
    """The atomic numbers that occur, in rising order."""
    return sorted({int(z) for atoms in frames for z in np.unique(atoms.numbers)})


def rms_force(frames: Sequence[Atoms]) -> float:
    """√⟨F²⟩ over components, eV/Å; where no frame has forces, the energies' spread per √atom (eV) stands in for it.

    One where both are missing, or nothing but rounding: a scale of zero would stop all learning.
    """
    forces = np.concatenate([labels(atoms).forces.ravel() for atoms in frames])
    forces = forces[np.isfinite(forces)]
    if forces.size:
        return _root_mean_square(forces)
    measured = [atoms for atoms in frames if np.isfinite(labels(atoms).energy)]
    if not measured:
        return 1.0
    return _root_mean_square(composition_fit(measured)[1] / np.sqrt([len(atoms) for atoms in measured]))


def _root_mean_square(values: Float[ndarray, " values"]) -> float:
    size = float(np.sqrt(np.mean(values**2)))
    return size if size > _ROUNDING else 1.0


def composition_matrix(frames: Sequence[Atoms]) -> Float[ndarray, "frames species"]:
    """How many atoms of each species a frame has."""
    species = species_of(frames)
    return np.array([[np.count_nonzero(a.numbers == z) for z in species] for a in frames], float)


def composition_fit(frames: Sequence[Atoms]) -> tuple[Float[ndarray, " species"], Float[ndarray, " frames"]]:
    """Least-squares atom energies (eV; the smallest ones where the data don't determine them) and what they leave."""
    counts, energies = composition_matrix(frames), np.array([labels(atoms).energy for atoms in frames])
    solution = np.linalg.lstsq(counts, energies)[0]
    return solution, energies - counts @ solution


def shortest_contacts(frames: Sequence[Atoms], *, within: float = 3.0) -> dict[tuple[int, int], float]:
    """The shortest distance (Å) of each pair of species (lower number first) that occurs within that range (Å)."""
    shortest: dict[tuple[int, int], float] = {}
    for atoms in frames:
        (centers, neighbors), shifts = neighbor_list(atoms, within)
        vectors = atoms.positions[neighbors] - atoms.positions[centers] + shifts @ atoms.cell.array
        pairs = np.sort(atoms.numbers[np.stack([centers, neighbors], axis=1)], axis=1)
        distances = np.linalg.norm(vectors, axis=1)
        for first, second in np.unique(pairs, axis=0).tolist():
            closest = float(distances[(pairs == (first, second)).all(axis=1)].min())
            shortest[first, second] = min(closest, shortest.get((first, second), within))
    return shortest
