"""The time of a step is that of a calculator's work."""

from __future__ import annotations

import time
from typing import Any

from ase import Atoms

import molnet as mn
from molnet.simulate import seconds_per_step


class Sleepy(mn.Calculator):
    def calculate(self, *given: Any, **named: Any) -> None:
        time.sleep(0.004)
        super().calculate(*given, **named)


def test_a_step_takes_at_least_as_long_as_its_forces_and_leaves_the_structure() -> None:
    atoms, alone = Atoms("Cu3", [[0, 0, 0], [2.3, 0, 0], [0, 2.3, 0]]), mn.AtomEnergies([29], [-1.0])
    before = atoms.positions.copy()
    assert seconds_per_step(atoms, Sleepy(alone), seconds=0.01) >= 0.004
    assert (atoms.positions == before).all() and atoms.calc is None
