"""The topology of a structure, in `atoms.info`: which atoms are bonded, and their angles and dihedrals."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms
from jaxtyping import Int
from numpy import ndarray

TERMS = {"bonds": 2, "angles": 3, "dihedrals": 4}
"""How many atoms a term has, by the name of its list in `atoms.info` and in a `Graph`."""


def topology(atoms: Atoms) -> dict[str, Int[ndarray, "k n"]]:
    """The terms of a structure as columns of atoms: `info["bonds"]`, `["angles"]`, `["dihedrals"]`, rows of atoms.

    Raises ValueError for a list of another shape, or with atoms that the structure hasn't.
    """
    return {name: _columns(atoms, name, k) for name, k in TERMS.items()}


def _columns(atoms: Atoms, name: str, k: int) -> Int[ndarray, "k n"]:
    rows = np.asarray(atoms.info.get(name, ()), dtype=np.int64)
    if rows.size == 0:
        return np.zeros((k, 0), dtype=np.int64)
    if rows.ndim != 2 or rows.shape[1] != k or rows.min() < 0 or rows.max() >= len(atoms):
        raise ValueError(
            f"info[{name!r}] has the shape {rows.shape} and atoms from {rows.min()} to {rows.max()}; expected rows of "
            f"{k} atoms, numbered from 0 to {len(atoms) - 1}."
        )
    return np.ascontiguousarray(rows.T)


def paths(bonds: Iterable[tuple[int, int]], length: int) -> list[tuple[int, ...]]:
    """All paths of `length` different atoms along bonds, each once, its first atom before its last.

    Two atoms make the bonds, three the angles (i, j, k), and four the dihedrals (i, j, k, l).
    """
    partners: dict[int, set[int]] = {}
    for i, j in bonds:
        partners.setdefault(i, set()).add(j)
        partners.setdefault(j, set()).add(i)
    found: list[tuple[int, ...]] = [(i,) for i in sorted(partners)]
    for _ in range(length - 1):
        found = [(*path, j) for path in found for j in sorted(partners[path[-1]]) if j not in path]
    return [path for path in found if path[0] < path[-1]]
