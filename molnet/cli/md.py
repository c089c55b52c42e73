"""`molnet md`."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from rich.console import Console

from molnet.analysis import write_report
from molnet.checkpoint import load
from molnet.cli.checking import checking as checking
from molnet.data.read import read
from molnet.features.ranges import Check
from molnet.simulate import NPT, NVE, Calculator, Ensemble, Langevin, run_md

CHECK_EVERY = 10
"""Steps between looks at extrapolation."""


def run(
    model: Path, atoms: Atoms, *, motion: Ensemble, picoseconds: float, folder: Path, resume: bool, check: Check | None
) -> None:
    """Simulate, and renew the report of the run folder around."""
    steps = round(1e3 * picoseconds / motion.timestep)
    console = Console()
    calculator = Calculator(load(model), extrapolation=check)
    run_md(atoms, calculator, ensemble=motion, steps=steps, folder=folder, resume=resume)
    if check is not None:
        console.print(str(check), markup=False)
    console.print(f"report: {write_report(folder.parent)}", markup=False, soft_wrap=True)


def start(file: Path, frame: int) -> Atoms:
    """One structure of a file; ValueError where there are fewer."""
    frames = read(file)
    if not -len(frames) <= frame < len(frames):
        raise ValueError(f"{file} has {len(frames)} structures; there is no number {frame}.")
    return frames[frame]


def ensemble(
    name: str, *, timestep: float, temperature: float, pressure: float, friction: float, seed: int
) -> Ensemble:
    """The ensemble of that name; times in fs, friction in 1/ps, temperature in K, pressure in GPa."""
    if name == "nve":
        return NVE(timestep, temperature, seed)
    if name == "langevin":
        return Langevin(timestep, temperature, 1e-3 * friction, seed)
    return NPT(timestep, temperature, pressure, 1e-3 * friction, seed=seed)
