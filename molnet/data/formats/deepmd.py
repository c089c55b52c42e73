"""DeePMD-kit system folders: type.raw, type_map.raw, nopbc and set.*/{coord,box,energy,force,virial}.npy.

Units are eV and Å; a virial W, in eV, is −V σ. The layout is in DeePMD-kit's documentation, "System".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy import ndarray

from molnet.data.formats.common import Contents, Frame, ReadError, Request
from molnet.data.labels import virial_to_stress


def accepts(request: Request) -> bool:
    """Whether the path is a folder with a type.raw."""
    return (request.path / "type.raw").is_file()


def read(request: Request) -> Contents:
    """One frame for each row of each set, the sets in the order of their names."""
    sets = sorted(request.path.glob("set.*"))
    if not sets:
        raise ReadError(f"{request.name} has no folder set.*; found {', '.join(_names(request.path))}.")
    numbers = _numbers(request)
    frames = [frame for folder in sets for frame in _frames(request, folder, numbers)]
    return Contents(frames, energy_unit="eV", length_unit="Å")


def _frames(request: Request, folder: Path, numbers: ndarray) -> Iterator[Frame]:
    periodic = not (request.path / "nopbc").exists()
    coord = _array(request, folder, "coord", len(numbers) * 3)
    if coord is None:
        raise ReadError(f"{request.name}/{folder.name} has no coord.npy; found {', '.join(_names(folder))}.")
    sizes = {"box": 9, "energy": 1, "force": len(numbers) * 3, "virial": 9}
    found = {name: _array(request, folder, name, size, len(coord)) for name, size in sizes.items()}
    arrays = {name: array for name, array in found.items() if array is not None}
    if periodic and "box" not in arrays:
        raise ReadError(f"{request.name}/{folder.name} has no box.npy, and the system has no file nopbc.")
    for i, xyz in enumerate(coord):
        row = {name: array[i] for name, array in arrays.items()}
        cell = row["box"].reshape(3, 3) if periodic else None
        atoms = Atoms(numbers, xyz.reshape(-1, 3), cell=cell, pbc=periodic)
        has_stress = "virial" in row and atoms.cell.rank == 3
        yield Frame(
            atoms,
            energy=row["energy"].item() if "energy" in row else None,
            forces=row["force"].reshape(-1, 3) if "force" in row else None,
            stress=virial_to_stress(atoms, row["virial"]) if has_stress else None,
        )


def _numbers(request: Request) -> ndarray:
    if list(request.path.glob("set.*/real_atom_types.npy")):
        raise ReadError(
            f"{request.name} is of DeePMD's mixed type (real_atom_types.npy); convert it to one system each."
        )
    if not (request.path / "type_map.raw").is_file():
        raise ReadError(f"{request.name} has no type_map.raw; write one with the element of each type, in order.")
    symbols = (request.path / "type_map.raw").read_text().split()
    types = [int(word) for word in (request.path / "type.raw").read_text().split()]
    if not set(types) <= set(range(len(symbols))) or not set(symbols) <= set(atomic_numbers):
        raise ReadError(
            f"type_map.raw of {request.name} is {' '.join(symbols)}; expected an element for each of "
            f"the types {', '.join(map(str, sorted(set(types))))} in type.raw."
        )
    return np.array([atomic_numbers[symbols[t]] for t in types])


def _array(request: Request, folder: Path, name: str, size: int, frames: int | None = None) -> ndarray | None:
    """One row for each frame; DeePMD allows energies without a second axis."""
    path = folder / f"{name}.npy"
    if not path.is_file():
        return None
    array = np.load(path)
    expected = (len(array) if frames is None else frames, size)
    if array.size != expected[0] * size or len(array) != expected[0]:
        raise ReadError(f"{request.name}/{folder.name}/{path.name} has the shape {array.shape}; expected {expected}.")
    return array.astype(np.float64).reshape(expected)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
