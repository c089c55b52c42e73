"""Numbers that potentials take from their training data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
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


def pairs_within(atoms: Atoms, cutoff: float) -> tuple[Int[ndarray, "2 edges"], Float[ndarray, " edges"]]:
    """The pairs of neighbours of a structure, as `neighbor_list` gives them, and their distances (Å)."""
    edges, shifts = neighbor_list(atoms, cutoff)
    vectors = atoms.positions[edges[1]] - atoms.positions[edges[0]] + shifts @ atoms.cell.array
    return edges, np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def contacts(
    atoms: Atoms, edges: Int[ndarray, "2 edges"], distances: Float[ndarray, " edges"]
) -> dict[tuple[int, int], float]:
    """The shortest of the distances (Å) of each pair of species that occurs, the lower number first."""
    species, place = np.unique(atoms.numbers, return_inverse=True)
    shortest = np.full((len(species), len(species)), np.inf)
    np.minimum.at(shortest, (place[edges[0]], place[edges[1]]), distances)
    pairs = combinations_with_replacement(range(len(species)), 2)
    return {(int(species[a]), int(species[b])): float(shortest[a, b]) for a, b in pairs if shortest[a, b] < np.inf}


def shortest_contacts(frames: Sequence[Atoms], *, within: float = 3.0) -> dict[tuple[int, int], float]:
    """The shortest distance (Å) of each pair of species (lower number first) that occurs within that range (Å)."""
    shortest: dict[tuple[int, int], float] = {}
    for atoms in frames:
        for pair, distance in contacts(atoms, *pairs_within(atoms, within)).items():
            shortest[pair] = min(distance, shortest.get(pair, distance))
    return shortest
