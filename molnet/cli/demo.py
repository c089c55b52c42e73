"""`molnet demo`: the main job, from data to dynamics, on ethanol."""

from __future__ import annotations

import sysconfig
from itertools import count
from pathlib import Path

from ase import Atoms
from ase.optimize import BFGS
from rich.console import Console
from rich.table import Table

import molnet
from molnet.analysis import Errors, errors, write_report
from molnet.cli.config import FitConfig
from molnet.cli.fit import fit_and_report
from molnet.potential import Potential
from molnet.simulate import NVE, Calculator, run_md, summary

DATA = "ethanol_xtb.extxyz.xz"
TIMESTEP = 0.5  # fs


def run(folder: Path, *, minutes: float, picoseconds: float) -> None:
    """Fit, simulate at constant energy, and sum up."""
    console, folder = Console(), unused(folder)
    options = FitConfig(
        files=(str(find_data()),),
        folder=str(folder),
        channels=64,
        valid=100,
        test=300,
        minutes=minutes,
        learning_rate=2e-3,
    )
    potential, parts = fit_and_report(options, console)
    console.rule("constant energy at about 300 K")
    dynamics = folder / "md-nve"
    start = relaxed(parts.test[0], potential)
    # Of the kinetic energy given to a structure at rest in its minimum, half becomes potential energy.
    motion = NVE(TIMESTEP, temperature=600.0)
    run_md(start, potential, ensemble=motion, steps=round(1e3 * picoseconds / TIMESTEP), folder=dynamics)
    console.print(outcome(errors(potential, parts.test), dynamics))
    console.print(f"Open {write_report(folder)} in a browser.", markup=False, soft_wrap=True)


def outcome(found: Errors, dynamics: Path) -> Table:
    """The errors on the test frames and the drift of the dynamics."""
    settings, log = summary(dynamics)
    drift, time = settings["drift_meV_per_atom_per_ps"], log["time_ps"][-1]
    table = Table(title="What the demo reached", box=None, show_header=False, title_justify="left")
    table.add_row("force error on frames never seen (MAE)", f"{found.forces.mae:.1f} meV/Å")
    table.add_row("energy error on them (MAE)", f"{found.energy.mae:.2f} meV/atom")
    table.add_row(f"temperature over {time:.0f} ps at constant energy", f"{log['temperature_K'].mean():.0f} K")
    table.add_row("drift of the energy", f"{drift:+.4f} meV/atom/ps")
    return table


def unused(folder: Path) -> Path:
    """The folder, or where it holds a run already the next one that doesn't: demo, demo-2, demo-3, …"""
    names = (folder if n == 1 else folder.with_name(f"{folder.name}-{n}") for n in count(1))
    return next(place for place in names if not (place / "config.json").exists())


def relaxed(atoms: Atoms, potential: Potential) -> Atoms:
    """The nearest minimum of the potential energy."""
    relaxed = atoms.copy()
    relaxed.calc = Calculator(potential)
    BFGS(relaxed, logfile=None).run(fmax=0.02, steps=500)
    return relaxed


def find_data() -> Path:
    """The ethanol data beside a checkout, or where an installation puts them."""
    places = [
        Path(molnet.__file__).parents[1] / "data",
        Path(sysconfig.get_path("data")) / "share" / "molnet",
    ]
    for place in places:
        if (place / DATA).exists():
            return place / DATA
    raise FileNotFoundError(f"{DATA} is neither in {places[0]} nor in {places[1]}; run the demo from a checkout.")
