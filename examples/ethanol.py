"""The main job in ten lines: read, split, fit, report, save, and run dynamics.

python examples/ethanol.py
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase import units
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

import molnet as mn

DATA = Path(__file__).parents[1] / "data" / "ethanol_xtb.extxyz.xz"


def main(
    minutes: Annotated[float, typer.Option(help="Of training.")] = 10.0,
    steps: Annotated[int, typer.Option(help="Of dynamics, 0.5 fs each.")] = 1000,
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("runs/ethanol"),
) -> None:
    """Fit ethanol and simulate it."""
    train, valid, test = mn.split(mn.read(DATA), valid=100, test=200, seed=0)
    potential = mn.AtomEnergies.fit(train) + mn.ZBL.below(train) + mn.SchNet.like(train, cutoff=5.0)
    mn.fit(potential, train, valid, minutes=minutes, folder=folder)
    print(mn.errors(potential, test))
    mn.save(potential, folder / "ethanol.safetensors")

    atoms = test[0].copy()
    atoms.calc = mn.Calculator(mn.load(folder / "ethanol.safetensors"))
    thermalize_momenta(atoms, 300, rng=np.random.default_rng(0))
    before = atoms.get_total_energy()
    VelocityVerlet(atoms, 0.5 * units.fs, trajectory=str(folder / "nve.traj")).run(steps)
    print(f"total energy before and after: {before:.4f} eV, {atoms.get_total_energy():.4f} eV")


if __name__ == "__main__":
    typer.run(main)
