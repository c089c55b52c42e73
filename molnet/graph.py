"""The two data objects: `Graph`, what a potential reads, and `Properties`, what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

Kind = Literal["atom", "graph", "edge", "index"]


def _field(kind: Kind, *, offset: str = "", rows: int = 0) -> Any:
    """A dataclass field that states how it batches; `rows` gives an index field that is empty by default."""
    metadata = {"kind": kind, "offset": offset}
    if rows:
        return field(default_factory=lambda: torch.zeros((rows, 0), dtype=torch.long), metadata=metadata)
    return field(metadata=metadata)


@dataclass(frozen=True, eq=False)
class _Batched:
    """Fields that know how they are concatenated, cut and moved."""

    def to(self, target: torch.dtype | torch.device) -> Any:
        """The same data on another device, or with its real numbers in another dtype."""
        moved = {}
        for name, tensor in self.tensors():
            if isinstance(target, torch.dtype):
                if tensor.dtype != target and tensor.is_floating_point():
                    moved[name] = tensor.to(target)
            elif tensor.device != target:
                moved[name] = tensor.to(target)
        return replace(self, **moved) if moved else self

    def tensors(self) -> list[tuple[str, Tensor]]:
        """All fields with their names."""
        return [(name, getattr(self, name)) for name in self.__dataclass_fields__]


@dataclass(frozen=True, eq=False)
class Graph(_Batched):
    """A batch of structures and their neighbour lists; one structure is a batch of one.

    Lengths are in Å. A row of `cell` is a lattice vector, zero where the structure isn't periodic along it. `edges`
    holds all (center, neighbor) pairs nearer than `reach`, i→j and j→i, sorted by center; `shifts` whole numbers.
    """

    positions: Float[Tensor, "atoms 3"] = _field("atom")
    species: Int[Tensor, " atoms"] = _field("atom")
    graph_index: Int[Tensor, " atoms"] = _field("atom", offset="graphs")
    cell: Float[Tensor, "graphs 3 3"] = _field("graph")
    total_charge: Float[Tensor, " graphs"] = _field("graph")
    reach: Float[Tensor, " graphs"] = _field("graph")
    edges: Int[Tensor, "2 edges"] = _field("index", offset="atoms")
    shifts: Float[Tensor, "edges 3"] = _field("edge")
    bonds: Int[Tensor, "2 bonds"] = _field("index", offset="atoms", rows=2)
    angles: Int[Tensor, "3 angles"] = _field("index", offset="atoms", rows=3)
    dihedrals: Int[Tensor, "4 dihedrals"] = _field("index", offset="atoms", rows=4)

    @property
    def n_atoms(self) -> int:
        return self.positions.shape[0]

    @property
    def n_graphs(self) -> int:
        return self.cell.shape[0]

    @property
    def centers(self) -> Int[Tensor, " edges"]:
        return self.edges[0]

    @property
    def neighbors(self) -> Int[Tensor, " edges"]:
        return self.edges[1]

    @cached_property
    def vectors(self) -> Float[Tensor, "edges 3"]:
        """From center to neighbour: r_ij = r_j − r_i + S·cell, Å."""
        # index_select: on a CPU its derivative is many times faster than that of square brackets.
        if self.n_graphs == 1:
            lattice = self.shifts @ self.cell[0]
        else:
            cell = self.cell.index_select(0, self.graph_index[self.centers])
            lattice = (self.shifts.unsqueeze(1) @ cell).squeeze(1)
        start, end = (self.positions.index_select(0, index) for index in (self.centers, self.neighbors))
        return end - start + lattice

    @cached_property
    def distances(self) -> Float[Tensor, " edges"]:
        """r_ij = |r_ij|, Å."""
        return self.vectors.norm(dim=1)

    @property
    def volume(self) -> Float[Tensor, " graphs"]:
        """Å³; zero where a structure isn't periodic in all three directions."""
        return torch.linalg.det(self.cell).abs()

    def sum_atoms(self, x: Float[Tensor, " atoms"]) -> Float[Tensor, " graphs"]:
        """The sum over each structure's atoms, in float64."""
        total = torch.zeros(self.n_graphs, dtype=torch.float64, device=x.device)
        return total.index_add(0, self.graph_index, x.double())


@dataclass(frozen=True, eq=False)
class Properties(_Batched):
    """Energy (eV), forces (eV/Å) and stress (eV/Å³, tension positive), predicted or measured; NaN where missing."""

    energy: Float[Tensor, " graphs"] = _field("graph")
    forces: Float[Tensor, "atoms 3"] = _field("atom")
    stress: Float[Tensor, "graphs 3 3"] = _field("graph")


T = TypeVar("T", Graph, Properties)


def batch(items: Sequence[T]) -> T:
    """One batch of all the structures in `items`, in their order."""
    if not items:
        raise ValueError("a batch needs at least one structure; the list is empty.")
    kind = type(items[0])
    joined = {}
    for f in fields(kind):
        parts = [getattr(item, f.name) for item in items]
        if unit := f.metadata["offset"]:
            parts = [part + start for part, start in zip(parts, _starts(items, unit), strict=True)]
        joined[f.name] = torch.cat(parts, dim=1 if f.metadata["kind"] == "index" else 0)
    return kind(**joined)


def _starts(items: Sequence[Any], unit: str) -> list[int]:
    """What to add to the indices of each item: the atoms or graphs that stand before it."""
    starts, total = [], 0
    for item in items:
        starts.append(total)
        total += item.n_atoms if unit == "atoms" else item.n_graphs
    return starts


def split(graph: Graph) -> list[Graph]:
    """The structures of a batch, one by one; `batch` puts them together again."""
    return [_take(graph, number) for number in range(graph.n_graphs)]


def _take(graph: Graph, number: int) -> Graph:
    mine = graph.graph_index == number
    first = int(mine.nonzero()[0]) if bool(mine.any()) else 0
    taken = {}
    for f in fields(graph):
        tensor, kind = getattr(graph, f.name), f.metadata["kind"]
        if kind == "atom":
            taken[f.name] = tensor[mine]
        elif kind == "graph":
            taken[f.name] = tensor[number : number + 1]
        elif kind == "edge":
            taken[f.name] = tensor[mine[graph.centers]]
        else:
            taken[f.name] = tensor[:, mine[tensor[0]]] - first
    return replace(Graph(**taken), graph_index=torch.zeros_like(taken["graph_index"]))
