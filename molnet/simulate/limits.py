"""Where replicas leave the physical region: bonds of other lengths than the data ever showed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.simulate.state import State

_LEAST_WIDTH = 0.01


@dataclass(frozen=True, eq=False)
class BondLimits:
    """How far the lengths of bonds may be from their means in the data, in standard deviations σ.

    Beyond `report` they are counted, and beyond `stop` the replica is stopped. A σ is at least a hundredth of the mean,
    as for constrained bonds; above the data's temperature T it grows by √(T'/T), as a harmonic bond's does.
    """

    molecule: Molecule
    means: Float64[ndarray, " bonds"]
    widths: Float64[ndarray, " bonds"]
    temperature: float
    report: float = 5.0
    stop: float = 15.0

    @classmethod
    def of(cls, data: Conformations, *, report: float = 5.0, stop: float = 15.0) -> BondLimits:
        """Those of the data."""
        found = lengths(data.molecule, data.positions)
        means = found.mean(axis=0)
        widths = np.maximum(found.std(axis=0), _LEAST_WIDTH * means)
        return cls(data.molecule, means, widths, data.temperature, report, stop)

    def deviations(self, state: State) -> Float64[ndarray, "replicas bonds"]:
        """|b − mean|/σ."""
        growth = np.sqrt(np.maximum(state.temperatures / self.temperature, 1.0))
        return np.abs(lengths(self.molecule, state.positions) - self.means) / (self.widths * growth[:, None])

    def exceeded(self, state: State) -> Bool[ndarray, " replicas"]:
        """Whether a replica is to be stopped."""
        return np.asarray(self.deviations(state).max(axis=1, initial=0.0) > self.stop)

    def describe(self, state: State, row: int) -> str:
        """A sentence about the replica's worst bond."""
        worst = int(self.deviations(state)[row].argmax())
        i, j = (f"{self.molecule.names[bead]} ({bead})" for bead in self.molecule.bonds[worst])
        found = lengths(self.molecule, state.positions)[row, worst]
        return (
            f"the bond {i}–{j} is {found:.2f} Å long; in the data {self.means[worst]:.2f} ± {self.widths[worst]:.2f} Å"
        )


def lengths(molecule: Molecule, positions: ndarray) -> Float64[ndarray, "frames bonds"]:
    """Of all bonds in each conformation, Å."""
    first, second = np.array(molecule.bonds, dtype=np.int64).reshape(-1, 2).T
    return np.linalg.norm(positions[:, second].astype(np.float64) - positions[:, first], axis=2)
