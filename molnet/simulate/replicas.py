"""Hundreds of replicas of a molecule at once, watched, written, stopped and taken up again."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy import ndarray

from molnet.files import FileError, lock_folder
from molnet.potential import Potential
from molnet.simulate.display import Display
from molnet.simulate.dynamics import Dynamics
from molnet.simulate.exchange import Exchange
from molnet.simulate.forces import Forces, forces_of
from molnet.simulate.guard import LeftTheData
from molnet.simulate.interrupts import interruptible
from molnet.simulate.limits import BondLimits
from molnet.simulate.output import (
    CHECKPOINT,
    LOG,
    SETTINGS,
    Output,
    Record,
    Trajectories,
    load_state,
    read_settings,
    save_state,
    write_settings,
)
from molnet.simulate.state import State

_STEPS_BETWEEN_CHECKS = 100
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


def run_replicas(
    start: State,
    potential: Potential,
    *,
    dynamics: Dynamics,
    steps: int,
    output: Output,
    exchange: Exchange | None = None,
    limits: BondLimits | None = None,
    resume: bool = False,
) -> State:
    """Simulate replicas up to step number `steps`, and return the state there.

    The folder gets, every so many steps, a frame of all replicas (`molnet.simulate.output` says how they are arranged)
    and a line in replicas.csv; at the end replicas.json and a trajectory file for each replica or, with exchange, for
    each temperature of each ladder; and now and then a checkpoint, from which `resume` goes on to the last bit. Ctrl-C
    ends the run after at most 100 steps with everything saved. The precision is that of the start's positions. Each
    frame has every replica's center of mass at the origin: the potential may not depend on where the molecule is.

    At the start, every 100 steps and where a frame is written, a replica is stopped if its positions or energy aren't
    finite numbers or it is outside the limits. It is named, and stopped-NUMBER.npz has it as it was at the last check
    and as it is; with exchange, its ladder stops with it. The others go on. Raises `LeftTheData` where none is left,
    FileError where the folder can't be written or holds another run, and ValueError where a resumed run's settings are
    others.
    """
    if steps < 0:
        raise ValueError(f"steps = {steps} is a count of steps: at least 0.")
    with lock_folder(output.path):
        settings = _settings(start, potential, dynamics, exchange, limits) | {"every": output.every}
        if not resume:
            _refuse_former_run(output.path)
        state, about = _resumed(output.path, settings, steps) if resume else (start, {})
        run = _Run(state, potential, dynamics, exchange=exchange, limits=limits, about=about)
        with Display(run.state.step, steps, dynamics.timestep) as display:
            _simulate(run, settings | {"steps": steps}, output, display)
    return run.state


class _Run:
    """Replicas in motion, which of them were stopped, and the swaps between temperatures."""

    def __init__(
        self,
        state: State,
        potential: Potential,
        dynamics: Dynamics,
        *,
        exchange: Exchange | None,
        limits: BondLimits | None,
        about: dict[str, Any],
    ) -> None:
        self.potential, self.dynamics, self.exchange, self.limits = potential, dynamics, exchange, limits
        self.stopped: list[dict[str, Any]] = about.get("stopped", [])
        pairs = len(exchange.temperatures) - 1 if exchange else 0
        self.swaps: Int64[ndarray, "pairs 2"] = np.array(about.get("swaps", np.zeros((pairs, 2))), dtype=np.int64)
        self.reported: int = about.get("reported", 0)
        self._forces = self._made_forces(state)
        self.state = state.computed(self._forces)

    def advance(self, steps: int) -> None:
        self.state = self.dynamics.advance(self.state, self._forces, steps)

    def columns(self) -> Int64[ndarray, " replicas"]:
        return self.exchange.columns(self.state) if self.exchange else self.state.numbers

    def swap(self) -> None:
        if self.exchange and self.state.step % self.exchange.every == 0:
            self.state, counts = self.exchange.swapped(self.state)
            self.swaps = self.swaps + counts

    def stop_broken(self, before: State, folder: Path, display: Display) -> None:
        """Take away the replicas that blew up, with their ladders; what happened to each is written and said."""
        broken = self._broken()
        if not broken.any():
            return
        said = [self._dump(before, row, folder) for row in np.flatnonzero(broken).tolist()]
        rungs = len(self.exchange.temperatures) if self.exchange else 1
        lost = np.isin(self.state.numbers // rungs, np.unique(self.state.numbers[broken] // rungs))
        if lost.all():
            raise LeftTheData(
                f"{said[0]} No replica is left; a timestep shorter than {self.dynamics.timestep:g} fs may help."
            )
        self.state = self.state[~lost]
        self._forces = self._made_forces(self.state)
        for sentence in said:
            display.say(sentence)

    def count_bonds(self) -> None:
        """Those beyond the limit that is reported, of this frame and all before."""
        if self.limits:
            self.reported += int((self.limits.deviations(self.state) > self.limits.report).sum())

    def line(self) -> dict[str, Any]:
        """The line of the log for the present step: means over the replicas of each temperature."""
        state = self.state
        picoseconds = round(1e-3 * state.step * self.dynamics.timestep, 9)
        line = {"step": state.step, "time_ps": picoseconds, "replicas": len(state), "bonds_reported": self.reported}
        for kelvins in self.exchange.temperatures if self.exchange else np.unique(state.temperatures).tolist():
            mine = state.temperatures == kelvins
            line[f"potential_eV_{kelvins:.2f}K"] = float(state.energies[mine].mean())
            line[f"kinetic_K_{kelvins:.2f}K"] = float(state.kinetic_temperatures[mine].mean())
        if self.exchange:
            line["swaps_accepted"] = float(self.swaps[:, 0].sum() / max(self.swaps[:, 1].sum(), 1))
        return line

    def save(self, folder: Path) -> None:
        about = {"stopped": self.stopped, "swaps": self.swaps.tolist(), "reported": self.reported}
        save_state(folder / CHECKPOINT, self.state, about)

    def _made_forces(self, state: State) -> Forces:
        dtype = torch.from_numpy(state.positions[:0]).dtype
        return forces_of(self.potential, state.molecule, len(state), dtype=dtype)

    def _broken(self) -> Bool[ndarray, " replicas"]:
        state = self.state
        finite = np.isfinite(state.positions).all(axis=(1, 2)) & np.isfinite(state.energies)
        return ~finite | self.limits.exceeded(state) if self.limits else ~finite

    def _dump(self, before: State, row: int, folder: Path) -> str:
        state, number = self.state, int(self.state.numbers[row])
        reason = "positions or energy aren't finite numbers"
        if self.limits and self.limits.exceeded(state)[row]:
            reason = self.limits.describe(state, row)
        path = folder / f"stopped-{number}.npz"
        about = {"replica": number, "steps": [before.step, state.step], "reason": reason}
        held: dict[str, Any] = {
            name: np.stack([getattr(s, name)[row] for s in (before, state)]) for name in ("positions", "velocities")
        }
        np.savez(path, **held | {"about": np.array(json.dumps(about))})
        self.stopped.append({"replica": number, "step": state.step, "reason": reason, "file": path.name})
        return f"Replica {number} was stopped at step {state.step:,}: {reason}; {path} has it."


def _simulate(run: _Run, settings: dict[str, Any], output: Output, display: Display) -> None:
    """The loop, and what is to be written however it ends."""
    folder, first = output.path, run.state.step
    write_settings(folder, settings)
    frames = first // output.every + 1 if first else 0
    record = Record(folder, run.state.molecule, settings["replicas"], frames=frames)
    ending = "failed"
    try:
        ending = _loop(run, record, output, steps=settings["steps"], display=display)
    except LeftTheData as error:
        ending = f"left the data: {error}"
        raise
    finally:
        record.close()
        write_settings(folder, settings | _outcome(run, display, ending))
        Trajectories.load(folder).export(folder, output.format)


def _loop(run: _Run, record: Record, output: Output, *, steps: int, display: Display) -> str:
    """Advance from check to check until the end or an interrupt, and say which."""
    next_save = time.perf_counter() + _SECONDS_BETWEEN_CHECKPOINTS
    intervals = [_STEPS_BETWEEN_CHECKS, output.every] + ([run.exchange.every] if run.exchange else [])
    with interruptible() as interrupted:
        if run.state.step == 0:
            run.stop_broken(run.state, output.path, display)
            _write(run, record, output)
            run.save(output.path)
        while (step := run.state.step) < steps and not interrupted():
            before = run.state
            run.advance(min(steps, *(step - step % n + n for n in intervals)) - step)
            run.stop_broken(before, output.path, display)
            run.swap()
            text = _write(run, record, output)
            if time.perf_counter() > next_save:
                run.save(output.path)
                next_save = time.perf_counter() + _SECONDS_BETWEEN_CHECKPOINTS
            display.update(run.state.step, text)
    run.save(output.path)
    if run.state.step < steps:
        display.say(f"Stopped after step {run.state.step:,} and saved; resume to go on to step {steps:,}.")
        return "interrupted"
    return "finished"


def _write(run: _Run, record: Record, output: Output) -> str:
    """A frame and a line, if it is time to; what the display shows."""
    if run.state.step % output.every == 0:
        run.state = run.state.centered()
        run.count_bonds()
        record.add(run.state, run.columns(), run.line())
    return f"{len(run.state)} replicas  {run.state.energies.mean():.3f} eV"


def _settings(
    start: State, potential: Potential, dynamics: Dynamics, exchange: Exchange | None, limits: BondLimits | None
) -> dict[str, Any]:
    columns = exchange.columns(start) if exchange else start.numbers
    return {
        "dynamics": {"name": type(dynamics).__name__, **asdict(dynamics)},  # type: ignore[call-overload]
        "units": "timestep fs, friction 1/fs, temperatures K, positions Å, energies eV",
        "replicas": len(start),
        "temperatures": start.temperatures[np.argsort(columns)].tolist(),
        "exchange": {"temperatures": list(exchange.temperatures), "every": exchange.every} if exchange else None,
        "limits_in_standard_deviations": [limits.report, limits.stop] if limits else None,
        "seed": start.seed,
        "dtype": str(start.positions.dtype),
        "potential": type(potential).__name__,
        "molecule": json.loads(json.dumps(start.molecule.to_json())),
        "versions": {name: version(name) for name in ("molnet", "torch", "numpy", "mdtraj")}
        | {"python": platform.python_version()},
        "status": "running",
    }


def _outcome(run: _Run, display: Display, ending: str) -> dict[str, Any]:
    step, beads = run.state.step, run.state.positions[..., 0].size
    milliseconds = display.ms_per_step(step)
    outcome = {
        "status": ending,
        "last_step": step,
        "stopped": run.stopped,
        "bonds_reported": run.reported,
        "ms_per_step": milliseconds,
        "bead_steps_per_second": 1e3 * beads / milliseconds,
    }
    if run.exchange:
        outcome["swaps"] = swaps(run.exchange, run.swaps)
    return outcome


def swaps(exchange: Exchange, counts: Int64[ndarray, "pairs 2"]) -> list[dict[str, float]]:
    """For each two neighbouring temperatures: how many swaps were tried, and the share that was accepted."""
    pairs = zip(exchange.temperatures[:-1], exchange.temperatures[1:], counts.tolist(), strict=True)
    return [
        {"low_K": low, "high_K": high, "tried": tried, "accepted": accepted / tried if tried else 0.0}
        for low, high, (accepted, tried) in pairs
    ]


def _refuse_former_run(folder: Path) -> None:
    for name in (SETTINGS, LOG, CHECKPOINT):
        if (folder / name).exists():
            raise FileError(f"{folder} holds a run already ({name}); resume it, or choose another folder.")


def _resumed(folder: Path, settings: dict[str, Any], steps: int) -> tuple[State, dict[str, Any]]:
    state, about = load_state(folder / CHECKPOINT)
    former = read_settings(folder)
    for name in settings:
        if name in ("versions", "status"):
            continue
        if former.get(name) != settings[name]:
            raise ValueError(
                f"the run in {folder} had {name} = {former.get(name)}, not {settings[name]}; resume it with what it "
                "had, or start another run in another folder."
            )
    if state.step >= steps:
        raise ValueError(
            f"the run in {folder} is at step {state.step:,} already; to go on, give more steps than that in all."
        )
    return state, about
