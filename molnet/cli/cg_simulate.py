"""`molnet cg simulate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from molnet.checkpoint import load
from molnet.data.conformations import Conformations
from molnet.simulate import (
    BondLimits,
    Dynamics,
    Exchange,
    LangevinReplicas,
    Output,
    OverdampedReplicas,
    State,
    Trajectories,
    geometric_ladder,
    run_replicas,
)


@dataclass(frozen=True)
class Start:
    """So many replicas at frames of the data, drawn with the seed; at its temperature unless one is given (K)."""

    replicas: int
    temperature: float | None = None
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = 0

    def state(self, data: Conformations, exchange: Exchange | None = None) -> State:
        frames = np.random.default_rng(self.seed).choice(len(data), self.replicas, replace=self.replicas > len(data))
        kelvins = np.resize(exchange.temperatures, self.replicas) if exchange else self.temperature or data.temperature
        positions = data.positions[frames].astype(self.dtype)
        return State.start(data.molecule, positions, temperatures=kelvins, seed=self.seed).centered()


def run(
    model: Path,
    beads: Path,
    start: Start,
    *,
    exchange: Exchange | None,
    dynamics: Dynamics,
    picoseconds: float,
    output: Output,
    resume: bool,
) -> None:
    """Simulate replicas, and say what came of it."""
    data = Conformations.load(beads)
    end = run_replicas(
        start.state(data, exchange),
        load(model),
        dynamics=dynamics,
        steps=round(1e3 * picoseconds / dynamics.timestep),
        output=output,
        exchange=exchange,
        limits=BondLimits.of(data),
        resume=resume,
    )
    _tell(output, Trajectories.load(output.path), len(end))
    Console().print(f"next:   molnet cg report {output.folder} {beads}", markup=False, soft_wrap=True)


def dynamics(name: Literal["langevin", "overdamped"], *, timestep: float, friction: float | None) -> Dynamics:
    """The dynamics of that name; timestep in fs, friction in 1/ps."""
    kind, usual = (LangevinReplicas, 1.0) if name == "langevin" else (OverdampedReplicas, 100.0)
    return kind(timestep, 1e-3 * (usual if friction is None else friction))


def ladder(beads: Path, lowest: float | None, highest: float | None, *, rungs: int, every: int) -> Exchange | None:
    """Exchange up to the highest temperature from the lowest, the data's by default; None without a highest one."""
    if highest is None:
        return None
    return Exchange(geometric_ladder(lowest or Conformations.load(beads).temperature, highest, rungs), every)


def _tell(output: Output, made: Trajectories, left: int) -> None:
    console, held = Console(), made.settings
    frames, columns = made.positions.shape[:2]
    console.print(
        f"{output.folder}: {frames:,} frames of {columns} trajectories (.{output.format}, with topology.pdb); "
        f"{held['bead_steps_per_second']:.3g} bead-steps per second.",
        markup=False,
        soft_wrap=True,
    )
    if held["bonds_reported"]:
        sigmas = held["limits_in_standard_deviations"][0]
        console.print(f"{held['bonds_reported']} bond lengths in frames were beyond {sigmas:g} σ of the data.")
    if left < columns:
        console.print(f"{columns - left} replicas ended early, {len(held['stopped'])} of them outside the limits.")
    if "swaps" in held:
        table = Table("temperatures (K)", "tried", "accepted", title="Replica exchange")
        for pair in held["swaps"]:
            name = f"{pair['low_K']:.1f} – {pair['high_K']:.1f}"
            table.add_row(name, f"{pair['tried']:,}", f"{pair['accepted']:.0%}")
        console.print(table)
