"""What follows from the atoms and edges of a graph alone, made once for as long as they stay the same tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from molnet.graph import Graph

T = TypeVar("T")


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
