"""Positions and forces of beads that another program has mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from molnet.coarse.checks import check_beads, check_temperature
from molnet.data.conformations import Conformations
from molnet.data.formats.common import Request, first_key
from molnet.data.formats.trajectory import FORCES
from molnet.data.molecule import Molecule
from molnet.units import force_unit as force_factor
from molnet.units import length_unit as length_factor

_POSITIONS = ("positions", "coordinates", "coords", "xyz", "R")


def read_arrays(
    positions: str | Path,
    molecule: Molecule,
    *,
    temperature: float,
    length_unit: str,
    force_unit: str,
    forces: str | Path | None = None,
) -> Conformations:
    """Conformations from positions and forces [frames beads 3] in one .npz file, or in a .npy file each.

    The molecule says which beads they are: `Molecule.bonded(names, masses, bonds=...)`. Raises ValueError for arrays
    that are missing or don't fit each other, and for units that don't fit bond lengths or the temperature (K).
    """
    path, second = Path(positions), Path(positions if forces is None else forces)
    data = Conformations(
        molecule,
        _array(path, _POSITIONS, "positions") * length_factor(length_unit),
        _array(second, FORCES, "forces") * force_factor(force_unit),
        temperature,
    )
    check_beads(data, name=path.name, unit=length_unit)
    check_temperature(data, unit=force_unit)
    return data


def _array(path: Path, keys: tuple[str, ...], what: str) -> Float[ndarray, "frames beads 3"]:
    held: Any = np.load(path)
    if isinstance(held, ndarray):
        return np.asarray(held, dtype=np.float64)
    key = first_key(Request(path), held, keys)
    if key is None:
        raise ValueError(f"{path.name} has no {what}; found {', '.join(held)}, expected one named {' or '.join(keys)}.")
    return np.asarray(held[key], dtype=np.float64)
