"""NumPy archives of one molecule or of padded ones: MD17, revised MD17, sGDML, and arrays of one's own.

The revised MD17 set is in kcal/mol and Å (Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1,
045018, 2020) and is known by its keys; sGDML's files state r_unit and e_unit; the others state nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from jaxtyping import Int
from numpy import ndarray

from molnet.data.formats.common import Contents, Frame, ReadError, Request, expect_shape, first_key
from molnet.data.formats.trajectory import topology_numbers

_NUMBERS = ("z", "Z", "nuclear_charges", "atomic_numbers", "numbers")
_POSITIONS = ("R", "coords", "coordinates", "positions")
_ENERGY = ("E", "energies", "energy")
_FORCES = ("F", "forces", "force")


def accepts(request: Request) -> bool:
    """Whether the file is a NumPy archive by its name."""
    return request.suffix == ".npz"


def read(request: Request) -> Contents:
    """One frame for each row of the positions; atomic number 0 is padding, unless it is a topology's."""
    with np.load(request.path) as held:
        key = first_key(request, held, _POSITIONS)
        if key is None:
            raise ReadError(f"{request.name} has no positions under {', '.join(_POSITIONS)}; found {', '.join(held)}.")
        positions = held[key]
        if positions.ndim != 3 or positions.shape[2] != 3:
            raise ReadError(f"{key!r} of {request.name} has the shape {positions.shape}; expected (frames, atoms, 3).")
        numbers = _numbers(request, held, positions.shape[:2])
        energies, forces = _labels(request, held, positions)
        revised = key == "coords" and "nuclear_charges" in held
        stated = {"e_unit": "kcal/mol", "r_unit": "Å"} if revised else {}
        stated |= {name: _text(held[name]) for name in ("e_unit", "r_unit") if name in held}
    frames = []
    for i, z in enumerate(numbers):
        real = z > 0 if request.topology is None else np.full(len(z), True)
        frames.append(
            Frame(
                Atoms(z[real], positions[i, real]),
                energy=None if energies is None else energies[i],
                forces=None if forces is None else forces[i, real],
            )
        )
    return Contents(frames, energy_unit=stated.get("e_unit"), length_unit=stated.get("r_unit"))


def _labels(request: Request, held: Mapping[str, ndarray], positions: ndarray) -> tuple[ndarray | None, ndarray | None]:
    """The energies [frames] and forces [frames atoms 3] that an archive has for these positions."""
    energies = forces = None
    if key := first_key(request, held, _ENERGY, chosen=request.energy_key):
        energies = held[key]
        energies = energies[:, 0] if energies.shape[1:] == (1,) else energies
        energies = expect_shape(request, key, energies, positions.shape[:1])
    if key := first_key(request, held, _FORCES, chosen=request.forces_key):
        forces = expect_shape(request, key, held[key], positions.shape)
    return energies, forces


def _numbers(request: Request, held: Mapping[str, ndarray], shape: tuple[int, int]) -> Int[ndarray, "frames atoms"]:
    key = first_key(request, held, _NUMBERS)
    if key is not None:
        numbers = np.asarray(held[key], dtype=int)
    elif request.topology is not None:
        key, numbers = request.topology.name, topology_numbers(request)
    else:
        raise ReadError(
            f"{request.name} has no atomic numbers under {', '.join(_NUMBERS)}; found {', '.join(held)}. "
            "Give topology=..., a file that has the atoms."
        )
    if numbers.shape not in (shape, shape[1:]):
        raise ReadError(f"{key!r} of {request.name} has the shape {numbers.shape}; expected {shape[1:]} or {shape}.")
    return np.broadcast_to(numbers, shape)


def _text(value: ndarray) -> str:
    item = value.item()
    return item.decode() if isinstance(item, bytes) else str(item)
