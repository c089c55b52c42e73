"""Long trajectories and their forces, read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import mdtraj
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from molnet.coarse.bonds import atom_bonds, spanning_tree
from molnet.data.formats.common import Request, first_key
from molnet.data.formats.trajectory import FORCES
from molnet.units import length_unit

_NUMBERS = 5_000_000  # coordinates held at once


def pieces(
    path: Path, topology: mdtraj.Topology, atoms: Int[ndarray, " involved"], unit: str | None
) -> Iterator[Float[ndarray, "frames involved 3"]]:
    """The positions (Å) of some atoms, a piece of the trajectory at a time, molecules made whole where there is a box.

    mdtraj's nm count where no unit is given. Raises ValueError for a file that doesn't fit the topology, and for a
    .npy file without a unit.
    """
    if path.suffix == ".npy" and unit is None:
        raise ValueError(f"{path.name} doesn't say in which unit its positions are; give the length unit, Å or nm.")
    factor = length_unit(unit or "nm")
    size = max(1, _NUMBERS // (3 * topology.n_atoms))
    part = topology.subset(atoms)
    bonds = spanning_tree(atom_bonds(part), part.n_atoms)
    for piece in _read(path, topology, atoms, part, size):
        _make_whole(piece, bonds)
        yield factor * piece.xyz.astype(np.float64)


def forces_of(path: Path, topology: mdtraj.Topology) -> Float[ndarray, "frames atoms 3"]:
    """The forces in a .npy file, which stays on the disk, or in a .npz file; ValueError for other atoms."""
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path.name} is no file of forces; give an array [frames atoms 3] as .npy or .npz.")
    held: Any = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None)
    if not isinstance(held, ndarray):
        key = first_key(Request(path), held, FORCES)
        if key is None:
            raise ValueError(f"{path.name} has no forces; found {', '.join(held)}, expected 'forces'.")
        held = held[key]
    if held.ndim != 3 or held.shape[1:] != (topology.n_atoms, 3):
        raise ValueError(
            f"{path.name} has the shape {held.shape}; expected frames × {topology.n_atoms} atoms of the topology × 3."
        )
    return held


def _read(
    path: Path, topology: mdtraj.Topology, atoms: Int[ndarray, " involved"], part: mdtraj.Topology, size: int
) -> Iterator[mdtraj.Trajectory]:
    if path.suffix == ".npy":
        positions = np.load(path, mmap_mode="r")
        _expect(path, topology, positions.shape[1])
        for first in range(0, len(positions), size):
            yield mdtraj.Trajectory(positions[first : first + size][:, atoms], part)
    elif path.suffix in (".h5", ".hdf5"):
        yield from _read_hdf5(path, topology, atoms, part, size)
    else:
        try:
            # mdtraj compares the file with the topology only where it isn't given a choice of atoms.
            next(mdtraj.iterload(str(path), top=topology, chunk=1))
            yield from mdtraj.iterload(str(path), top=topology, chunk=size, atom_indices=atoms)
        except (ValueError, TypeError, StopIteration) as error:
            raise ValueError(
                f"{path.name} can't be read with a topology of {topology.n_atoms} atoms: {error}"
            ) from error


def _read_hdf5(
    path: Path, topology: mdtraj.Topology, atoms: Int[ndarray, " involved"], part: mdtraj.Topology, size: int
) -> Iterator[mdtraj.Trajectory]:
    """mdtraj's HDF5 format without PyTables, which mdtraj itself needs for it."""
    with h5py.File(path) as file:
        positions = file["coordinates"]
        _expect(path, topology, positions.shape[1])
        for first in range(0, len(positions), size):
            frames = slice(first, first + size)
            box = [file[name][frames] if name in file else None for name in ("cell_lengths", "cell_angles")]
            yield mdtraj.Trajectory(positions[frames][:, atoms], part, None, *box)


def _expect(path: Path, topology: mdtraj.Topology, found: int) -> None:
    if found != topology.n_atoms:
        raise ValueError(f"{path.name} has {found} atoms; the topology has {topology.n_atoms}: give that of this file.")


def _make_whole(piece: mdtraj.Trajectory, bonds: Int[ndarray, "bonds 2"]) -> None:
    """Joins molecules that the box cuts, if there are any: in place."""
    box = piece.unitcell_lengths
    if box is None or not len(bonds) or not len(piece) or (box <= 0).any():
        return
    lengths = np.linalg.norm(piece.xyz[:, bonds[:, 0]] - piece.xyz[:, bonds[:, 1]], axis=-1)
    if (lengths > 0.5 * box.min(axis=1, keepdims=True)).any():
        piece.make_molecules_whole(inplace=True, sorted_bonds=bonds.astype(np.int32))
