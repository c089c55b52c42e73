"""Neighbour lists: one function, by vesin, for molecules, surfaces and crystals; nothing is ever truncated."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from numpy import ndarray
from vesin import NeighborList


def neighbor_list(atoms: Atoms, cutoff: float) -> tuple[Int[ndarray, "2 edges"], Int[ndarray, "edges 3"]]:
    """All pairs (center, neighbor) with |r_j − r_i + S·cell| < cutoff (Å), both ways, and their cell shifts S.

    Sorted by center. Atoms may lie outside the cell; the cutoff may exceed the cell; directions that aren't periodic
    have shift 0 whatever their lattice vector. Atoms at one and the same place are neighbours; an atom is its own
    neighbour through its periodic images only.

    Raises ValueError for a cell without volume along a periodic direction, for positions or a cell that aren't finite,
    and for a cutoff that isn't positive or makes more pairs than fit into the memory.
    """
    if not 0 < cutoff < math.inf:
        raise ValueError(f"the cutoff is {cutoff} Å; expected a positive number.")
    if not np.isfinite(atoms.positions).all():
        where = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[:5].tolist()
        raise ValueError(f"the positions of atoms {where} aren't finite numbers; the structure is broken.")
    if not np.isfinite(atoms.cell.array).all():
        raise ValueError(f"the cell {atoms.cell.array.tolist()} isn't made of finite numbers; the structure is broken.")
    if atoms.pbc.any() and np.linalg.matrix_rank(atoms.cell.array[atoms.pbc]) < atoms.pbc.sum():
        raise ValueError(
            f"the structure is periodic along {atoms.pbc.tolist()} but its cell {atoms.cell.array.tolist()} has no "
            "extent there; set the cell, or pbc to False."
        )
    check_memory([atoms], cutoff)
    vesin = NeighborList(cutoff=cutoff, full_list=True)
    pairs, shifts = vesin.compute(atoms.positions, periodic_cell(atoms), atoms.pbc, quantities="PS")
    edges = pairs.T.astype(np.int64, order="C")
    # Vesin leaves the order of an atom's neighbours open; a fixed one makes sums reproducible to the last bit.
    order = _order(*edges, *shifts.T)
    return np.take(edges, order, axis=1), np.take(shifts, order, axis=0)


def _order(*columns: Int[ndarray, " edges"]) -> Int[ndarray, " edges"]:
    """Sorts by the first column, then by the next, and so on; as one number for each row, which is faster."""
    lowest = [int(column.min(initial=0)) for column in columns]
    spans = [int(column.max(initial=0)) - low + 1 for column, low in zip(columns, lowest, strict=True)]
    if math.prod(spans) >= 2**63:
        return np.lexsort(columns[::-1])
    rows = np.zeros(len(columns[0]), dtype=np.int64)
    for column, low, span in zip(columns, lowest, spans, strict=True):
        rows *= span
        rows += column
        rows -= low
    return np.argsort(rows)


def periodic_cell(atoms: Atoms) -> Float[ndarray, "3 3"]:
    """The lattice vectors (rows, Å), zero along the directions that aren't periodic."""
    return np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)


def check_memory(structures: Sequence[Atoms], cutoff: float) -> None:
    """Raise ValueError, before anything is built, where the neighbour lists wouldn't fit into the free memory."""
    pairs = [_expected_pairs(atoms, cutoff) for atoms in structures]
    needed = _BYTES_PER_PAIR * sum(pairs) + _BYTES_WHILE_BUILT * max(pairs, default=0.0)
    if needed > _ALWAYS_THERE and needed > (free := _free_memory()):
        raise ValueError(
            f"a cutoff of {cutoff:g} Å makes about {sum(pairs):.1e} pairs of neighbours, which take "
            f"{needed / 2**30:.0f} GiB; {free / 2**30:.0f} GiB are free. Choose a smaller cutoff or fewer atoms."
        )


_BYTES_PER_PAIR = 40  # two indices and three shifts
_BYTES_WHILE_BUILT = 88  # the same once more, sorted and converted
_ALWAYS_THERE = 2**28  # less than this isn't worth asking for
_DENSEST = 0.2  # atoms/Å³; diamond has 0.18


def _free_memory() -> int:
    """Bytes, those that caches hold included; all the memory where the system doesn't say what is free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _expected_pairs(atoms: Atoms, cutoff: float) -> float:
    """The pairs of a uniform density along the periodic directions, at most those of dense matter along the others."""
    if len(atoms) == 0 or cutoff <= 0:
        return 0.0
    lattice, periodic = atoms.cell.array[atoms.pbc], int(atoms.pbc.sum())
    extent = math.sqrt(max(np.linalg.det(lattice @ lattice.T), 0.0))
    if extent == 0:  # no cell; `neighbor_list` says so
        return 0.0
    images = (1.0, 2 * cutoff, math.pi * cutoff**2, 4 / 3 * math.pi * cutoff**3)[periodic] / extent
    most = 4 / 3 * math.pi * cutoff**3 * _DENSEST if periodic < 3 else math.inf
    return len(atoms) * min(len(atoms) * images, most)
