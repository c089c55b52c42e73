"""Many replicas of one molecule at one step of their dynamics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy import ndarray

from molnet.data.molecule import Molecule
from molnet.simulate.forces import Forces
from molnet.simulate.noise import start_noise
from molnet.units import ACCELERATION, KB

_LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True, eq=False)
class State:
    """Positions (Å), velocities (Å/fs), forces (eV/Å), energies (eV) and temperatures (K) of a molecule's replicas.

    Forces and energies are NaN until they are computed. The precision is that of the positions. `numbers` are the
    replicas' own, which they keep when others are taken away; with `seed` and `step` they determine all the noise, so
    that these three are the state of the random numbers.
    """

    molecule: Molecule
    positions: Float[ndarray, "replicas beads 3"]
    velocities: Float[ndarray, "replicas beads 3"]
    forces: Float[ndarray, "replicas beads 3"]
    energies: Float64[ndarray, " replicas"]
    temperatures: Float64[ndarray, " replicas"]
    numbers: Int64[ndarray, " replicas"]
    seed: int
    step: int = 0

    @classmethod
    def start(
        cls,
        molecule: Molecule,
        positions: Float[ndarray, "replicas beads 3"],
        *,
        temperatures: float | Float[ndarray, " replicas"],
        seed: int = 0,
    ) -> State:
        """One replica for each conformation, with velocities of Maxwell and Boltzmann's distribution.

        Raises ValueError for other shapes, temperatures that aren't positive and seeds that aren't 64-bit numbers.
        """
        n = len(positions)
        if n == 0 or positions.shape != (n, len(molecule), 3) or not np.isfinite(positions).all():
            raise ValueError(
                f"positions have the shape {positions.shape}; expected finite numbers for one replica or more of "
                f"{len(molecule)} beads."
            )
        kelvins = np.broadcast_to(np.asarray(temperatures, dtype=np.float64), n).copy()
        if not ((kelvins > 0) & (kelvins < np.inf)).all():
            raise ValueError(f"temperatures are {temperatures} K; expected positive ones.")
        if not 0 <= seed <= _LARGEST_SEED:
            raise ValueError(f"the seed is {seed}; expected a number from 0 to {_LARGEST_SEED}.")
        numbers, unknown = np.arange(n), np.full_like(positions, np.nan)
        made = cls(molecule, positions.copy(), unknown, unknown, np.full(n, np.nan), kelvins, numbers, seed)
        velocities = made.thermal_speeds * start_noise(seed, numbers, len(molecule))
        return replace(made, velocities=velocities.astype(positions.dtype))

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: ndarray) -> State:
        """Some of the replicas."""
        names = ("positions", "velocities", "forces", "energies", "temperatures", "numbers")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def masses(self) -> Float64[ndarray, "beads 1"]:
        """amu."""
        return np.array(self.molecule.masses, dtype=np.float64)[:, None]

    @property
    def thermal_speeds(self) -> Float64[ndarray, "replicas beads 1"]:
        """√(kT/m), Å/fs."""
        return np.sqrt(KB * self.temperatures[:, None, None] * ACCELERATION / self.masses)

    @property
    def kinetic_temperatures(self) -> Float64[ndarray, " replicas"]:
        """Σ m v²/(3 n k), K: Langevin dynamics moves the center of mass, too."""
        squares = (self.masses * self.velocities.astype(np.float64) ** 2).mean(axis=(1, 2))
        return squares / (KB * ACCELERATION)

    def computed(self, forces: Forces) -> State:
        """With energies and forces, if they are unknown."""
        if not np.isnan(self.energies).any():
            return self
        energies, found = forces(self.positions)
        return replace(self, energies=energies, forces=found)

    def centered(self) -> State:
        """With each replica's center of mass at the origin, near which numbers are precise."""
        centers = (self.masses * self.positions).sum(axis=1, keepdims=True) / self.masses.sum()
        return replace(self, positions=self.positions - centers.astype(self.positions.dtype))
