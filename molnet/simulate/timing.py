"""What a step of dynamics costs."""

from __future__ import annotations

import statistics
import time

import numpy as np
from ase import Atoms

from molnet.simulate.calculator import Calculator
from molnet.simulate.ensembles import NVE

_TURNS, _WARM_UP = 5, 20


def seconds_per_step(atoms: Atoms, calculator: Calculator, *, seconds: float = 0.3) -> float:
    """The wall-clock time (s) of a step of 0.5 fs at constant energy, from 300 K: the median of five turns.

    Each turn takes about so many seconds; what happens once, such as compilation, comes before.
    """
    moved, ensemble, rng = atoms.copy(), NVE(0.5, 300.0), np.random.default_rng(0)
    moved.calc = calculator
    ensemble.start(moved, rng)
    motion, steps, turns = ensemble.motion(moved, rng), _WARM_UP, []
    for _ in range(_TURNS + 2):
        begun = time.perf_counter()
        for _ in range(steps):
            motion.step()
        turns.append((time.perf_counter() - begun) / steps)
        steps = max(3, round(seconds / turns[-1])) if len(turns) > 1 else 3
    return statistics.median(turns[2:])
