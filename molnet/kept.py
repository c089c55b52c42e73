"""What follows from some fields of a graph alone, made once for as long as they stay the same tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from molnet.graph import Graph

T = TypeVar("T")


class Kept(Generic[T]):
    """The last result of `make(graph, dtype)`, which may read those fields of the graph and nothing else."""

    def __init__(
        self, make: Callable[[Graph, torch.dtype], T], *, fields: Sequence[str] = ("species", "edges")
    ) -> None:
        self._make, self._fields = make, fields
        self._last: tuple[tuple[Tensor, ...], tuple[int, ...], torch.dtype, T] | None = None

    def of(self, graph: Graph, dtype: torch.dtype) -> T:
        key = tuple(getattr(graph, name) for name in self._fields)
        # An inference tensor counts no changes.
        if any(t.is_inference() for t in key):
            return self._make(graph, dtype)
        versions = tuple(t._version for t in key)
        last = self._last
        same = last is not None and all(old is new for old, new in zip(last[0], key, strict=True))
        if last is None or not same or last[1:3] != (versions, dtype):
            last = self._last = (key, versions, dtype, self._make(graph, dtype))
        return last[3]
