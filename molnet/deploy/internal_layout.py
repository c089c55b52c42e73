"""Where the terms of a molecule find their coordinates and parameters, for replicas of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from molnet.data.molecule import Molecule
from molnet.data.topology import TERMS
from molnet.graph import Graph
from molnet.kernels.compiled import parts
from molnet.models import CGnet
from molnet.potential import Potential
from molnet.priors import HarmonicAngles, HarmonicBonds, PeriodicDihedrals, Repulsion
from molnet.priors.repulsion import free_pairs
from molnet.priors.types import Types, canonical

Array = NDArray[Any]
COMPILED = (HarmonicBonds, HarmonicAngles, PeriodicDihedrals, Repulsion, CGnet)

_PRODUCTS_OF_A_TERM = 200
"""What a coordinate costs in all, in products."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The terms of one molecule and its replicas.

    `terms` are the pairs, angles and dihedrals whose values are computed; `columns`, `members` and `tables` what
    `internal_loops.energies` reads; `features` the columns of each network, None for all in their order; `bounds` those
    of the parts that threads share.
    """

    structures: int
    beads: int
    terms: tuple[Array, Array, Array]
    columns: Array
    members: Array
    tables: tuple[Array, Array, Array]
    features: list[Array | None]
    bounds: list[int]

    @property
    def width(self) -> int:
        pairs, angles, dihedrals = self.terms
        return len(pairs) + len(angles) + 2 * len(dihedrals)

    @property
    def periodic_range(self) -> tuple[int, int]:
        harmonic, periodic, _ = self.tables
        return len(harmonic), len(harmonic) + len(periodic)


def laid_out(graph: Graph, potentials: Sequence[Potential]) -> Layout:
    """The layout of a graph that holds replicas of one molecule; ValueError for another one, UnknownSpecies."""
    molecule, structures = one_molecule(graph)
    places: list[dict[Types, int]] = [{}, {}, {}]
    for potential in potentials:
        for number, terms in enumerate(_coordinates(potential, molecule)):
            for term in terms:
                places[number].setdefault(canonical(term), len(places[number]))
    n_pairs, n_angles = len(places[0]), len(places[1])

    def column(term: Sequence[int]) -> int:
        place = places[len(term) - 2][canonical(term)]
        return (place, n_pairs + place, n_pairs + n_angles + 2 * place)[len(term) - 2]

    rows = [row for potential in potentials for row in _rows(potential, molecule)]
    rows.sort(key=lambda row: row.kind)
    width = n_pairs + n_angles + 2 * len(places[2])
    n_parts = parts(structures * width * _PRODUCTS_OF_A_TERM)
    return Layout(
        structures=structures,
        beads=len(molecule),
        terms=(_array(places[0], 2), _array(places[1], 3), _array(places[2], 4)),
        columns=np.array([column(row.members) for row in rows], np.int64),
        members=_array([(*row.members, -1, -1)[:4] for row in rows], 4),
        tables=_tables(rows),
        features=[_features(net, column, width) for net in potentials if isinstance(net, CGnet)],
        bounds=[structures * part // n_parts for part in range(n_parts + 1)],
    )


def _array(terms: Iterable[Sequence[int]], k: int) -> Array:
    return np.array(list(terms), np.int64).reshape(-1, k)


def one_molecule(graph: Graph) -> tuple[Molecule, int]:
    """The molecule whose replicas a graph holds, and how many; ValueError if they differ or stand in a cell."""
    count = graph.n_graphs
    n = graph.n_atoms // count
    same = n * count == graph.n_atoms and not bool(graph.cell.any())
    columns: dict[str, Any] = {}
    if same:
        start = n * torch.arange(count).view(-1, 1)
        species, number = graph.species.view(count, n), graph.graph_index.view(count, n)
        same = bool((species == species[:1]).all() and (number == torch.arange(count).view(-1, 1)).all())
        for name in TERMS:
            terms = getattr(graph, name)
            same = same and terms.shape[1] % count == 0
            local = terms.reshape(len(terms), count, -1) - start if same else terms[:, :0].unsqueeze(1)
            same = same and bool((local == local[:, :1]).all())
            columns[name] = tuple(map(tuple, local[:, 0].T.tolist()))
    if not same:
        raise ValueError(
            f"a compiled potential of internal coordinates is for replicas of one molecule without a cell; the graph's "
            f"{count} structures with {graph.n_atoms} atoms are others. Use the original."
        )
    types = tuple(graph.species[:n].tolist())
    names = tuple(str(z) for z in types)
    return Molecule(types, (1.0,) * n, names, names, **columns), count


@dataclass(frozen=True)
class _Row:
    """A term of a prior: harmonic (0), periodic (1) or repulsive (2)."""

    kind: int
    members: tuple[int, ...]
    parameters: Any


def _coordinates(potential: Potential, molecule: Molecule) -> tuple[Sequence[Sequence[int]], ...]:
    """The pairs, angles and dihedrals that a potential reads."""
    if isinstance(potential, CGnet):
        if potential.beads != molecule.species:
            raise ValueError(
                f"the CGnet is for a molecule of the types {potential.beads}; this one has {molecule.species}."
            )
        return potential.pairs, potential.angles, potential.dihedrals
    pairs = {HarmonicBonds: molecule.bonds, Repulsion: free_pairs(molecule)}.get(type(potential), ())
    angles = molecule.angles if isinstance(potential, HarmonicAngles) else ()
    return pairs, angles, molecule.dihedrals if isinstance(potential, PeriodicDihedrals) else ()


def _rows(potential: Any, molecule: Molecule) -> list[_Row]:
    if isinstance(potential, CGnet):
        return []
    terms = [term for each in _coordinates(potential, molecule) for term in each]
    places = [potential.index.place([molecule.species[bead] for bead in term]) for term in terms]
    if isinstance(potential, Repulsion):
        kind, shape = 2, (1 / potential.cutoff, potential.exponent)
        table = [(sigma, *shape) for sigma in potential.table.tolist()]
    else:
        kind, table = int(isinstance(potential, PeriodicDihedrals)), potential.table.double().numpy()
    return [_Row(kind, tuple(term), table[place]) for term, place in zip(terms, places, strict=True)]


def _tables(rows: Sequence[_Row]) -> tuple[Array, Array, Array]:
    """k and q₀; a_n and b_n, filled with zeros; σ, 1/R and p."""
    harmonic, periodic, repulsive = ([row.parameters for row in rows if row.kind == kind] for kind in range(3))
    longest = max((table.shape[1] for table in periodic), default=0)
    filled = np.zeros((len(periodic), longest, 2))
    for out, table in zip(filled, periodic, strict=True):
        out[: table.shape[1]] = table.T
    return np.array(harmonic, float).reshape(-1, 2), filled, np.array(repulsive, float).reshape(-1, 3)


def _features(net: CGnet, column: Callable[[Sequence[int]], int], width: int) -> Array | None:
    found = [column(term) for term in (*net.pairs, *net.angles)]
    found += [column(term) + k for term in net.dihedrals for k in (0, 1)]
    return None if found == list(range(width)) else np.array(found)
