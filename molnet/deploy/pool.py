"""Arrays to work in, kept from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]


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
