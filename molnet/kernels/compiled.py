"""How loops are compiled, and how they share the processor's cores."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import torch
from numba.core.compiler import CompilerBase, DefaultPassBuilder, PassManager

# Sums may be reordered and products fused; NaN and infinity keep their meaning.
FAST_MATH = {"reassoc", "contract", "nsz"}
# A division by zero gives infinity: loops that might raise an error instead aren't vectorized.
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FAST_MATH, "error_model": "numpy"}

# Python calls none of the loops' parts.
PART_OPTIONS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **OPTIONS}

SOURCES = max(int(path.stat().st_mtime) for path in Path(__file__).parent.glob("*.py"))
"""When loops were last changed: as the default of an argument, it tells numba of other files than the loop's own."""

SMALLEST_PART = 2_000_000
"""As many products take a tenth of a millisecond, several times what it takes to wake a thread."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code for each combination of types, made when it is first called and kept on disk for later processes.

    It is kept beside the source, or in the user's cache folder where that can't be written; where neither can, each
    process compiles anew. Changes in other files, whose loops are called, are noticed only where `SOURCES` is the
    default of an argument.
    """
    # In tests, a type checker is wrapped around it.
    plain = inspect.unwrap(function)
    try:
        return numba.njit(**OPTIONS, cache=True)(plain)
    except RuntimeError:
        return numba.njit(**OPTIONS)(plain)


class _Disjoint(CompilerBase):
    """numba's own passes, after which no two arguments are taken to overlap."""

    def define_pipelines(self) -> list[PassManager]:
        self.state.flags.noalias = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


def disjoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled loops that writes to no array which overlaps another, and isn't checked for it each time."""
    return numba.njit(**OPTIONS, pipeline_class=_Disjoint)(inspect.unwrap(function))


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled loops; without being inlined, its rows might overlap for all the compiler knows."""
    return numba.njit(**OPTIONS, forceinline=True)(inspect.unwrap(function))


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled loops, which are kept with it."""
    return numba.njit(**PART_OPTIONS)(inspect.unwrap(function))


def parts(products: int) -> int:
    """How many threads share this much work: no more than torch uses where it is called."""
    return max(1, min(torch.get_num_threads(), products // SMALLEST_PART))


def share(loop: Callable[[int, int, int], None], bounds: Sequence[int]) -> None:
    """Calls loop(part, low, high) for all ranges between bounds, the first in this thread.

    The threads are Python's, as the loops need no interpreter: they sleep where OpenMP's would spin beside torch's, and
    calls from several threads or after a fork are safe, which numba's own are not.
    """
    ranges = [(part, *pair) for part, pair in enumerate(pairwise(bounds))]
    others = [(_pool().submit(loop, *each), each) for each in ranges[1:]]
    loop(*ranges[0])
    for future, each in others:
        # On a busy machine it may not have begun.
        if future.cancel():
            loop(*each)
        else:
            future.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="molnet")


os.register_at_fork(after_in_child=_pool.cache_clear)
