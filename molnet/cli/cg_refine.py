"""`molnet cg refine`: simulate, bring the ensemble nearer to the data's by reweighting, and repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from molnet.checkpoint import load, save
from molnet.cli.cg_simulate import Start
from molnet.data.conformations import Conformations
from molnet.files import FileError
from molnet.potential import Potential
from molnet.simulate import BondLimits, Dynamics, Output, Trajectories, run_replicas
from molnet.train import fit_ensemble
from molnet.train.crossvalidation import predicted_forces
from molnet.units import energy_unit

_KCAL: Final = energy_unit("kcal/mol")
_BATCH: Final = 2000
_BATCHES: Final = 4
"""An epoch has so many, or more: it is a measure of time."""
_EVERY: Final = 100
_FORGOTTEN: Final = 0.1
"""The part of each trajectory that remembers the frame it started from."""


@dataclass(frozen=True)
class Rounds:
    """So many rounds: replicas simulated for so long with these dynamics, then so many epochs of training."""

    count: int
    start: Start
    dynamics: Dynamics
    picoseconds: float
    epochs: int
    learning_rate: float
    forces_weight: float


def run(model: Path, beads: Path, rounds: Rounds, *, output: Path) -> None:
    """Write the refined potential, and print what each round gained."""
    if output.exists():
        raise FileError(f"{output} exists already; choose another --output.")
    console, data, potential = Console(), Conformations.load(beads), load(model)
    table = Table(
        title="Relative entropy to the data, by reweighting",
        caption="Gained: on frames held out. Effective: the part of the simulated frames that still counts.",
    )
    for column in ("round", "gained, nats", "effective", "force error, (kcal/mol/Å)²"):
        table.add_column(column, justify="right")
    table.add_row("–", "", "", f"{_force_error(potential, data):.2f}")
    for number, best in enumerate(refined(potential, data, rounds, folder=output.with_suffix("")), start=1):
        gained, effective = f"{best['valid_gained']:.3f}", f"{best['valid_effective']:.0%}"
        table.add_row(str(number), gained, effective, f"{_force_error(potential, data):.2f}")
    potential.provenance["refined"] = {"rounds": rounds.count, "picoseconds": rounds.picoseconds}
    save(potential, output)
    console.print(table)
    console.print(f"next:   molnet cg simulate {output} {beads}", markup=False, soft_wrap=True)


def refined(potential: Potential, data: Conformations, rounds: Rounds, *, folder: Path) -> Iterator[Mapping[str, Any]]:
    """Refine a potential in place, and give the numbers of each round's best epoch; replicas go to the folder."""
    options: dict[str, Any] = {"epochs": rounds.epochs, "learning_rate": rounds.learning_rate, "ema": 0.9}
    options["forces_weight"] = rounds.forces_weight
    options["batch"] = min(_BATCH, ceil(len(data) / _BATCHES))
    for number in range(1, rounds.count + 1):
        start = replace(rounds.start, seed=rounds.start.seed + number)
        frames = _simulated(potential, data, replace(rounds, start=start), folder / f"round-{number}")
        # The same seed: what is held out in one round has not been trained on in another.
        history = fit_ensemble(potential, data, frames, seed=rounds.start.seed, **options)
        yield history.rows[history.best_epoch - 1]


def _simulated(potential: Potential, data: Conformations, rounds: Rounds, folder: Path) -> np.ndarray:
    """The frames of replicas, without their beginnings."""
    run_replicas(
        rounds.start.state(data),
        potential,
        dynamics=rounds.dynamics,
        steps=round(1e3 * rounds.picoseconds / rounds.dynamics.timestep),
        output=Output(folder, _EVERY),
        limits=BondLimits.of(data),
    )
    made = np.asarray(Trajectories.load(folder).positions)
    frames = made[round(_FORGOTTEN * len(made)) :].reshape(-1, *made.shape[2:])
    return frames[np.isfinite(frames).all(axis=(1, 2))]


def _force_error(potential: Potential, data: Conformations) -> float:
    """Mean square per component, on all frames, (kcal/mol/Å)²."""
    return float(np.mean((data.forces - predicted_forces(potential, data)) ** 2)) / _KCAL**2
