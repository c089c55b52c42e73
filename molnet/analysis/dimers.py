"""Two atoms alone: whether they repel each other when close, and how smoothly they part at the cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from numpy import ndarray

from molnet.analysis.errors import predict
from molnet.potential import Potential, names


@dataclass(frozen=True, eq=False)
class Dimers:
    """E(r) − E(∞) in eV of pairs of elements at distances in Å."""

    pairs: Int[ndarray, "pairs 2"]
    distances: Float[ndarray, " points"]
    energies: Float[ndarray, "pairs points"]

    @property
    def titles(self) -> list[str]:
        """The pairs by chemical symbols, like "C–H"."""
        return ["–".join(names([z]) for z in pair) for pair in self.pairs.tolist()]

    @property
    def repulsive(self) -> list[bool]:
        """Whether a pair's energy is highest, and above zero, at the shortest distance."""
        shortest = self.energies[:, 0]
        return ((shortest > 0) & (shortest >= self.energies.max(axis=1))).tolist()


def dimers(potential: Potential, species: Sequence[int] = (), *, shortest: float = 0.3, points: int = 300) -> Dimers:
    """Scan every pair of the given species, or of those of the potential, from `shortest` (Å) to its cutoff.

    Raises ValueError where there are no species to scan, or no distance between `shortest` and the cutoff.
    """
    species = sorted(set(species or potential.species))
    if not species:
        raise ValueError("the potential takes any species; say which ones to scan: dimers(potential, [1, 8]).")
    if potential.cutoff <= shortest:
        raise ValueError(
            f"the potential's cutoff is {potential.cutoff:g} Å; start the scan below it, not at {shortest:g}."
        )
    pairs = list(combinations_with_replacement(species, 2))
    distances = np.linspace(shortest, potential.cutoff, points)
    scans = [Atoms(pair, [[0, 0, 0], [r, 0, 0]]) for pair in pairs for r in distances]
    energy = predict(potential, scans + [Atoms([z], [[0, 0, 0]]) for z in species]).energy
    alone = dict(zip(species, energy[len(scans) :], strict=True))
    apart = np.array([[alone[a] + alone[b]] for a, b in pairs])
    return Dimers(np.array(pairs), distances, energy[: len(scans)].reshape(len(pairs), points) - apart)
