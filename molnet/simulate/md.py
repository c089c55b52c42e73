"""Molecular dynamics that can be watched, stopped, and taken up again."""

from __future__ import annotations

import platform
import time
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from molnet.features.ranges import Extrapolated
from molnet.files import FileError, lock_folder
from molnet.potential import Potential, names
from molnet.simulate.calculator import Calculator
from molnet.simulate.display import Display
from molnet.simulate.ensembles import Ensemble
from molnet.simulate.guard import Guard, LeftTheData, Watch
from molnet.simulate.interrupts import interruptible
from molnet.simulate.record import (
    LOG,
    SETTINGS,
    TRAJECTORY,
    Checkpoint,
    Record,
    Slope,
    summary,
    write_settings,
)
from molnet.units import GPA, KB

STOPPED = "md.stopped.xyz"
_SECONDS_BETWEEN_CHECKPOINTS = 20.0
_DEFAULT_GUARD = Guard()
_MEV_PER_EV = 1e3
_TEXT = "{temperature_K:.0f} K  {potential_eV:.3f} eV  drift {drift_meV_per_atom_per_ps:.2g} meV/atom/ps"


def run_md(
    atoms: Atoms,
    potential: Potential | Calculator,
    *,
    ensemble: Ensemble,
    steps: int,
    folder: str | Path,
    every: int = 10,
    guard: Guard | None = _DEFAULT_GUARD,
    resume: bool = False,
) -> Atoms:
    """Simulate up to step number `steps`, and return the structure there; `atoms` itself stays as it is.

    The folder gets, `every` so many steps, a frame in md.traj and a line in md.csv; at the end md.json, with
    speed and drift; and now and then a checkpoint, from which `resume` goes on to the last bit. Ctrl-C ends
    the run after a step, with everything saved. A start without momenta gets the ensemble's temperature.

    Raises `LeftTheData` where the guard stops the run, FileError where the folder can't be written or holds
    another run, ValueError where a resumed run's settings or species are others, and as `Calculator` does.
    """
    if every < 1 or steps < 0:
        raise ValueError(f"steps = {steps} and every = {every} are counts of steps: at least 0 and 1.")
    folder = Path(folder)
    with lock_folder(folder):
        calculator = potential if isinstance(potential, Calculator) else Calculator(potential)
        atoms = atoms.copy()
        atoms.calc = calculator
        settings = _settings(atoms, calculator, ensemble, steps, every)
        if not resume:
            _refuse_former_run(folder)
        checkpoint = _resumable(folder, settings) if resume else None
        run = _Run(atoms, calculator, ensemble, checkpoint)
        with Display(run.step, steps, ensemble.timestep) as display:
            watch = Watch(guard, calculator, atoms) if guard else None
            if watch and not watch.informed:
                display.say("The potential doesn't say what its data cover: only NaN and close contacts stop the run.")
            _simulate(run, settings, folder, watch=watch, display=display)
    return atoms


class _Run:
    """A structure in motion, and the slope of its conserved energy."""

    def __init__(self, atoms: Atoms, calculator: Calculator, ensemble: Ensemble, checkpoint: Checkpoint | None) -> None:
        self.atoms, self.calculator, self.ensemble = atoms, calculator, ensemble
        self.step = 0
        self.drift = Slope()
        rng = np.random.default_rng(ensemble.seed)
        if checkpoint is None:
            ensemble.start(atoms, rng)
        else:
            self._place(checkpoint)
        atoms.get_potential_energy()
        self.motion = ensemble.motion(atoms, rng)
        if checkpoint is None:
            self.freedoms = ensemble.freedoms(atoms)
        else:
            self.freedoms = checkpoint.state["freedoms"]
            self.motion.restore(checkpoint.state["motion"])

    def _place(self, checkpoint: Checkpoint) -> None:
        """Also build the neighbour list where it was built: another one would change the order of sums."""
        self.step = checkpoint.state["step"]
        self.calculator.reset()
        self.atoms.set_cell(checkpoint.list_cell)
        self.atoms.positions = checkpoint.list_positions
        self.calculator.neighbors.build(self.atoms)
        self.atoms.set_cell(checkpoint.cell)
        self.atoms.positions = checkpoint.positions
        self.atoms.set_momenta(checkpoint.momenta, apply_constraint=False)

    def advance(self) -> None:
        self.motion.step()
        self.step += 1

    def checkpoint(self) -> Checkpoint:
        reference = self.calculator.neighbors.reference or self.atoms
        return Checkpoint(
            positions=self.atoms.positions,
            momenta=self.atoms.get_momenta(),
            cell=self.atoms.cell.array,
            list_positions=reference.positions,
            list_cell=reference.cell.array,
            state={"step": self.step, "freedoms": self.freedoms, "motion": self.motion.state()},
        )

    @property
    def drift_per_atom(self) -> float:
        """meV per atom and ps."""
        return _MEV_PER_EV * self.drift.value / len(self.atoms)

    def numbers(self) -> dict[str, int | float]:
        """The line of the log for the present step."""
        potential, kinetic = self.atoms.get_potential_energy(), self.atoms.get_kinetic_energy()
        conserved, picoseconds = self.motion.conserved_energy(), 1e-3 * self.step * self.ensemble.timestep
        self.drift.add(picoseconds, conserved)
        line = {
            "step": self.step,
            "time_ps": picoseconds,
            "temperature_K": 2 * kinetic / (self.freedoms * KB),
            "potential_eV": potential,
            "kinetic_eV": kinetic,
            "total_eV": potential + kinetic,
            "conserved_eV": conserved,
            "drift_meV_per_atom_per_ps": self.drift_per_atom,
        }
        if self.atoms.pbc.all():
            stress = self.atoms.get_stress(include_ideal_gas=True)
            line |= {"pressure_GPa": -stress[:3].mean() / GPA, "volume_A3": self.atoms.get_volume()}
        return {name: value if name == "step" else float(value) for name, value in line.items()}


def _simulate(run: _Run, settings: dict[str, Any], folder: Path, *, watch: Watch | None, display: Display) -> None:
    """The loop, and what is to be written however it ends."""
    record = Record(folder, run.step // settings["every"] + 1 if run.step else 0)
    if run.step:
        log = summary(folder).log
        for picoseconds, energy in zip(log["time_ps"], log["conserved_eV"], strict=True):
            run.drift.add(picoseconds, energy)
    write_settings(folder, settings)
    ending = "failed"
    try:
        ending = _loop(run, record, steps=settings["steps"], every=settings["every"], watch=watch, display=display)
    except (LeftTheData, Extrapolated) as error:
        ending = f"left the data at {error}"
        ase.io.write(folder / STOPPED, run.atoms, format="extxyz")
        raise LeftTheData(
            f"{error} The run was stopped; {folder / TRAJECTORY} has its frames, and "
            f"{folder / STOPPED} this structure. Add structures like it to the data, or give another guard."
        ) from None
    finally:
        record.close()
        write_settings(folder, settings | _outcome(run, display, ending))


def _loop(run: _Run, record: Record, *, steps: int, every: int, watch: Watch | None, display: Display) -> str:
    """Step until the end or an interrupt, and say which."""
    text, next_save = "", time.perf_counter() + _SECONDS_BETWEEN_CHECKPOINTS
    with interruptible() as interrupted:
        if watch:
            watch.check(run.step)
        if run.step == 0:
            record.add(run.atoms, run.numbers())
            run.checkpoint().save(record.folder)
        while run.step < steps and not interrupted():
            run.advance()
            if watch:
                watch.check(run.step)
            if run.step % every == 0:
                line = run.numbers()
                record.add(run.atoms, line)
                text = _TEXT.format(**line)
            if time.perf_counter() > next_save:
                run.checkpoint().save(record.folder)
                next_save = time.perf_counter() + _SECONDS_BETWEEN_CHECKPOINTS
            display.update(run.step, text)
    run.checkpoint().save(record.folder)
    if run.step < steps:
        display.say(f"Stopped after step {run.step:,} and saved; resume to go on to step {steps:,}.")
        return "interrupted"
    return "finished"


def _settings(atoms: Atoms, calculator: Calculator, ensemble: Ensemble, steps: int, every: int) -> dict[str, Any]:
    return {
        "ensemble": {"name": type(ensemble).__name__, **asdict(ensemble)},
        "units": "timestep and barostat_time fs, temperature K, friction 1/fs, pressure GPa",
        "steps": steps,
        "every": every,
        "composition": {names([z]): count for z, count in sorted(Counter(atoms.numbers.tolist()).items())},
        "potential": type(calculator.potential).__name__,
        "dtype": str(calculator.neighbors.dtype).removeprefix("torch."),
        "skin_A": calculator.neighbors.skin,
        "versions": {name: version(name) for name in ("molnet", "torch", "ase", "numpy", "vesin")}
        | {"python": platform.python_version()},
        "status": "running",
    }


def _outcome(run: _Run, display: Display, ending: str) -> dict[str, Any]:
    return {
        "status": ending,
        "last_step": run.step,
        "drift_meV_per_atom_per_ps": run.drift_per_atom,
        "drift_definition": "least-squares slope, over the lines of the log, of the conserved energy: "
        + run.ensemble.conserved,
        "ms_per_step": display.ms_per_step(run.step),
        "ns_per_day": display.ns_per_day(run.step),
    }


def _refuse_former_run(folder: Path) -> None:
    for name in (SETTINGS, LOG, TRAJECTORY):
        if (folder / name).exists():
            raise FileError(f"{folder} holds a run already ({name}); resume it, or choose another folder.")


def _resumable(folder: Path, settings: dict[str, Any]) -> Checkpoint:
    checkpoint = Checkpoint.load(folder)
    former = summary(folder).settings
    for name in ("composition", "ensemble", "every", "potential", "dtype", "skin_A"):
        if former.get(name) != settings[name]:
            raise ValueError(
                f"the run in {folder} had {name} = {former.get(name)}, not {settings[name]}; resume it "
                "with what it had, or start another run in another folder."
            )
    if checkpoint.state["step"] >= settings["steps"]:
        raise ValueError(
            f"the run in {folder} is at step {checkpoint.state['step']:,} already; to go on, give more "
            "steps than that in all."
        )
    return checkpoint
