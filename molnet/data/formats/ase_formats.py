"""Everything that ASE reads: extended xyz, ASE databases and trajectories, and the outputs of other programs.

ASE's units are eV and Å. A plain xyz file, without Properties= or Lattice= in its comments, states no unit.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype, ioformats, open_with_compression

from molnet.data.formats.common import Contents, Frame, ReadError, Request
from molnet.data.labels import LABEL_NAMES, find_label, shaped, stored, stored_names

_EXTENDED = re.compile(r"\b(Properties|Lattice)\s*=", re.IGNORECASE)


def accepts_xyz(request: Request) -> bool:
    """Whether the file is xyz by its name, compressed or not."""
    return request.suffix in (".xyz", ".extxyz")


def read_xyz(request: Request) -> Contents:
    """Extended or plain xyz; ReadError at the frame where it breaks off."""
    with open_with_compression(str(request.path)) as file:
        text = file.read()
    extended = _check_xyz(request, text.rstrip().splitlines())
    frames: list[Atoms] = []
    try:
        frames.extend(ase.io.iread(StringIO(text), ":", format="extxyz"))
    except Exception as error:  # ASE's reader raises whatever its parsing meets
        raise ReadError(
            f"frame {len(frames)} of {request.name} can't be read ({error}); good frames before it: {len(frames)}."
        ) from error
    return Contents(_labelled(request, frames), *(("eV", "Å") if extended else (None, None)))


def accepts_any(request: Request) -> bool:
    """Whether ASE knows the file by its name or its first bytes."""
    try:
        return request.path.is_file() and filetype(str(request.path)) in ioformats
    except UnknownFileTypeError:
        return False


def read_any(request: Request) -> Contents:
    """Every frame of a file in another of ASE's formats."""
    if filetype(str(request.path)) == "db":
        return _read_database(request)
    frames = ase.io.read(request.path, index=":")
    return Contents(_labelled(request, list(frames)), "eV", "Å")


def _read_database(request: Request) -> Contents:
    """The rows of a database, with what they hold besides the structure; SchNetPack's state their units."""
    frames = []
    with ase.db.connect(request.path, serial=True) as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info |= {**row.key_value_pairs, **row.data}
            frames.append(atoms)
        length = database.metadata.get("_distance_unit", "Å")
        units = database.metadata.get("_property_unit_dict", {})
    energy = units.get(request.energy_key or "energy", "eV")
    return Contents(_labelled(request, frames), energy, length, units.get(request.forces_key or "forces"))


def _check_xyz(request: Request, lines: list[str]) -> bool:
    """Whether all the comments are extended; ReadError where a frame doesn't start or end as it should."""
    extended, start, index = True, 0, 0
    while start < len(lines):
        count = lines[start].strip()
        if not count.isdigit():
            raise ReadError(
                f"line {start + 1} of {request.name} should give the number of atoms of frame {index} but is "
                f"{count!r}; good frames before it: {index}."
            )
        end = start + 2 + int(count)
        if end > len(lines):
            raise ReadError(
                f"{request.name} breaks off in frame {index}, after {max(len(lines) - start - 2, 0)} of "
                f"{count} atoms; good frames before it: {index}."
            )
        extended = extended and bool(_EXTENDED.search(lines[start + 1]))
        start, index = end, index + 1
    return extended


def _labelled(request: Request, frames: list[Atoms]) -> list[Frame]:
    keys = {"energy": request.energy_key, "forces": request.forces_key}
    for label, key in keys.items():
        if key is not None and frames and all(_value(atoms, key) is None for atoms in frames):
            found = {*frames[0].info, *frames[0].arrays, *_results(frames[0])} - {"numbers", "positions"}
            raise ReadError(f"no frame of {request.name} has {label} under {key!r}; found {', '.join(sorted(found))}.")
    return [_frame(request, index, atoms, keys) for index, atoms in enumerate(frames)]


def _frame(request: Request, index: int, atoms: Atoms, keys: dict[str, str | None]) -> Frame:
    """Takes the labels out of a structure, so that they are in one place and one unit afterwards."""
    atoms.info |= {"source": request.name, "frame": index}
    found = {}
    for label in ("energy", "forces", "stress"):
        key = keys.get(label)
        if key is None:
            _refuse_two(request, index, atoms, label)
        value = _value(atoms, key or label)
        if value is not None:
            found[label] = shaped(atoms, label, value)
        elif key is None:
            found[label] = find_label(atoms, label)
    taken = [key for name in LABEL_NAMES for key in stored_names(atoms, name)]
    for key in [*taken, *filter(None, keys.values())]:
        atoms.info.pop(key, None)
        atoms.arrays.pop(key, None)
    if "charge" not in atoms.info and "total_charge" in atoms.info:
        atoms.info["charge"] = atoms.info["total_charge"]
    return Frame(atoms, **found)


def _refuse_two(request: Request, index: int, atoms: Atoms, label: str) -> None:
    """Labels under two names that differ are the user's choice, not ours."""
    results = _results(atoms)
    values = {label: results[label]} if label in results else {}
    values |= {key: stored(atoms, key) for key in stored_names(atoms, label)}
    first, *others = values or [label]
    for other in others:
        if not np.array_equal(np.ravel(values[first]), np.ravel(values[other])):
            choice = f"Choose by {label}_key=..." if label != "stress" else "Remove one."
            raise ReadError(
                f"frame {index} of {request.name} has {label} under {first!r} and {other!r}, and they differ. {choice}"
            )


def _results(atoms: Atoms) -> dict[str, Any]:
    return {} if atoms.calc is None else atoms.calc.results


def _value(atoms: Atoms, key: str) -> Any:
    results = _results(atoms)
    return results[key] if key in results else stored(atoms, key)
