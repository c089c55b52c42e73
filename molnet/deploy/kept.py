"""What is kept from step to step: what follows from atoms and edges alone, and arrays to work in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from molnet.graph import Graph

T = TypeVar("T")
Arrays = tuple[NDArray[Any], ...]


class Kept(Generic[T]):
    """The last result of `make(graph, dtype)`, which may read the graph's species and edges and nothing else."""

    def __init__(self, make: Callable[[Graph, torch.dtype], T]) -> None:
        self._make = make
        self._last: tuple[tuple[Tensor, Tensor], tuple[int, ...], torch.dtype, T] | None = None

    def of(self, graph: Graph, dtype: torch.dtype) -> T:
        key = (graph.species, graph.edges)
        # An inference tensor counts no changes.
        if any(t.is_inference() for t in key):
            return self._make(graph, dtype)
        versions = tuple(t._version for t in key)
        last = self._last
        if last is None or last[0][0] is not key[0] or last[0][1] is not key[1] or last[1:3] != (versions, dtype):
            last = self._last = (key, versions, dtype, self._make(graph, dtype))
        return last[3]


class Pool:
    """Arrays to work in, lent to one computation at a time: the system takes as long for new ones as some loops do.

    They begin where a line of the cache does: loops over others may take twice as long. They go back when the last
    reference to the loan ends, so that computations may overlap and end in any order.
    """

    def __init__(self, arrays: Sequence[tuple[tuple[int, ...], torch.dtype]]) -> None:
        self.kinds = tuple(arrays)
        self._free: list[Arrays] = []

    def lend(self) -> Loan:
        try:
            return Loan(self._free.pop(), self._free)
        except IndexError:
            return Loan(tuple(torch.empty(shape, dtype=dtype).numpy() for shape, dtype in self.kinds), self._free)


class Loan:
    """Arrays of a pool, with whatever numbers they were left with."""

    def __init__(self, arrays: Arrays, home: list[Arrays]) -> None:
        self.arrays, self._home = arrays, home

    def __del__(self) -> None:
        self._home.append(self.arrays)
