"""Long dynamics with a fitted potential: drift of the energy at several time steps, and what a step costs.

Give a model file and a file of structures; the run starts from the relaxed first one.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from ase.optimize import BFGS
from rich.console import Console
from rich.table import Table

import molnet as mn
from molnet.simulate import NVE, run_md, summary

TARGET = 0.1  # meV/atom/ps


def main(
    model: Path,
    start: Path,
    picoseconds: Annotated[float, typer.Option(help="Length of each run.")] = 20.0,
) -> None:
    """Print drift and cost for 0.25, 0.5 and 1 fs."""
    potential, atoms = mn.load(model), mn.read(start)[0].copy()
    atoms.calc = mn.Calculator(potential)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=500)
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
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
