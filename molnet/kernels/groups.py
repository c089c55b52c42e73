"""Which sums a block of terms has: of which elements of the neighbours, and of which combinations of its terms."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from molnet.kernels.compiled import inlined
from molnet.kernels.shells import count_of
from molnet.kernels.terms import CHOSEN, FIRST, N_ANGULAR, N_RADIAL, SECOND

Array = NDArray[Any]


@inlined
def place_of(table: Array, number: int) -> int:
    """Where a combination of terms stands among the chosen ones, or −1."""
    chosen = int(table[CHOSEN])
    return int(table[chosen + number]) if chosen > 0 else number


@inlined
def combinations(table: Array) -> int:
    """How many sums there are of a group of neighbours."""
    all_of_them, chosen = count_of(table[N_RADIAL]) * max(1, count_of(table[N_ANGULAR])), 0
    if int(table[CHOSEN]) == 0:
        return all_of_them
    for number in range(all_of_them):
        chosen += place_of(table, number) >= 0
    return chosen


@inlined
def pair_place(a: int, b: int, n_elements: int) -> int:
    """The place of the pair of elements a ≤ b in (0, 0), (0, 1), …, (1, 1), …"""
    return a * n_elements - a * (a - 1) // 2 + b - a


@inlined
def firsts(table: Array, n_elements: int) -> tuple[int, int]:
    """The range of the first element of the pairs that a block has."""
    only = int(table[FIRST])
    return (0, n_elements) if only < 0 else (only, only + 1)


@inlined
def seconds(table: Array, a: int, first: Array) -> tuple[int, int]:
    """The range of the second one, if there are neighbours of the first."""
    only = int(table[SECOND])
    if first[a + 1] == first[a]:
        return 0, 0
    return (a, first.shape[0] - 1) if only < 0 else (only, only + 1)


@inlined
def group(table: Array, a: int, b: int, n_elements: int) -> int:
    """The place of the pair of elements among those of a block."""
    return pair_place(a, b, n_elements) if int(table[FIRST]) < 0 else 0
