"""A data set: graphs and labels built once, handed out in seeded batches that are filled by edge count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Int
from torch import Tensor

from molnet.data.convert import to_graph, to_properties
from molnet.data.labels import naming, where
from molnet.data.neighbors import check_memory
from molnet.evaluation import evaluate
from molnet.graph import Graph, Properties, batch
from molnet.potential import Potential


class Batch(NamedTuple):
    """Some structures with their labels, and what a message calls them."""

    graph: Graph
    target: Properties
    names: list[str]

    @property
    def atoms(self) -> Int[Tensor, " graphs"]:
        """How many atoms each structure has."""
        return torch.bincount(self.graph.graph_index, minlength=self.graph.n_graphs)

    def evaluate(self, potential: Potential) -> Properties:
        """What a potential says of them, differentiable where it is in training."""
        return evaluate(potential, self.graph, differentiable=potential.training)


class Dataset:
    """The graphs of structures, with their neighbours within the cutoff (Å), and their labels.

    Raises ValueError where the structures are none, where a neighbour list can't be built, or where all the lists
    together wouldn't fit into memory.
    """

    def __init__(self, frames: Sequence[Atoms], cutoff: float) -> None:
        if not frames:
            raise ValueError("a data set needs at least one structure; the list of frames is empty.")
        check_memory(frames, cutoff)
        self.frames, self.cutoff = list(frames), cutoff
        self.graphs = [_graph(atoms, cutoff, index) for index, atoms in enumerate(frames)]
        self.targets = [to_properties(atoms) for atoms in frames]
        self.sizes = [max(graph.n_atoms, graph.edges.shape[1]) for graph in self.graphs]

    def __len__(self) -> int:
        return len(self.graphs)

    def batch(self, chosen: Sequence[int]) -> Batch:
        graphs, targets = [self.graphs[i] for i in chosen], [self.targets[i] for i in chosen]
        return Batch(batch(graphs), batch(targets), [where(self.frames[i], i) for i in chosen])

    def batches(self, edges: int, *, seed: int | None = None) -> Batches:
        """Batches of at most that many edges; of one structure where a single one has more. Shuffled if seeded."""
        return Batches(self, edges, seed)


def _graph(atoms: Atoms, cutoff: float, index: int) -> Graph:
    with naming(atoms, index):
        return to_graph(atoms, cutoff)


@runtime_checkable
class Source(Protocol):
    """Structures by number, with their sizes in edges: what batches are made of."""

    sizes: list[int]

    def batch(self, chosen: Sequence[int]) -> Any: ...

    def __len__(self) -> int: ...


class Batches:
    """What the training loop reads: `epoch(n)` yields the batches of epoch n, always the same ones for the same n."""

    def __init__(self, data: Source, edges: int, seed: int | None) -> None:
        self.data, self.edges, self.seed = data, edges, seed
        self._length = len(self._plan(0))  # asked for every step

    def __len__(self) -> int:
        """The number of batches of the first epoch; that of a shuffled data set may differ by a few from it."""
        return self._length

    def epoch(self, number: int) -> Iterator[Any]:
        for chosen in self._plan(number):
            yield self.data.batch(chosen)

    def _plan(self, epoch: int) -> list[list[int]]:
        plan: list[list[int]] = []
        filled = 0
        for index in self._order(epoch):
            size = self.data.sizes[index]
            if not plan or filled + size > self.edges:
                plan.append([])
                filled = 0
            plan[-1].append(index)
            filled += size
        return plan

    def _order(self, epoch: int) -> list[int]:
        if self.seed is None:
            return list(range(len(self.data)))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.data)).tolist()
