"""Random numbers that are a function of the seed, the replica and the step: nothing about them needs to be kept.

Philox (J. K. Salmon et al., SC'11, "Parallel random numbers: as easy as 1, 2, 3") turns a key and a counter into
random bits. Here the key holds the seed and the replica's number, the counter what the numbers are for and the block of
steps. So a replica gets the same noise however many others run beside it, however many steps a call makes, and after a
restart. Noise is drawn in single precision, and is the same in double precision.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

_NUMBERS_PER_BLOCK = 4096


class Purpose(IntEnum):
    """What random numbers are for; streams of different purposes never meet."""

    START = 0
    STEPS = 1
    EXCHANGE = 2


def stream(seed: int, number: int, purpose: Purpose, block: int = 0) -> np.random.Generator:
    """The random numbers of one replica, for one purpose and block."""
    return np.random.Generator(np.random.Philox(key=(number << 64) + seed, counter=(purpose << 192) + (block << 64)))


def start_noise(seed: int, numbers: Int64[ndarray, " replicas"], beads: int) -> Float32[ndarray, "replicas beads 3"]:
    """Standard normal numbers for the first velocities."""
    rows = [stream(seed, n, Purpose.START).standard_normal((beads, 3), np.float32) for n in numbers.tolist()]
    return np.stack(rows)


class Noise:
    """Standard normal numbers for each step of these replicas."""

    def __init__(self, seed: int, numbers: Int64[ndarray, " replicas"], beads: int) -> None:
        self._stream = (seed, tuple(numbers.tolist()), beads)
        self._length = max(1, _NUMBERS_PER_BLOCK // (3 * beads))
        self._number, self._block = -1, np.empty((0, 0, 0, 3), dtype=np.float32)

    def at(self, step: int) -> Float32[ndarray, "replicas beads 3"]:
        number, place = divmod(step, self._length)
        if number != self._number:
            self._number, self._block = number, _block(*self._stream, self._length, number)
        return self._block[place]


# Two, as a call that makes few steps often begins in the block where the last one ended, or needs the next one's first.
@lru_cache(maxsize=2)
def _block(
    seed: int, numbers: tuple[int, ...], beads: int, length: int, number: int
) -> Float32[ndarray, "steps replicas beads 3"]:
    made = np.empty((length, len(numbers), beads, 3), dtype=np.float32)
    for place, replica in enumerate(numbers):
        made[:, place] = stream(seed, replica, Purpose.STEPS, number).standard_normal((length, beads, 3), np.float32)
    made.setflags(write=False)
    return made
