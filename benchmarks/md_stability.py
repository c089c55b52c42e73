"""Long dynamics with a fitted potential: drift of the energy at several time steps, and molecules that break.

Give a model file and a file of structures; runs start from the relaxed first one. By default NVE at three time steps;
with `--langevin 300 --langevin 600`, runs with a thermostat at these temperatures, which count broken molecules. A
molecule is broken where contacts of up to 1.5 times the sum of the covalent radii hold fewer of its atoms together
than at the start (a proton that changes its partner breaks nothing), or where a run blows up.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from ase import Atoms
from ase.data import covalent_radii
from ase.io import iread
from ase.optimize import BFGS
from rich.console import Console
from rich.table import Table
from scipy.sparse.csgraph import connected_components

import molnet as mn
from molnet.simulate import NVE, Guard, Langevin, LeftTheData, run_md, summary

TARGET = 0.1  # meV/atom/ps
FRICTION = 0.01  # 1/fs
REACH = 1.5
RUNAWAY = Guard(contact=0.5, force=10.0, energy=10.0)
"""Far beyond the guard of a simulation, which stops before anything breaks."""


def fragments(atoms: Atoms) -> int:
    """How many parts the bonds leave; each atom is one where positions aren't numbers."""
    radii = REACH * covalent_radii[atoms.numbers]
    return int(connected_components(atoms.get_all_distances(mic=True) < np.add.outer(radii, radii))[0])


def picoseconds_whole(atoms: Atoms, forces: mn.Calculator, motion: Langevin, picoseconds: float) -> float:
    """After how many ps the structure is first seen broken, at looks 0.1 ps apart; the whole run if it never is."""
    steps, every = round(1e3 * picoseconds / motion.timestep), round(100 / motion.timestep)
    with TemporaryDirectory() as folder:
        stopped = False
        try:
            run_md(atoms, forces, ensemble=motion, steps=steps, folder=folder, every=every, guard=RUNAWAY)
        except LeftTheData:
            stopped = True
        looks = 0
        for looks, frame in enumerate(iread(Path(folder) / "md.traj")):
            if fragments(frame) > fragments(atoms):
                return 0.1 * looks
    return 0.1 * looks if stopped else picoseconds


def drifts(atoms: Atoms, potential: mn.Potential, picoseconds: float) -> Table:
    """Drift and cost for 0.25, 0.5 and 1 fs."""
    table = Table(title=f"NVE at about 300 K for {picoseconds:g} ps; target: drift below {TARGET} meV/atom/ps")
    for column in ("time step, fs", "drift, meV/atom/ps", "temperature, K", "ms/step"):
        table.add_column(column)
    for timestep in (0.25, 0.5, 1.0):
        steps = round(1e3 * picoseconds / timestep)
        with TemporaryDirectory() as folder:
            run_md(atoms, potential, ensemble=NVE(timestep, temperature=600.0), steps=steps, folder=folder)
            settings, log = summary(folder)
        drift, cost = settings["drift_meV_per_atom_per_ps"], settings["ms_per_step"]
        temperature = log["temperature_K"].mean()
        table.add_row(f"{timestep:g}", f"{drift:+.5f}", f"{temperature:.0f}", f"{cost:.2f}")
    return table


def breaks(
    atoms: Atoms,
    forces: mn.Calculator,
    temperatures: list[float],
    *,
    runs: int,
    picoseconds: float,
    timestep: float,
) -> Table:
    """How many runs broke at each temperature, and when the first one did."""
    table = Table(title=f"Langevin, {runs} runs of {picoseconds:g} ps, {timestep:g} fs; target: none broken")
    for column in ("temperature, K", "broken", "first after, ps"):
        table.add_column(column)
    for temperature in temperatures:
        motions = [Langevin(timestep, temperature, FRICTION, seed=seed) for seed in range(runs)]
        lasted = [picoseconds_whole(atoms, forces, motion, picoseconds) for motion in motions]
        broken = [time for time in lasted if time < picoseconds]
        first = f"{min(broken):.1f}" if broken else "–"
        table.add_row(f"{temperature:g}", f"{len(broken)} of {runs}", first)
    return table


def main(
    model: Path,
    start: Path,
    picoseconds: Annotated[float | None, typer.Option(help="Length of each run; 20, or 100 with Langevin.")] = None,
    langevin: Annotated[list[float] | None, typer.Option(help="A temperature in K; repeat.")] = None,
    runs: Annotated[int, typer.Option(help="Langevin: runs at each temperature.")] = 10,
    timestep: Annotated[float, typer.Option(help="Langevin: fs.")] = 0.5,
    precision: Annotated[Literal["float32", "float64"], typer.Option(help="Langevin: of the forces.")] = "float64",
) -> None:
    """Print drift and cost, or what broke."""
    potential, atoms = mn.load(model), mn.read(start)[0].copy()
    atoms.calc = mn.Calculator(potential)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=500)
    if langevin:
        lengths: dict[str, Any] = {"runs": runs, "picoseconds": picoseconds or 100.0, "timestep": timestep}
        forces = mn.Calculator(potential, dtype=getattr(torch, precision))
        Console().print(breaks(atoms, forces, langevin, **lengths))
    else:
        Console().print(drifts(atoms, potential, picoseconds or 20.0))


if __name__ == "__main__":
    typer.run(main)
