"""Loops are compiled with or without a place to keep them, and shared among threads."""

from __future__ import annotations

import threading

import numba
import pytest
import torch
from numba.core.caching import CacheImpl

from molnet.kernels.compiled import SMALLEST_PART, compiled, parts, share


def test_without_a_folder_to_keep_it_in_a_loop_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation that can't be written to, by a user without a home."""
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache function"):
        numba.njit(cache=True)(lambda x: x + 1)
    assert compiled(lambda x: x + 1)(2) == 3


def test_no_more_threads_than_torch_s_share_work_and_little_work_is_not_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    found = [parts(n) for n in (0, SMALLEST_PART, 2 * SMALLEST_PART, 100 * SMALLEST_PART)]
    assert found == [1, 1, 2, 4]


def test_every_range_is_done_once() -> None:
    done: list[tuple[int, int, int]] = []
    share(lambda *each: done.append(each), [0, 3, 3, 10])
    assert sorted(done) == [(0, 0, 3), (1, 3, 3), (2, 3, 10)]


def test_ranges_run_beside_each_other() -> None:
    meet = threading.Barrier(2, timeout=10)

    def loop(part: int, low: int, high: int) -> None:
        meet.wait()

    share(loop, [0, 1, 2])


def test_an_error_in_a_thread_is_an_error() -> None:
    started = threading.Event()

    def loop(part: int, low: int, high: int) -> None:
        if part == 1:
            started.set()
            raise ZeroDivisionError
        started.wait(timeout=10)

    with pytest.raises(ZeroDivisionError):
        share(loop, [0, 1, 2])
