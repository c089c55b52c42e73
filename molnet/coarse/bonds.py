"""Which beads are bonded, from the bonds of their atoms."""

from __future__ import annotations

from itertools import groupby

import mdtraj
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, dijkstra


def atom_bonds(topology: mdtraj.Topology) -> Int[ndarray, "bonds 2"]:
    """The bonds of a topology as pairs of atoms."""
    return np.array([(a.index, b.index) for a, b in topology.bonds], dtype=np.int64).reshape(-1, 2)


def joined(pairs: Int[ndarray, "pairs 2"], n: int) -> Int[ndarray, " n"]:
    """The number of the connected group that each of n atoms is in."""
    return connected_components(_adjacency(pairs, n), directed=False)[1]


def spanning_tree(pairs: Int[ndarray, "pairs 2"], n: int) -> Int[ndarray, "tree 2"]:
    """Bonds (parent, child) that reach every atom of each group once, in an order in which the parent comes first."""
    found, graph = [], _adjacency(pairs, n)
    _, roots = np.unique(joined(pairs, n), return_index=True)
    for root in roots:
        order, parents = breadth_first_order(graph, root, directed=False)
        found += [(parents[child], child) for child in order[1:]]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def bead_bonds(weights: Float[ndarray, "beads atoms"], bonds: Int[ndarray, "bonds 2"]) -> list[tuple[int, int]]:
    """Beads whose atoms are bonded, or linked through atoms that are in no bead.

    Each atom without a bead counts for the bead that it is the fewest bonds away from; two beads are linked where a
    bond joins their atoms, and the length of the link is the number of bonds from one bead to the other. Links are
    taken shortest first, all of a length at once, and only between beads that shorter ones haven't connected: a chain
    of Cα beads is bonded along the backbone, closed where the backbone is, and not across its disulfide bridges.
    """
    mapped = np.flatnonzero(weights.any(axis=0))
    if not len(bonds):
        return []
    away, _, nearest = dijkstra(
        _adjacency(bonds, weights.shape[1]),
        directed=False,
        indices=mapped,
        unweighted=True,
        min_only=True,
        return_predecessors=True,
    )
    owner = np.abs(weights).argmax(axis=0)
    links: dict[tuple[int, int], int] = {}
    for a, b in bonds[np.isfinite(away[bonds]).all(axis=1)]:
        i, j = sorted((int(owner[nearest[a]]), int(owner[nearest[b]])))
        length = int(away[a] + 1 + away[b])
        if i != j:
            links[i, j] = min(length, links.get((i, j), length))
    return _shortest_first(links, len(weights))


def _shortest_first(links: dict[tuple[int, int], int], n: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for _, same in groupby(sorted(links, key=links.__getitem__), key=links.__getitem__):
        component = joined(np.array(found, dtype=np.int64).reshape(-1, 2), n)
        found += [(i, j) for i, j in same if component[i] != component[j]]
    return sorted(found)


def _adjacency(pairs: Int[ndarray, "pairs 2"], n: int) -> csr_array:
    return coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
