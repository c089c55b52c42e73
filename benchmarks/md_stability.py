"""Long dynamics with a fitted potential: drift of the energy at several time steps, and molecules that break.

Give a model file and a file of structures; runs start from the relaxed first one. By default NVE at three time steps;
with `--langevin 300 --langevin 600`, runs with a thermostat at these temperatures, all at once, which count broken
molecules. A molecule is broken where contacts of up to 1.5 times the sum of the covalent radii hold fewer of its atoms
together than at the start (a proton that changes its partner breaks nothing), or where a run blows up.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import numpy as np
import typer
from ase import Atoms
from ase.data import covalent_radii
from ase.optimize import BFGS
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from scipy.sparse.csgraph import connected_components

import molnet as mn
from molnet.data.molecule import Molecule
from molnet.simulate import (
    NVE,
    LangevinReplicas,
    LeftTheData,
    Output,
    State,
    Trajectories,
    run_md,
    run_replicas,
    summary,
)
from molnet.simulate.output import CHECKPOINT

TARGET = 0.1  # meV/atom/ps
FRICTION = 0.01  # 1/fs
REACH = 1.5


@dataclass(frozen=True)
class Motion:
    """How replicas move: fs, ps and a precision."""

    timestep: float
    picoseconds: float
    precision: str


def fragments(atoms: Atoms) -> int:
    """How many parts the bonds leave; each atom is one where positions aren't numbers."""
    radii = REACH * covalent_radii[atoms.numbers]
    return int(connected_components(atoms.get_all_distances(mic=True) < np.add.outer(radii, radii))[0])


def picoseconds_whole(atoms: Atoms, found: Trajectories, column: int) -> float:
    """When a replica is first seen broken or was stopped; infinite where it stayed whole."""
    whole = fragments(atoms)
    for time, positions, number in zip(
        found.picoseconds, found.positions[:, column], found.numbers[:, column], strict=True
    ):
        if number >= 0 and fragments(Atoms(atoms.numbers, positions)) > whole:
            return float(time)
    stopped = {one["replica"]: one["step"] for one in found.settings["stopped"]}
    return 1e-3 * found.settings["dynamics"]["timestep"] * stopped.get(column, np.inf)


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


def simulated(
    atoms: Atoms, potential: mn.Potential, kelvins: Float[np.ndarray, " replicas"], *, motion: Motion, folder: Path
) -> Trajectories:
    """Replicas of a structure, one for each temperature, with looks 0.1 ps apart."""
    named = [f"{symbol}{number}" for number, symbol in enumerate(atoms.symbols, start=1)]
    molecule = Molecule.bonded(named, atoms.get_masses().tolist(), bonds=[], species=atoms.numbers.tolist())
    positions = np.repeat(atoms.positions[None], len(kelvins), axis=0).astype(motion.precision)
    start = State.start(molecule, positions, temperatures=kelvins).centered()
    dynamics, every = LangevinReplicas(motion.timestep, FRICTION), round(100 / motion.timestep)
    steps = round(1e3 * motion.picoseconds / motion.timestep)
    options = {"output": Output(folder, every), "resume": (folder / CHECKPOINT).exists()}
    with suppress(LeftTheData):  # all replicas were stopped, which shows in what was written
        run_replicas(start, potential, dynamics=dynamics, steps=steps, **options)
    return Trajectories.load(folder)


def breaks(
    atoms: Atoms, potential: mn.Potential, temperatures: list[float], *, runs: int, motion: Motion, folder: Path
) -> Table:
    """How many runs broke at each temperature, and when the first one did."""
    kelvins = np.repeat(np.array(temperatures), runs)
    found = simulated(atoms, potential, kelvins, motion=motion, folder=folder)
    lasted = np.array([picoseconds_whole(atoms, found, column) for column in range(len(kelvins))])
    long = 1e-3 * motion.timestep * found.settings["last_step"]
    about = f"{runs} runs of {long:g} ps, {motion.timestep:g} fs, {motion.precision}"
    table = Table(title=f"Langevin, {about}; target: none broken")
    for column in ("temperature, K", "broken", "first after, ps"):
        table.add_column(column)
    for temperature in temperatures:
        times = lasted[kelvins == temperature]
        broken = times[np.isfinite(times)]
        first = f"{broken.min():.1f}" if len(broken) else "–"
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
    folder: Annotated[Path | None, typer.Option(help="Langevin: where the replicas are kept, and go on.")] = None,
) -> None:
    """Print drift and cost, or what broke."""
    potential, atoms = mn.load(model), mn.read(start)[0].copy()
    atoms.calc = mn.Calculator(potential)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=500)
    if langevin:
        motion = Motion(timestep, picoseconds or 100.0, precision)
        with TemporaryDirectory() as place:
            table = breaks(atoms, potential, langevin, runs=runs, motion=motion, folder=folder or Path(place))
        Console().print(table)
    else:
        Console().print(drifts(atoms, potential, picoseconds or 20.0))


if __name__ == "__main__":
    typer.run(main)
