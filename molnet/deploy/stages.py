"""Compiled loops over atoms in stages, each of which reads what the stages before have written of all atoms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from molnet.kernels import operators

Loop = Callable[..., None]


def run_stages(loop: Loop, stages: int, starts: NDArray[Any], n_parts: int, arrays: tuple[Any, ...]) -> None:
    """loop((first, last), low, high, *arrays) for all stages: in one call or, where threads share it, one by one.

    The edges of atom i begin at starts[i].
    """
    run_parts(partial(_part, loop), stages, starts, n_parts, arrays)


def _part(loop: Loop, span: tuple[int, int, int, int, int], *arrays: Any) -> None:
    first, last, _, low, high = span
    loop((first, last), low, high, *arrays)


def run_parts(loop: Loop, stages: int, starts: NDArray[Any], n_parts: int, arrays: tuple[Any, ...]) -> None:
    """The same for loop((first, last, number, low, high), *arrays), which is told the number of its part."""
    turns = [(0, stages)] if n_parts == 1 else [(n, n + 1) for n in range(stages)]
    for turn in turns:
        operators.share_atoms(lambda *part, turn=turn: loop((*turn, *part), *arrays), starts, n_parts)
