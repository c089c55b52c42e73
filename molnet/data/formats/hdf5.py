"""Quantum-chemical data sets in HDF5, one group for each molecule: ANI-1, ANI-1x and SPICE.

ANI-1 (Smith et al., Sci. Data 4, 170193, 2017) and ANI-1x (Smith et al., Sci. Data 7, 134, 2020) are in
Hartree and Å, SPICE (Eastman et al., Sci. Data 10, 11, 2023) is in Hartree and Bohr and holds gradients:
forces = −gradient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np
from ase import Atoms
from numpy import ndarray

from molnet.data.formats.common import Contents, Frame, ReadError, Request, expect_shape, first_key


class _Layout(NamedTuple):
    """The names of a data set, in the order they are looked for, and its units."""

    positions: str
    energy: tuple[str, ...]
    forces: tuple[str, ...]
    length_unit: str


_LAYOUTS = (
    _Layout("conformations", ("dft_total_energy",), ("dft_total_gradient",), "Bohr"),
    _Layout("coordinates", ("wb97x_dz.energy", "energies"), ("wb97x_dz.forces", "forces"), "Å"),
)
_SPECIES = ("atomic_numbers", "species")
_FORMAL_CHARGE = re.compile(r"\[[^\]]*?([+-]\d*)(?::\d+)?\]")


def accepts(request: Request) -> bool:
    """Whether the file is HDF5 by its name."""
    return request.suffix in (".h5", ".hdf5")


def read(request: Request) -> Contents:
    """One frame for each conformation of each molecule; a NaN in ANI-1x is a label that wasn't computed."""
    frames: list[Frame] = []
    units: tuple[str | None, str | None, str | None] = (None, None, None)
    with h5py.File(request.path) as file:
        for group, layout in _molecules(file):
            units = units if frames else _units(request, group, layout)
            frames.extend(_conformations(request, group, layout))
        if not frames:
            known = " or ".join(layout.positions for layout in _LAYOUTS)
            raise ReadError(f"{request.name} has no group with {known}; found {', '.join(file)}.")
    return Contents(frames, *units)


def _molecules(group: Any) -> Iterator[tuple[Any, _Layout]]:
    layout = next((layout for layout in _LAYOUTS if layout.positions in group), None)
    if layout is not None:
        yield group, layout
        return
    for child in group.values():
        if isinstance(child, h5py.Group):
            yield from _molecules(child)


def _conformations(request: Request, group: Any, layout: _Layout) -> Iterator[Frame]:
    positions = np.asarray(group[layout.positions], dtype=np.float64)
    numbers = _numbers(request, group, positions.shape[:2])
    place = f"{group.name}/{layout.positions}"
    expect_shape(request, place, positions, (*numbers.shape, 3))
    energy, forces = _keys(request, group, layout)
    energies = _values(request, group, energy, positions.shape[:1])
    gradients = _values(request, group, forces, positions.shape)
    sign = -1.0 if forces and forces.endswith("gradient") else 1.0
    info = {"molecule": group.name.lstrip("/"), **_charge(group)}
    for i, xyz in enumerate(positions):
        yield Frame(
            Atoms(numbers[i], xyz, info=info),
            energy=None if np.isnan(energies[i]) else energies[i],
            forces=None if np.isnan(gradients[i]).all() else sign * gradients[i],
        )


def _keys(request: Request, group: Any, layout: _Layout) -> tuple[str | None, str | None]:
    energies = _same_level(request.forces_key, "energy", layout.energy)
    forces = _same_level(request.energy_key, "forces", layout.forces)
    return (
        first_key(request, group, energies, chosen=request.energy_key),
        first_key(request, group, forces, chosen=request.forces_key),
    )


def _same_level(chosen: str | None, label: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Where a label is looked for: ANI-1x's keys start with a level of theory, and two are never mixed."""
    return names if chosen is None or "." not in chosen else (f"{chosen.rpartition('.')[0]}.{label}",)


def _values(request: Request, group: Any, key: str | None, shape: tuple[int, ...]) -> ndarray:
    if key is None:
        return np.full(shape, np.nan)
    return expect_shape(request, f"{group.name}/{key}", np.asarray(group[key]), shape)


def _numbers(request: Request, group: Any, shape: tuple[int, int]) -> ndarray:
    key = first_key(request, group, _SPECIES)
    if key is None:
        raise ReadError(f"{group.name} of {request.name} has no {' or '.join(_SPECIES)}; found {', '.join(group)}.")
    species = np.asarray(group[key])
    if species.dtype.kind in "SO":
        species = Atoms([symbol.decode() for symbol in species]).numbers
    if species.shape not in (shape, shape[1:]):
        raise ReadError(f"{group.name}/{key} of {request.name} has the shape {species.shape}; expected {shape[1:]}.")
    return np.broadcast_to(species, shape)


def _charge(group: Any) -> dict[str, float]:
    """The total charge in the SMILES that SPICE stores, which writes every formal charge."""
    if "smiles" not in group or "conformations" not in group:
        return {}
    signs = _FORMAL_CHARGE.findall(group["smiles"].asstr()[0])
    return {"charge": float(sum(int(sign) if len(sign) > 1 else int(sign + "1") for sign in signs))}


def _units(request: Request, group: Any, layout: _Layout) -> tuple[str, str, str | None]:
    """The units of energy, length and force in the attributes of the data, else those of the data set."""
    energy, forces = _keys(request, group, layout)

    def stated(key: str | None) -> str | None:
        return group[key].attrs.get("units") if key else None

    return stated(energy) or "Hartree", stated(layout.positions) or layout.length_unit, stated(forces)
