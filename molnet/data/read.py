"""Reading molecular-dynamics data: any of the supported files to ase.Atoms in eV and Å, with their labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from ase import Atoms

from molnet.data.formats import ase_formats, deepmd, hdf5, n2p2, npz, trajectory
from molnet.data.formats.common import Contents, Frame, ReadError, Request
from molnet.data.labels import LabelError, set_labels, where
from molnet.units import energy_unit as energy_factor
from molnet.units import force_unit as force_factor
from molnet.units import length_unit as length_factor

_UNITS = ("energy_unit", "length_unit", "force_unit")
_EXAMPLES = {
    "energy_unit": "'eV', 'Hartree', 'kcal/mol'",
    "length_unit": "'Å', 'Bohr', 'nm'",
    "force_unit": "'eV/Å', 'kcal/mol/Å', 'kJ/mol/nm'",
}
_KEYS = ("energy_key", "forces_key")


class Format(NamedTuple):
    """A family of files: how to recognize and read it, and which arguments of `read` it has a use for."""

    name: str
    accepts: Callable[[Request], bool]
    read: Callable[[Request], Contents]
    arguments: tuple[str, ...]


FORMATS: Final = (
    Format("DeePMD system folder", deepmd.accepts, deepmd.read, ()),
    Format("n2p2 or RuNNer input.data", n2p2.accepts, n2p2.read, _UNITS),
    Format(
        "trajectory (.xtc .trr .dcd .nc .npy, mdtraj's .h5)",
        trajectory.accepts,
        trajectory.read,
        (*_KEYS, *_UNITS, "topology", "forces"),
    ),
    Format("ANI or SPICE .h5, .hdf5", hdf5.accepts, hdf5.read, (*_KEYS, *_UNITS)),
    Format("MD17 or sGDML .npz", npz.accepts, npz.read, (*_KEYS, *_UNITS, "topology")),
    Format("extended or plain .xyz", ase_formats.accepts_xyz, ase_formats.read_xyz, (*_KEYS, *_UNITS)),
    Format("a format of ASE", ase_formats.accepts_any, ase_formats.read_any, (*_KEYS, *_UNITS)),
)
"""The formats, in the order in which they are tried."""


class _Factors(NamedTuple):
    energy: float
    length: float
    force: float


def read(
    path: str | PathLike[str],
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    energy_unit: str | None = None,
    length_unit: str | None = None,
    force_unit: str | None = None,
    topology: str | PathLike[str] | None = None,
    forces: str | PathLike[str] | None = None,
) -> list[Atoms]:
    """Read structures and their labels, in eV and Å.

    The keys say where a file keeps its labels, if not under the usual names. The units are those of the file:
    they have to be given where it doesn't state them; a unit that is given counts. Forces are in
    energy_unit/length_unit unless force_unit is given. `topology` is a file that says which atoms a
    trajectory holds, `forces` a .npy or .npz file of its forces.

    The labels stand in a SinglePointCalculator, and `info` has the name of the file (source), the number of
    the frame (frame) and the total charge in e (charge), where there is one. A frame may lack labels;
    `require` refuses it.

    Raises ReadError, a ValueError, for a file that can't be read as it stands, and FileNotFoundError.
    """
    request = Request(
        path=Path(path),
        energy_key=energy_key,
        forces_key=forces_key,
        energy_unit=energy_unit,
        length_unit=length_unit,
        force_unit=force_unit,
        topology=None if topology is None else Path(topology),
        forces=None if forces is None else Path(forces),
    )
    for file in (request.path, request.topology, request.forces):
        if file is not None:
            _check_exists(file)
    contents = _contents(request)
    factors = _factors(request, contents)
    return [_finished(request, index, frame, factors) for index, frame in enumerate(contents.frames)]


def _check_exists(path: Path) -> None:
    if not path.exists():
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise FileNotFoundError(f"{path} doesn't exist{hint}")
    if path.is_file() and path.stat().st_size == 0:
        raise ReadError(f"{path.name} is empty.")


def _format(request: Request) -> Format:
    known = "; ".join(format.name for format in FORMATS)
    format = next((format for format in FORMATS if format.accepts(request)), None)
    if format is None:
        raise ReadError(f"{request.name} is in no format that is known here. Known are {known} (see ase.io).")
    given = {f.name for f in fields(request) if getattr(request, f.name) is not None} - {"path"}
    if useless := sorted(given - set(format.arguments)):
        raise ReadError(
            f"{', '.join(useless)} has no meaning for {request.name} ({format.name}); "
            f"what has: {', '.join(format.arguments) or 'nothing, its units and names are fixed'}."
        )
    return format


def _contents(request: Request) -> Contents:
    name = "structures"
    try:
        format = _format(request)
        name = format.name
        contents = format.read(request)
    except (ReadError, LabelError):
        raise
    except Exception as error:  # the readers of other packages raise whatever they meet
        raise ReadError(f"{request.name} can't be read as {name}: {error}") from error
    if not contents.frames:
        raise ReadError(f"{request.name} holds no structures.")
    return contents


def _factors(request: Request, contents: Contents) -> _Factors:
    """What to multiply with; NaN for a unit that nothing in the file needs and nobody states."""
    energy = request.energy_unit or contents.energy_unit
    length = request.length_unit or contents.length_unit
    force = request.force_unit or contents.force_unit
    has_forces = any(frame.forces is not None for frame in contents.frames)
    has_energy = any(frame.energy is not None or frame.stress is not None for frame in contents.frames)
    by_quotient = has_forces and not force and contents.composed
    missing = ["energy_unit"] if not energy and (has_energy or by_quotient) else []
    missing += [] if length else ["length_unit"]
    missing += ["force_unit"] if has_forces and not force and not contents.composed else []
    if missing or not length:
        arguments = " and ".join(f"{name}=... ({_EXAMPLES[name]})" for name in missing)
        raise ReadError(f"{request.name} doesn't state its units; give {arguments}.")
    in_ev, in_angstrom = energy_factor(energy) if energy else float("nan"), length_factor(length)
    return _Factors(in_ev, in_angstrom, force_factor(force) if force else in_ev / in_angstrom)


def _finished(request: Request, index: int, frame: Frame, factors: _Factors) -> Atoms:
    atoms = frame.atoms
    atoms.info |= {"source": request.name, "frame": index}
    if factors.length != 1.0:
        atoms.positions *= factors.length
        atoms.set_cell(atoms.cell.array * factors.length)
    if np.linalg.matrix_rank(atoms.cell[atoms.pbc]) < atoms.pbc.sum():
        raise ReadError(
            f"{where(atoms, index)} is periodic along {atoms.pbc.sum()} of its lattice vectors, but they "
            f"span no volume: {atoms.cell.tolist()}. Correct the cell or the pbc in the file."
        )
    stress_factor = factors.energy / factors.length**3
    set_labels(
        atoms,
        None if frame.energy is None else frame.energy * factors.energy,
        forces=None if frame.forces is None else np.asarray(frame.forces) * factors.force,
        stress=None if frame.stress is None else np.asarray(frame.stress) * stress_factor,
    )
    return atoms
