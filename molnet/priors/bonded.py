"""Terms of bonds, angles and dihedrals along the topology, with parameters by the types of their atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from rich.console import Group
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.data.topology import TERMS
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels.internal import InternalCoordinates
from molnet.potential import Potential
from molnet.priors.inversion import harmonic, periodic
from molnet.priors.samples import fit_table, harmonic_rows, provenance, samples
from molnet.priors.types import TypeIndex, Types, shared
from molnet.units import KB


class HarmonicBonds(Potential):
    """E = ½ Σ_b k (r_b − r₀)², half of it on each atom; k (eV/Å²) and r₀ (Å) by the types of both atoms.

    The bonds are those of the graph. A tuple of types and its reverse are the same; one without parameters raises
    UnknownSpecies.
    """

    table: Tensor

    def __init__(self, types: Sequence[Sequence[int]], stiffness: Sequence[float], lengths: Sequence[float]) -> None:
        super().__init__()
        self.types, self.stiffness, self.lengths = _rows(types), tuple(stiffness), tuple(lengths)
        self.index = TypeIndex(types, 2, "bond")
        self.register_buffer("table", _table(self.types, self.stiffness, self.lengths), persistent=False)
        self._rows = Kept(self._look_up, fields=("species", "bonds"))

    @classmethod
    def fit(cls, conformations: Conformations) -> HarmonicBonds:
        """Boltzmann inversion: p(r) ∝ r² exp[−k(r − r₀)²/2kT] has the mean and the variance of the data.

        A length with two peaks is named in the table, which `rich` prints.
        """
        found = samples(conformations, "bonds")
        fitted = cls(list(found), *_fitted(conformations, found, volume="radial"))
        fitted.provenance = provenance(conformations, harmonic_rows(found))
        return fitted

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        stiffness, middle = self._rows.of(graph, graph.positions.dtype).unbind(1)
        q = _coordinates("bonds", graph).squeeze(0)
        return shared(0.5 * stiffness * (q - middle).square(), graph.bonds, graph.n_atoms)

    def _look_up(self, graph: Graph, dtype: torch.dtype) -> Tensor:
        return self.table.to(dtype).index_select(0, self.index(graph.species, graph.bonds))

    def profile(self, types: Sequence[int], r: Float[ndarray, " points"]) -> Float[ndarray, " points"]:
        """The energy (eV) of a bond of these types at r (Å)."""
        place = self.index.place(types)
        return 0.5 * self.stiffness[place] * (r - self.lengths[place]) ** 2

    def __rich__(self) -> Group:
        columns = {"k (eV/Å²)": self.stiffness, "r₀ (Å)": self.lengths}
        return fit_table("Harmonic bonds", self.types, columns, self.provenance)


class HarmonicAngles(Potential):
    """E = ½ Σ_a k (θ_a − θ₀)², a third of it on each atom; k (eV/rad²) and θ₀ (rad) by the types of the three atoms.

    The angles are those of the graph. A tuple of types and its reverse are the same; one without parameters raises
    UnknownSpecies.
    """

    table: Tensor

    def __init__(self, types: Sequence[Sequence[int]], stiffness: Sequence[float], angles: Sequence[float]) -> None:
        super().__init__()
        self.types, self.stiffness, self.angles = _rows(types), tuple(stiffness), tuple(angles)
        self.index = TypeIndex(types, 3, "angle")
        self.register_buffer("table", _table(self.types, self.stiffness, self.angles), persistent=False)
        self._rows = Kept(self._look_up, fields=("species", "angles"))

    @classmethod
    def fit(cls, conformations: Conformations) -> HarmonicAngles:
        """Boltzmann inversion: p(θ) ∝ sin θ exp[−k(θ − θ₀)²/2kT] has the mean and the variance of the data.

        An angle with two peaks is named in the table, which `rich` prints.
        """
        found = samples(conformations, "angles")
        fitted = cls(list(found), *_fitted(conformations, found, volume="polar", upper=np.pi))
        fitted.provenance = provenance(conformations, harmonic_rows(found))
        return fitted

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        stiffness, middle = self._rows.of(graph, graph.positions.dtype).unbind(1)
        q = _coordinates("angles", graph).squeeze(0)
        return shared(0.5 * stiffness * (q - middle).square(), graph.angles, graph.n_atoms)

    def _look_up(self, graph: Graph, dtype: torch.dtype) -> Tensor:
        return self.table.to(dtype).index_select(0, self.index(graph.species, graph.angles))

    def profile(self, types: Sequence[int], theta: Float[ndarray, " points"]) -> Float[ndarray, " points"]:
        """The energy (eV) of an angle of these types at θ (rad)."""
        place = self.index.place(types)
        return 0.5 * self.stiffness[place] * (theta - self.angles[place]) ** 2

    def __rich__(self) -> Group:
        columns = {"k (eV/rad²)": self.stiffness, "θ₀ (rad)": self.angles}
        return fit_table("Harmonic angles", self.types, columns, self.provenance)


class PeriodicDihedrals(Potential):
    """E = Σ_d Σ_n (a_n cos nφ_d + b_n sin nφ_d), a quarter of it on each atom; n = 1, 2, … and a_n, b_n in eV.

    The dihedrals are those of the graph, φ as in `features.dihedrals`. `cosines` and `sines` have a row of coefficients
    for each tuple of types, which is the same as its reverse; one without raises UnknownSpecies.
    """

    table: Tensor

    def __init__(
        self, types: Sequence[Sequence[int]], cosines: Sequence[Sequence[float]], sines: Sequence[Sequence[float]]
    ) -> None:
        super().__init__()
        self.types, self.cosines, self.sines = _rows(types), _rows(cosines), _rows(sines)
        if len(lengths := {len(row) for row in (*self.cosines, *self.sines)}) != 1:
            raise ValueError(f"rows of coefficients have {sorted(lengths)} numbers; expected all of one length.")
        self.index = TypeIndex(types, 4, "dihedral")
        self.register_buffer("table", _table(self.types, self.cosines, self.sines), persistent=False)
        self._rows = Kept(self._look_up, fields=("species", "dihedrals"))

    @classmethod
    def fit(cls, conformations: Conformations, *, terms: int = 4) -> PeriodicDihedrals:
        """Boltzmann inversion: p(φ) ∝ exp(−E/kT) has the data's ⟨cos nφ⟩ and ⟨sin nφ⟩ for n up to `terms`."""
        found = samples(conformations, "dihedrals")
        fits = [periodic(values, KB * conformations.temperature, terms=terms) for values in found.values()]
        fitted = cls(list(found), [a.tolist() for a, _ in fits], [b.tolist() for _, b in fits])
        fitted.provenance = provenance(conformations, [{"samples": len(values)} for values in found.values()])
        return fitted

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        cosine, sine = _coordinates("dihedrals", graph).view(-1, 2).unbind(1)
        a, b = self._rows.of(graph, cosine.dtype).unbind(1)
        n = torch.arange(1, a.shape[1] + 1, dtype=cosine.dtype, device=cosine.device)
        phase = torch.atan2(sine, cosine).unsqueeze(1) * n
        return shared((a * phase.cos() + b * phase.sin()).sum(1), graph.dihedrals, graph.n_atoms)

    def _look_up(self, graph: Graph, dtype: torch.dtype) -> Tensor:
        return self.table.to(dtype).index_select(0, self.index(graph.species, graph.dihedrals))

    def profile(self, types: Sequence[int], phi: Float[ndarray, " points"]) -> Float[ndarray, " points"]:
        """The energy (eV) of a dihedral of these types at φ (rad)."""
        place = self.index.place(types)
        phase = np.outer(np.arange(1, len(self.cosines[place]) + 1), phi)
        return np.asarray(self.cosines[place]) @ np.cos(phase) + np.asarray(self.sines[place]) @ np.sin(phase)

    def __rich__(self) -> Group:
        columns: dict[str, list[float]] = {}
        for n in range(len(self.cosines[0])):
            columns |= {f"a{n + 1} (eV)": [row[n] for row in self.cosines], f"b{n + 1}": [row[n] for row in self.sines]}
        return fit_table("Periodic dihedrals", self.types, columns, self.provenance)


def _coordinates(name: str, graph: Graph) -> Float[Tensor, "1 coordinates"]:
    """All the graph's terms of one kind, as those of one large structure."""
    lists = [graph.positions.new_empty((0, k), dtype=torch.long) for k in TERMS.values()]
    lists[list(TERMS).index(name)] = getattr(graph, name).T
    return InternalCoordinates(*lists)(graph.positions.unsqueeze(0))


def _table(types: Sequence[Sequence[int]], *columns: Sequence[Any]) -> Tensor:
    """A row of parameters for each of the types."""
    if any(len(column) != len(types) for column in columns):
        counts = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"{len(types)} types have {counts} parameters of each kind; expected one for each.")
    return torch.stack([torch.tensor(column, dtype=torch.float64) for column in columns], dim=1)


def _fitted(
    conformations: Conformations, found: Mapping[Types, Float[ndarray, " samples"]], **options: Any
) -> list[list[float]]:
    """k and q₀ of each of the types."""
    kT = KB * conformations.temperature
    fits = [harmonic(values, kT, **options) for values in found.values()]
    return [list(column) for column in zip(*fits, strict=True)]


def _rows(rows: Sequence[Sequence[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in rows)
