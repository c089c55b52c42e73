"""Arrays that are kept from step to step."""

from __future__ import annotations

import torch

from molnet.deploy.pool import Pool


def test_arrays_are_lent_to_one_at_a_time_and_then_again() -> None:
    pool = Pool([((2, 3), torch.float32), ((4,), torch.long)])
    first, second = pool.lend(), pool.lend()
    assert [array.shape for array in first.arrays] == [(2, 3), (4,)]
    assert [str(array.dtype) for array in first.arrays] == ["float32", "int64"]
    assert first.arrays[0] is not second.arrays[0]
    known = first.arrays[0]
    del first
    third = pool.lend()
    assert third.arrays[0] is known
    assert third.arrays[0] is not second.arrays[0]


def test_arrays_begin_with_a_line_of_the_cache() -> None:
    pool = Pool([((7, 5), torch.float32)] * 4)
    assert all(array.ctypes.data % 64 == 0 for array in pool.lend().arrays)
