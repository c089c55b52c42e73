"""Energy conservation of 192 atoms of water: BPNN fitted to energies and forces, then dynamics in both precisions.

The data are not part of molnet: give the folder with DeePMD-kit's example water frames, data_0.npz to data_3.npz with
symbols, coord (Å), cell (Å), energy (eV) and force (eV/Å). The first three are for fitting, the last for testing.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console
from rich.table import Table

import molnet as mn
from molnet.simulate import NVE, run_md, summary

TARGETS = {torch.float64: 0.02, torch.float32: 0.2}  # meV/atom/ps


def frames(path: Path) -> list[Atoms]:
    data, found = np.load(path), []
    for positions, cell, energy, forces in zip(*(data[k] for k in ("coord", "cell", "energy", "force")), strict=True):
        atoms = Atoms(data["symbols"], positions=positions, cell=cell, pbc=True)
        atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces.astype(float))
        found.append(atoms)
    return found


def fitted(data: Path, folder: Path, minutes: float) -> tuple[mn.Potential, list[Atoms]]:
    """The potential in the folder, which is fitted where it isn't there; and the frames for testing."""
    known = [atoms for number in range(3) for atoms in frames(data / f"data_{number}.npz")]
    train, valid, _ = mn.split(known, valid=20, test=0, seed=0)
    test, file = frames(data / "data_3.npz"), folder / "water.safetensors"
    if file.exists():
        return mn.load(file), test
    potential = mn.AtomEnergies.fit(train) + mn.ZBL.below(train) + mn.BPNN.like(train, cutoff=6.0)
    mn.fit(potential, train, valid, minutes=minutes, learning_rate=0.005, batch_edges=20_000, folder=folder / "fit")
    mn.save(potential, file)
    return potential, test


def main(
    data: Path,
    folder: Annotated[Path, typer.Option(help="Where potential and trajectories are kept.")] = Path("runs/water"),
    minutes: Annotated[float, typer.Option(help="Training time.")] = 12.0,
    picoseconds: Annotated[float, typer.Option(help="Length of each run.")] = 100.0,
) -> None:
    """Print the errors of the potential, and the drift of the energy."""
    folder.mkdir(parents=True, exist_ok=True)
    potential, test = fitted(data, folder, minutes)
    found = mn.errors(potential, test)
    console, table = Console(), Table(title=f"192 atoms of water, NVE from 300 K, 0.5 fs, {picoseconds:g} ps")
    console.print(
        f"forces of {len(test)} test frames: MAE {found.forces.mae:.1f}, RMSE {found.forces.rmse:.1f}, "
        f"spread {found.forces.spread:.0f} {found.forces.unit}"
    )
    for column in ("precision", "drift, meV/atom/ps", "target", "temperature, K", "ms/step"):
        table.add_column(column, justify="right")
    for dtype, target in TARGETS.items():
        name = str(dtype).removeprefix("torch.")
        calculator = mn.Calculator(potential, dtype=dtype)
        motion, steps = NVE(0.5, temperature=300.0), round(2e3 * picoseconds)
        run_md(test[0].copy(), calculator, ensemble=motion, steps=steps, folder=folder / name, every=100)
        settings, log = summary(folder / name)
        drift, cost = settings["drift_meV_per_atom_per_ps"], settings["ms_per_step"]
        mean = log["temperature_K"].mean()
        table.add_row(name, f"{drift:+.5f}", f"{target:g}", f"{mean:.0f}", f"{cost:.2f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
