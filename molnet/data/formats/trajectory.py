"""Trajectories of molecular-dynamics programs, in nm as mdtraj reads them, with forces from a second file.

A trajectory has positions and a box. What the program computed besides is given as an array: a .npy file of
forces [frames atoms 3], or a .npz file with `forces` and, if wanted, `energies`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import h5py
import mdtraj
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from jaxtyping import Int
from numpy import ndarray

from molnet.data.formats.common import Contents, Frame, ReadError, Request, expect_shape, first_key

_SUFFIXES = (".xtc", ".trr", ".dcd", ".nc", ".netcdf", ".npy")
_ENERGY, FORCES = ("energies", "energy", "E"), ("forces", "force", "F")


def accepts(request: Request) -> bool:
    """Whether the file is a trajectory: by its name, or an HDF5 file laid out as mdtraj does."""
    if request.suffix in (".h5", ".hdf5") and h5py.is_hdf5(request.path):
        with h5py.File(request.path) as file:
            return "topology" in file and "coordinates" in file
    return request.suffix in _SUFFIXES


def read(request: Request) -> Contents:
    """One frame for each of the trajectory's; a box makes it periodic."""
    numbers, positions, cells = _load(request)
    expect_shape(request, "positions", positions, (len(positions), len(numbers), 3))
    energies, forces = _labels(request, positions.shape)
    frames = []
    for i, xyz in enumerate(positions):
        cell = None if cells is None or not cells[i].any() else cells[i]
        frames.append(
            Frame(
                Atoms(numbers, xyz, cell=cell, pbc=cell is not None),
                energy=None if energies is None else energies[i],
                forces=None if forces is None else forces[i],
            )
        )
    return Contents(frames, length_unit=None if request.suffix == ".npy" else "nm", composed=False)


def topology_numbers(request: Request) -> Int[ndarray, " atoms"]:
    """The atomic numbers of the topology file, 0 for beads and virtual sites; ReadError if none is given."""
    if request.topology is None:
        raise ReadError(f"{request.name} doesn't say which atoms it holds; give topology=..., for example a .pdb file.")
    topology = mdtraj.load_topology(request.topology)
    return np.array([atom.element.atomic_number if atom.element else 0 for atom in topology.atoms])


def _load(request: Request) -> tuple[ndarray, ndarray, ndarray | None]:
    """Atomic numbers, positions [frames atoms 3] and the frames' lattice vectors or a, b, c, α, β, γ."""
    if request.suffix in (".h5", ".hdf5"):
        return _load_hdf5(request)
    numbers = topology_numbers(request)
    if request.suffix == ".npy":
        return numbers, np.load(request.path), None
    trajectory = mdtraj.load(request.path, top=request.topology)
    return numbers, trajectory.xyz, trajectory.unitcell_vectors


def _load_hdf5(request: Request) -> tuple[ndarray, ndarray, ndarray | None]:
    """mdtraj's HDF5 format without PyTables, which mdtraj itself needs for it."""
    with h5py.File(request.path) as file:
        topology = json.loads(file["topology"][0])
        box = [np.asarray(file[name]) for name in ("cell_lengths", "cell_angles") if name in file]
        positions = np.asarray(file["coordinates"])
    atoms = [a for chain in topology["chains"] for residue in chain["residues"] for a in residue["atoms"]]
    atoms.sort(key=lambda atom: atom["index"])
    numbers = np.array([atomic_numbers.get(atom["element"], 0) for atom in atoms])
    return numbers, positions, np.concatenate(box, axis=1) if len(box) == 2 else None


def _labels(request: Request, shape: tuple[int, ...]) -> tuple[ndarray | None, ndarray | None]:
    if request.forces is None:
        return None, None
    loaded: Any = np.load(request.forces)
    held: Mapping[str, ndarray] = {"forces": loaded} if isinstance(loaded, ndarray) else dict(loaded)
    source = replace(request, path=request.forces)
    found = []
    for names, chosen, expected in (
        (_ENERGY, request.energy_key, shape[:1]),
        (FORCES, request.forces_key, shape),
    ):
        key = first_key(source, held, names, chosen=chosen)
        if key is not None and held[key].shape != expected:
            raise ReadError(
                f"{key!r} of {source.name} has the shape {held[key].shape}, but {request.name} has "
                f"{shape[0]} frames of {shape[1]} atoms: expected {expected}."
            )
        found.append(None if key is None else held[key])
    return found[0], found[1]
