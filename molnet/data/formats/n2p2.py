"""The input.data files of n2p2 and RuNNer, blocks of lines between `begin` and `end`; they state no units.

    begin
    comment a water molecule
    lattice ax ay az                                (three lines, or none where the structure isn't periodic)
    atom x y z element charge unused fx fy fz       (one line for each atom)
    energy E
    charge Q
    end

The layout is in n2p2's documentation, "Configuration file format". It can't leave labels out: energies or
forces that are zero throughout a file stand for none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from ase import Atoms
from ase.io.formats import open_with_compression

from molnet.data.formats.common import Contents, Frame, ReadError, Request

_VALUES = {"lattice": 3, "atom": 9, "energy": 1, "charge": 1}


def accepts(request: Request) -> bool:
    """Whether the file is called input.data or *.data and its first word is `begin`."""
    if request.suffix != ".data":
        return False
    with open_with_compression(str(request.path)) as file:
        return next((line.split()[0] == "begin" for line in file if line.split()), False)


def read(request: Request) -> Contents:
    """One frame for each block; charges of the atoms become ASE's initial charges."""
    with open_with_compression(str(request.path)) as file:
        frames = [_frame(request, index, block) for index, block in enumerate(_blocks(request, file))]
    if not any(frame.energy for frame in frames):
        frames = [frame._replace(energy=None) for frame in frames]
    if not any(frame.forces is not None and frame.forces.any() for frame in frames):
        frames = [frame._replace(forces=None) for frame in frames]
    return Contents(frames)


Block = dict[str, list[list[str]]]


def _blocks(request: Request, file: IO[str]) -> Iterator[Block]:
    """The values after each keyword, block by block."""
    block: Block | None = None
    good = 0
    for number, line in enumerate(file, start=1):
        keyword, *values = line.split() or [""]
        if block is None and keyword == "begin" and not values:
            block = {"comment": [], **{name: [] for name in _VALUES}}
        elif block is not None and keyword == "end":
            yield block
            block, good = None, good + 1
        elif block is not None and keyword in block and len(values) >= _VALUES.get(keyword, 0):
            block[keyword].append(values)
        elif keyword:
            inside = "begin" if block is None else f"{', '.join(_VALUES)}, comment or end, with all its values"
            raise ReadError(f"line {number} of {request.name} (frame {good}) is {line.strip()!r}; expected {inside}.")
    if block is not None:
        raise ReadError(f"{request.name} breaks off in frame {good}: 'end' is missing; good frames before it: {good}.")


def _frame(request: Request, index: int, block: Block) -> Frame:
    if not block["atom"] or len(block["lattice"]) not in (0, 3):
        raise ReadError(
            f"frame {index} of {request.name} has {len(block['atom'])} atoms and "
            f"{len(block['lattice'])} lattice vectors; expected atoms, and three vectors or none."
        )
    try:
        lattice = np.array(block["lattice"], dtype=float)[:, :3] if block["lattice"] else None
        numeric = np.array([values[:3] + values[4:9] for values in block["atom"]], dtype=float)
        atoms = Atoms([values[3] for values in block["atom"]], numeric[:, :3], cell=lattice, pbc=lattice is not None)
        energy, charge = (float(block[name][0][0]) if block[name] else None for name in ("energy", "charge"))
    except (ValueError, KeyError) as error:
        raise ReadError(f"frame {index} of {request.name} can't be read: {error}.") from error
    if numeric[:, 3].any():
        atoms.set_initial_charges(numeric[:, 3])
    if charge is not None:
        atoms.info["charge"] = charge
    if block["comment"]:
        atoms.info["comment"] = " ".join(block["comment"][0])
    return Frame(atoms, energy=energy, forces=numeric[:, 5:8])
