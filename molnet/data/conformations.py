"""Many conformations of one molecule with the forces on its beads: what coarse-grained potentials are fitted to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from molnet.data.dataset import Batch
from molnet.data.molecule import Molecule
from molnet.graph import Properties

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Conformations:
    """Positions (Å) and forces (eV/Å) in every frame of a trajectory at one temperature (K).

    Raises ValueError where shapes don't fit the molecule, numbers aren't finite, or the temperature isn't positive.
    """

    molecule: Molecule
    positions: Float[ndarray, "frames beads 3"]
    forces: Float[ndarray, "frames beads 3"]
    temperature: float

    def __post_init__(self) -> None:
        expected = (len(self.positions), len(self.molecule), 3)
        if self.positions.shape != expected or self.forces.shape != expected:
            raise ValueError(
                f"positions have the shape {self.positions.shape} and forces {self.forces.shape}; "
                f"expected {expected} for a molecule of {len(self.molecule)} beads."
            )
        if not np.isfinite(self.temperature) or self.temperature <= 0:
            raise ValueError(f"the temperature is {self.temperature} K; expected a positive one, that of the data.")
        for name in ("positions", "forces"):
            bad = ~np.isfinite(getattr(self, name)).all(axis=(1, 2))
            if bad.any():
                raise ValueError(f"frame {int(bad.argmax())} has {name} that aren't finite numbers ({bad.sum()} do).")

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, chosen: slice | ndarray) -> Conformations:
        return replace(self, positions=self.positions[chosen], forces=self.forces[chosen])

    def atoms(self, frame: int) -> Atoms:
        """One frame for ASE."""
        return self.molecule.atoms(self.positions[frame])

    def batch(self, chosen: ndarray, cutoff: float) -> Batch:
        """Some frames and their forces; energies and stresses are unknown."""
        positions, forces = (torch.from_numpy(x[chosen].astype(np.float64)) for x in (self.positions, self.forces))
        unknown = torch.full((len(chosen), 3, 3), torch.nan, dtype=torch.float64)
        target = Properties(unknown[:, 0, 0], forces.reshape(-1, 3), unknown)
        graph = self.molecule.graph(positions, cutoff=cutoff)
        return Batch(graph, target, [f"frame {number}" for number in chosen])

    def batches(self, size: int, *, cutoff: float, seed: int | None = None) -> ConformationBatches:
        """Batches of so many frames, with the pairs that a potential with this cutoff (Å) reads; shuffled if seeded."""
        return ConformationBatches(self, size, cutoff, seed)

    def save(self, path: str | Path) -> None:
        """Write an .npz file with the molecule and the temperature as JSON."""
        about = {"format": FORMAT, "temperature": self.temperature, "molecule": self.molecule.to_json()}
        np.savez_compressed(path, positions=self.positions, forces=self.forces, about=np.array(json.dumps(about)))

    @classmethod
    def load(cls, path: str | Path) -> Conformations:
        """Read what `save` wrote; raises ValueError for another file."""
        expected = "expected a file that `molnet cg map` has written"
        try:
            held: Any = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} isn't an .npz file; {expected}.") from error
        if isinstance(held, np.ndarray) or "about" not in held:
            raise ValueError(
                f"{path} holds {'one array' if isinstance(held, np.ndarray) else ', '.join(held)}; {expected}."
            )
        about = json.loads(str(held["about"]))
        molecule = Molecule.from_json(about["molecule"])
        return cls(molecule, held["positions"], held["forces"], about["temperature"])


@dataclass(frozen=True)
class ConformationBatches:
    """What the training loop reads: `epoch(n)` yields the batches of epoch n, always the same ones for the same n."""

    data: Conformations
    size: int
    cutoff: float
    seed: int | None

    def __len__(self) -> int:
        return -(-len(self.data) // self.size)

    def epoch(self, number: int) -> Iterator[Batch]:
        order = np.arange(len(self.data))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, number]).permutation(order)
        for part in np.array_split(order, len(self)):
            yield self.data.batch(part, self.cutoff)
