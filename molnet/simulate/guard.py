"""A watch over a simulation: it stops where the potential is asked about what its data never showed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii

from molnet.data.coverage import pair_name, reduced_formula
from molnet.data.topology import TERMS
from molnet.potential import names
from molnet.simulate.calculator import Calculator


class LeftTheData(RuntimeError):
    """A simulation came to where its potential's data don't reach."""


@dataclass(frozen=True)
class Guard:
    """How far beyond its potential's data a simulation may go, looked at every few steps.

    A contact may be as short as `contact` times the data's shortest of that pair of elements, a force `force`
    times as large as the data's largest, and an energy per atom may lie outside the data's range, for this
    composition, by `energy` times its width or by 0.5 eV, whichever is more. Where the data say nothing about
    a pair of elements, half the sum of the covalent radii is the limit; between beads there is none. A volume may
    not become 3 times what it was. Numbers that aren't finite are looked for at every step.
    """

    every: int = 10
    contact: float = 0.9
    force: float = 3.0
    energy: float = 3.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"a guard looks every so many steps, one or more; {self.every} was given.")


_LARGEST_GROWTH = 3.0
_LEAST_ENERGY_MARGIN = 0.5  # eV per atom; the thermal energy of about 4,000 K


class Watch:
    """A guard set up for one structure and the coverage of its potential's data."""

    def __init__(self, guard: Guard, calculator: Calculator, atoms: Atoms) -> None:
        self.guard, self._calculator, self._atoms = guard, calculator, atoms
        covered = calculator.potential.provenance.get("coverage")
        self.informed = covered is not None
        self._covered: Mapping[str, Any] = covered or {}
        species, kinds = np.unique(atoms.numbers, return_inverse=True)
        device = calculator.potential.device
        self._kinds = torch.from_numpy(kinds).to(device)
        limits = [[self._limit(a, b) for a in species.tolist()] for b in species.tolist()]
        self._limits = torch.tensor(limits, dtype=calculator.neighbors.dtype, device=device)
        self._energies = self._energy_limits()
        self._volume = atoms.cell.volume

    def check(self, step: int) -> None:
        """Raise `LeftTheData`, naming atoms, where the last calculation is outside the limits."""
        energy, forces = (self._calculator.results[name] for name in ("energy", "forces"))
        if not np.isfinite(energy + forces.sum()):
            self._stop(step, self._not_finite(forces))
        if step % self.guard.every:
            return
        self._check_volume(step)
        self._check_contacts(step)
        self._check_forces(step, forces)
        self._check_energy(step, energy / len(self._atoms))

    def _check_volume(self, step: int) -> None:
        if (volume := self._atoms.cell.volume) > _LARGEST_GROWTH * self._volume:
            self._stop(step, f"the volume has grown from {self._volume:.0f} to {volume:.0f} Å³")

    def _check_contacts(self, step: int) -> None:
        graph = self._calculator.neighbors.graph(self._atoms)
        distances = graph.vectors.norm(dim=1)
        slack = distances - self._limits[self._kinds[graph.centers], self._kinds[graph.neighbors]]
        if slack.shape[0] and slack.min() < 0:
            worst = int(slack.argmin())
            first, second = graph.edges[:, worst].tolist()
            pair = pair_name(self._symbol(first), self._symbol(second))
            shortest = self._covered.get("contacts", {}).get(pair)
            known = f"the data's shortest {pair} contact is {shortest:.2f} Å" if shortest else "that is too close"
            distance = distances[worst].item()
            self._stop(step, f"{self._name(first)} and {self._name(second)} are {distance:.2f} Å apart; {known}")

    def _check_forces(self, step: int, forces: np.ndarray) -> None:
        largest = self._covered.get("largest_force")
        sizes = np.sqrt(np.einsum("ij,ij->i", forces, forces))
        if largest and sizes.max() > self.guard.force * largest:
            atom = int(sizes.argmax())
            self._stop(
                step,
                f"the force on {self._name(atom)} is {sizes[atom]:.1f} eV/Å; the data's largest is {largest:.1f} eV/Å",
            )

    def _check_energy(self, step: int, energy: float) -> None:
        if self._energies and not self._energies[0] <= energy <= self._energies[1]:
            low, high = self._covered["energy_per_atom"][reduced_formula(self._atoms)]
            self._stop(
                step,
                f"the energy is {energy:.3f} eV per atom; the data's are between {low:.3f} and {high:.3f} eV per atom",
            )

    def _limit(self, first: int, second: int) -> float:
        if shortest := self._covered.get("contacts", {}).get(pair_name(names([first]), names([second]))):
            return float(self.guard.contact * shortest)
        # Where there is a topology, these may be beads, whose types say nothing about their size.
        if any(name in self._atoms.info for name in TERMS) or max(first, second) >= len(covalent_radii):
            return 0.0
        return float(0.5 * (covalent_radii[first] + covalent_radii[second]))

    def _energy_limits(self) -> tuple[float, float] | None:
        known = self._covered.get("energy_per_atom", {}).get(reduced_formula(self._atoms))
        if known is None:
            return None
        low, high = known
        margin = max(self.guard.energy * (high - low), _LEAST_ENERGY_MARGIN)
        return low - margin, high + margin

    def _not_finite(self, forces: np.ndarray) -> str:
        broken = np.flatnonzero(~np.isfinite(forces).all(axis=1))[:5]
        names = ", ".join(self._name(int(atom)) for atom in broken)
        return f"the forces on {names} aren't finite numbers" if names else "the energy isn't a finite number"

    def _name(self, atom: int) -> str:
        return f"atom {atom} ({self._symbol(atom)})"

    def _symbol(self, atom: int) -> str:
        return names([int(self._atoms.numbers[atom])])

    def _stop(self, step: int, reason: str) -> None:
        raise LeftTheData(f"step {step}: {reason}.")
