"""`ase.Atoms` to `Graph`: the border where structures become tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from ase import Atoms

from molnet.data.labels import labels
from molnet.data.neighbors import neighbor_list, periodic_cell
from molnet.data.topology import topology
from molnet.graph import Graph, Properties

NEARLY_ZERO = 1e-6  # Å; more than rounding


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
    _refuse_coincident(graph)
    return graph


def to_properties(atoms: Atoms) -> Properties:
    """The labels of one structure in float64, NaN where it has none."""
    found = labels(atoms)
    return Properties(_real([found.energy]), _real(found.forces), _real(found.stress[None]))


def _refuse_coincident(graph: Graph) -> None:
    """Raise ValueError where two atoms of one structure are at the same place."""
    # The vectors of all edges would take a third of the time of a long list; one coordinate leaves few to look at.
    x, lattice = graph.positions[:, 0].contiguous(), graph.shifts @ graph.cell[0, :, 0]
    along = x.index_select(0, graph.neighbors) - x.index_select(0, graph.centers) + lattice
    candidates = (along.abs() < NEARLY_ZERO).nonzero().squeeze(1)
    few = replace(graph, edges=graph.edges[:, candidates], shifts=graph.shifts[candidates])
    same = ~few.vectors.any(dim=1)
    if bool(same.any()):
        first, second = few.edges[:, same][:, 0].tolist()
        raise ValueError(f"atoms {first} and {second} are at the same place; the structure is broken.")


def _charge(atoms: Atoms) -> torch.Tensor:
    given = atoms.info.get("charge", 0.0)
    charge = np.asarray(given, dtype=np.float64)
    if charge.size != 1 or not np.isfinite(charge).all():
        raise ValueError(f"the total charge is {given}; expected one number in info['charge'], in e.")
    return _real(charge.reshape(1))


def _real(array: object) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))
