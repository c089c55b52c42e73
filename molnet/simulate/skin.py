"""Neighbour lists that outlive a step: they reach further than the cutoff, until that is used up."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import NDArray

from molnet.data.convert import to_graph
from molnet.data.neighbors import periodic_cell
from molnet.data.topology import TERMS
from molnet.graph import Graph
from molnet.kernels.compiled import compiled

Array = NDArray[Any]
_READ = ("charge", *TERMS)


class SkinList:
    """The graphs of a structure that moves, with all pairs within cutoff + skin (Å) where the list was built.

    Let r⁰, h⁰ be positions and cell (rows) where the list was built, and r, h those now. With the
    pseudoinverse (h⁰)⁺, the matrix F = 1 + (h⁰)⁺(h − h⁰) takes the old lattice to the new one, h = h⁰F. With
    what the atoms moved beyond that, w_i = r_i − r⁰_i F, a vector between two atoms or their images is

        d = r_j − r_i + S h = (r⁰_j − r⁰_i + S h⁰) F + w_j − w_i = d⁰ F + w_j − w_i,

    so that |d⁰| ≤ (|d| + |w_i| + |w_j|)/σ with the smallest singular value σ of F. A pair with |d| < cutoff
    had |d⁰| < cutoff + skin, and is in the list, while the two largest |w| obey

        |w|₁ + |w|₂ ≤ σ (cutoff + skin) − cutoff,

    which is the skin for a fixed cell. Only differences of w count, so their mean is subtracted. An atom that
    is wrapped back into the cell has moved by a lattice vector: the list is built anew, and is right. So it is
    where atoms have come to the same place, with `to_graph`'s error, unless the skin was longer than their way.

    `listed` is the graph where the list was built, the `builds`-th of them, with edges and shifts that still hold.
    """

    def __init__(self, cutoff: float, skin: float, *, dtype: torch.dtype, device: torch.device) -> None:
        self.cutoff, self.skin = cutoff, skin
        self.dtype, self.device = dtype, device
        self.reference: Atoms | None = None
        self.listed: Graph
        self._cell: Float[ndarray, "3 3"]
        self.builds = 0

    def update(self, atoms: Atoms) -> None:
        """Build the list anew unless it holds; raises as `to_graph` does."""
        if not self.holds(atoms):
            self.build(atoms)

    def graph(self, atoms: Atoms) -> Graph:
        """The graph of the structure as it is now; raises as `to_graph` does."""
        self.update(atoms)
        if not np.array_equal(cell := periodic_cell(atoms), self._cell):
            self._cell, self.listed = cell, replace(self.listed, cell=self._tensor(cell[None]))
        return replace(self.listed, positions=self._tensor(atoms.positions))

    def build(self, atoms: Atoms) -> None:
        """Make the list from this structure, whatever was before."""
        self.reference = None
        reach = self.cutoff + self.skin if self.cutoff > 0 else 0.0
        self.listed = to_graph(atoms, reach).to(self.dtype).to(self.device)
        self._cell = self._reference_cell = periodic_cell(atoms)
        self.reference = atoms.copy()
        # ASE's copy shares what is in `info`, and lists may change where they are.
        self.reference.info = {name: deepcopy(atoms.info[name]) for name in _READ if name in atoms.info}
        self.builds += 1

    def holds(self, atoms: Atoms) -> bool:
        """Whether the present list has every pair of the structure within the cutoff."""
        if self.reference is None or not same_substance(self.reference, atoms):
            return False
        if self.cutoff == 0:
            return True
        moved, cell = self.reference.positions, periodic_cell(atoms)
        least = 1.0
        if not np.array_equal(cell, self._reference_cell):
            deformation = np.eye(3) + np.linalg.pinv(self._reference_cell) @ (cell - self._reference_cell)
            moved, least = moved @ deformation, np.linalg.svd(deformation, compute_uv=False)[-1]
        return bool(_farthest_two(moved, atoms.positions) <= least * (self.cutoff + self.skin) - self.cutoff)

    def _tensor(self, array: Float[ndarray, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        return torch.tensor(array, dtype=self.dtype, device=self.device)


@compiled
def _farthest_two(before: Array, now: Array) -> float:
    """|w|₁ + |w|₂ of the two atoms that moved farthest beyond the mean, NaN if any did."""
    mean, first, second = np.zeros(3), 0.0, 0.0
    for i in range(len(now)):
        for a in range(3):
            mean[a] += (now[i, a] - before[i, a]) / len(now)
    for i in range(len(now)):
        squared = 0.0
        for a in range(3):
            squared += (now[i, a] - before[i, a] - mean[a]) ** 2
        if not squared <= first:
            first, second = squared, first
        elif squared > second:
            second = squared
    return sqrt(first) + sqrt(second)


@compiled
def differ(one: Array, other: Array, tolerance: float) -> bool:
    """Whether any two numbers differ by more than that."""
    for i in range(one.shape[0]):
        for a in range(one.shape[1]):
            if not abs(one[i, a] - other[i, a]) <= tolerance:
                return True
    return False


def same_substance(one: Atoms, other: Atoms) -> bool:
    """Whether two structures have the same atoms, periodic directions, total charge and topology."""
    return (
        one.numbers.tobytes() == other.numbers.tobytes()
        and one.pbc.tobytes() == other.pbc.tobytes()
        and one.info.get("charge", 0.0) == other.info.get("charge", 0.0)
        and all(_same(one.info.get(name, ()), other.info.get(name, ())) for name in TERMS)
    )


def _same(terms: Any, others: Any) -> bool:
    return terms is others or np.array_equal(terms, others)
