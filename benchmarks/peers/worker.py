"""What the processes of all packages share: the structures, and how a time is asked for and answered.

It runs in each package's own environment, and so needs NumPy and ASE only. A question is a line of JSON on standard
input, such as {"model": "SchNet", "system": "ethanol", "batch": 0, "steps": 100, "clock":
"perf_counter"}; with a batch it means training.
The answer is a line of JSON with "seconds" for one step and the most memory that the process has had, or with "error".
"""

import json
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

STIFFNESS = 2.0  # eV/Å²
WARM_UP = 5


def structure(name: str) -> Atoms:
    """Ethanol and aspirin in the vacuum, or `water N` with N atoms at 1 g/cm³ in a periodic cube, N/3 = n³.

    The water molecules stand on a cubic lattice, each turned at random, which no two of them can overlap on.
    """
    if name == "ethanol":
        return molecule("CH3CH2OH")
    if name == "aspirin":
        return next(iread(Path(__file__).with_name("aspirin.xyz")))
    count = int(name.removeprefix("water ")) // 3
    side, rng = round(count ** (1 / 3)), np.random.default_rng(0)
    water = molecule("H2O")
    spacing = (water.get_masses().sum() / (units.kg / 1e3 / 1e24)) ** (1 / 3)  # Å; 1 g/cm³ is 1 g in 1e24 Å³
    atoms = Atoms(cell=[side * spacing] * 3, pbc=True)
    for place in np.ndindex(side, side, side):
        turned = water.copy()
        turned.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        turned.translate(spacing * np.array(place))
        atoms += turned
    return atoms


def labeled(name: str, count: int) -> list[Atoms]:
    """That many slightly distorted copies with random energies (eV) and forces (eV/Å)."""
    rng, frames = np.random.default_rng(0), []
    for _ in range(count):
        atoms = structure(name)
        atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=rng.normal(), forces=rng.normal(size=(len(atoms), 3)))
        frames.append(atoms)
    return frames


class Tethered:
    """Computes a calculator's forces and returns those of springs to the starting positions, −k (r − r₀).

    An untrained network would tear its molecules apart. On these springs all packages compute on the same trajectory,
    whose atoms are as fast as at 300 K and go up to 0.7 Å from the start, so that neighbour lists age as in use.
    """

    def __init__(self, calculator: Any, atoms: Atoms) -> None:
        self.calculator, self.start = calculator, atoms.positions.copy()

    def get_forces(self, atoms: Atoms) -> np.ndarray:
        self.calculator.get_forces(atoms)
        return STIFFNESS * (self.start - atoms.positions)


def dynamics(calculator: Any, atoms: Atoms) -> Callable[[int], object]:
    """Velocity Verlet at 0.5 fs and 300 K: begun at rest positions with twice that, half of which goes into springs."""
    atoms.calc = Tethered(calculator, atoms)
    MaxwellBoltzmannDistribution(atoms, temperature_K=600, rng=np.random.default_rng(0))
    return VelocityVerlet(atoms, 0.5 * units.fs).run


def no_training(model: str, frames: list[Atoms]) -> Callable[[], object]:
    """For the packages whose training isn't compared."""
    raise NotImplementedError("a training step of this package isn't measured.")


def repeated(step: Callable[[], object]) -> Callable[[int], object]:
    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def serve(
    calculator: Callable[[str, Atoms], Any],
    training_step: Callable[[str, list[Atoms]], Callable[[], object]],
) -> None:
    """Answer questions until standard input ends."""

    @cache
    def case(model: str, system: str, batch: int) -> Callable[[int], object]:
        if batch:
            run = repeated(training_step(model, labeled(system, batch)))
        else:
            atoms = structure(system)
            run = dynamics(calculator(model, atoms), atoms)
        run(WARM_UP)
        return run

    for line in sys.stdin:
        question = json.loads(line)
        try:
            run = case(question["model"], question["system"], question["batch"])
            clock = getattr(time, question["clock"])
            begun = clock()
            run(question["steps"])
            seconds = (clock() - begun) / question["steps"]
            answer = {"seconds": seconds, "kilobytes": getrusage(RUSAGE_SELF).ru_maxrss}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
