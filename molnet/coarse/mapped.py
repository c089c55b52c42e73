"""What a mapping has made, as numbers and as tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from molnet.coarse.beads import BeadMap
from molnet.data.conformations import Conformations

_SHOWN = 40  # beads and bonds at most


@dataclass(frozen=True, eq=False)
class Mapped:
    """Conformations of beads and how they were made.

    `force_weights` are those of the atoms `beads.atoms` in the force on each bead; `constraints` the pairs of atoms
    taken as rigid. The two noises are the root mean square forces on each bead (eV/Å per component) with the map used
    and with `Slice` (NaN where beads have atoms in common), over frames that the map wasn't fitted to: the mean force
    is the same in both, the rest is noise. `implied` is `implied_temperature`.
    """

    data: Conformations
    beads: BeadMap
    force_weights: Float[ndarray, "beads involved"]
    constraints: Int[ndarray, "pairs 2"]
    noise: Float[ndarray, " beads"]
    slice_noise: Float[ndarray, " beads"]
    implied: tuple[float, float]

    def __rich__(self) -> Group:
        return Group(Text(self._summary()), self._beads(), self._bonds())

    def _summary(self) -> str:
        data, molecule = self.data, self.data.molecule
        counts = Counter({name: len(getattr(molecule, name)) for name in ("bonds", "angles", "dihedrals")})
        terms = ", ".join(f"{n} {name}" for name, n in counts.items())
        lines = [
            f"{len(data)} frames of {len(molecule)} beads of {len(set(molecule.species))} types: {terms}",
            f"{len(self.constraints)} rigid bonds between the atoms",
            f"rms force per component: {_rms(self.slice_noise)} with slices, {_rms(self.noise)} with the map used",
        ]
        if np.isfinite(self.implied[0]):
            kelvin, error = self.implied
            lines.append(f"forces and bond lengths fit {kelvin:.0f} ± {error:.0f} K; given {data.temperature:g} K")
        return "\n".join(lines)

    def _beads(self) -> Table:
        titles = ("type", "mass in amu", "rms force, slice", "rms force, used")
        table = _table("Beads (forces in eV/Å per component)", "bead", *titles)
        molecule = self.data.molecule
        for i in range(min(len(molecule), _SHOWN)):
            values = f"{molecule.masses[i]:.3f}", f"{self.slice_noise[i]:.4f}", f"{self.noise[i]:.4f}"
            table.add_row(Text(self.beads.labels[i]), str(molecule.species[i]), *values)
        return _shortened(table, len(molecule))

    def _bonds(self) -> Table:
        table = _table("Bonds (lengths in Å)", "beads", "mean", "standard deviation", "least", "largest")
        bonds = self.data.molecule.bonds
        for i, j in bonds[:_SHOWN]:
            lengths = np.linalg.norm(self.data.positions[:, i] - self.data.positions[:, j], axis=-1)
            values = lengths.mean(), lengths.std(), lengths.min(), lengths.max()
            table.add_row(
                Text(f"{self.beads.labels[i]} – {self.beads.labels[j]}"), *(f"{value:.3f}" for value in values)
            )
        return _shortened(table, len(bonds))


def _table(title: str, first: str, *others: str) -> Table:
    columns = [Column(name, justify="right") for name in others]
    return Table(first, *columns, title=title, title_justify="left", box=SIMPLE_HEAD)


def _shortened(table: Table, rows: int) -> Table:
    if rows > _SHOWN:
        table.add_row(f"and {rows - _SHOWN} more")
    return table


def _rms(noise: Float[ndarray, " beads"]) -> str:
    return f"{np.sqrt((noise**2).mean()):.4f} eV/Å" if np.isfinite(noise).all() else "none"
