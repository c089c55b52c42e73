"""`ase.Atoms` to `Graph`: the border where structures become tensors."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms

from molnet.data.labels import labels
from molnet.data.neighbors import neighbor_list, periodic_cell
from molnet.data.topology import topology
from molnet.graph import Graph, Properties


def to_graph(atoms: Atoms, cutoff: float) -> Graph:
    """The graph of one structure in float64, with all neighbours within the cutoff (Å; 0 for none).

    The total charge is `atoms.info["charge"]` (e), zero if it isn't there; bonds, angles and dihedrals are those that
    `topology` finds there. Raises ValueError where two atoms are at the same place or the charge is no number, and as
    `topology` and `neighbor_list` do.
    """
    if cutoff == 0:
        edges, shifts = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    else:
        edges, shifts = neighbor_list(atoms, cutoff)
    graph = Graph(
        positions=_real(atoms.positions),
        species=torch.from_numpy(atoms.numbers.astype(np.int64)),
        graph_index=torch.zeros(len(atoms), dtype=torch.long),
        cell=_real(periodic_cell(atoms)[None]),
        total_charge=_charge(atoms),
        reach=_real([cutoff]),
        edges=torch.from_numpy(edges),
        shifts=_real(shifts),
        **{name: torch.from_numpy(columns) for name, columns in topology(atoms).items()},
    )
    if not bool(graph.vectors.any(dim=1).all()):
        first, second = graph.edges[:, ~graph.vectors.any(dim=1)][:, 0].tolist()
        raise ValueError(f"atoms {first} and {second} are at the same place; the structure is broken.")
    return graph


def to_properties(atoms: Atoms) -> Properties:
    """The labels of one structure in float64, NaN where it has none."""
    found = labels(atoms)
    return Properties(_real([found.energy]), _real(found.forces), _real(found.stress[None]))


def _charge(atoms: Atoms) -> torch.Tensor:
    given = atoms.info.get("charge", 0.0)
    charge = np.asarray(given, dtype=np.float64)
    if charge.size != 1 or not np.isfinite(charge).all():
        raise ValueError(f"the total charge is {given}; expected one number in info['charge'], in e.")
    return _real(charge.reshape(1))


def _real(array: object) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))
