"""What the training scripts of all packages share: what they are asked for, and how they answer.

It runs in each package's own environment, and so needs NumPy and ASE only. A job is a folder with `job.json` and the
frames as extended XYZ (REF_energy in eV, REF_forces in eV/Å): train, valid, isolated (atoms) and the tests. The answer
for a time of training is `predictions-MINUTES.npz`, what the model says of the tests then, and `found-MINUTES.json`.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from worker import WARM_UP, dynamics, structure

ENERGY, FORCES = "REF_energy", "REF_forces"
TURNS, SECONDS = 5, 0.4


@dataclass(frozen=True)
class Job:
    """A folder of frames, the times of training, structures in a batch, and for molnet its recipe."""

    folder: Path
    minutes: list[float]
    batch: int
    seed: int
    recipe: str
    tests: list[str]

    def frames(self, name: str) -> list[Atoms]:
        return list(read(self.folder / f"{name}.xyz", index=":"))


@dataclass(frozen=True)
class Trained:
    """A model after some minutes of training: its package, and a function from a dtype's name to its calculator.

    `offset` is the part of the energy (eV) that the calculator leaves out.
    """

    minutes: float
    package: str
    calculator: Callable[[str], Any]
    epochs: int
    seconds: float
    offset: Callable[[Atoms], float] = lambda atoms: 0.0


def predicted(trained: Trained, frames: list[Atoms]) -> tuple[np.ndarray, np.ndarray]:
    """Energies (eV) and forces (eV/Å) of frames of one size, in float64."""
    calculator, energies, forces = trained.calculator("float64"), [], []
    for frame in frames:
        atoms = frame.copy()
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy() + trained.offset(atoms))
        forces.append(atoms.get_forces())
    return np.array(energies), np.array(forces)


def milliseconds(calculator: Any, atoms: Atoms) -> float:
    """A step of dynamics in ms: the median of some turns."""
    run = dynamics(calculator, atoms)
    run(WARM_UP)
    turns, steps = [], 3
    for _ in range(TURNS + 1):
        begun = time.perf_counter()
        run(steps)
        turns.append((time.perf_counter() - begun) / steps)
        steps = max(3, round(SECONDS / turns[-1]))
    return 1e3 * statistics.median(turns[1:])


def serve(train: Callable[[Job], Iterable[Trained]]) -> None:
    """Train what the job in the folder of the command line asks for, and answer."""
    folder = Path(sys.argv[1])
    job = Job(folder, **json.loads((folder / "job.json").read_text()))
    for trained in train(job):
        answer(job, trained)


def answer(job: Job, trained: Trained) -> None:
    """Write the predictions, the length of the training and the times of steps."""
    arrays = {}
    for name in job.tests:
        arrays[f"{name} energy"], arrays[f"{name} forces"] = predicted(trained, job.frames(name))
    np.savez(job.folder / f"predictions-{trained.minutes:g}.npz", **arrays)
    fast = trained.calculator("float32")
    timed = {"acetylacetone": job.frames("train")[0], "water 192": structure("water 192")}
    steps = {name: {"atoms": len(atoms), "ms": milliseconds(fast, atoms)} for name, atoms in timed.items()}
    found = {
        "version": f"{trained.package} {version(trained.package)}",
        "epochs": trained.epochs,
        "seconds": trained.seconds,
        "steps": steps,
    }
    (job.folder / f"found-{trained.minutes:g}.json").write_text(json.dumps(found, indent=1))
