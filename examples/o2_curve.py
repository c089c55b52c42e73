"""The smallest example: the energy of O₂ against its bond length, its symmetries, and a potential fitted to it.

    python examples/o2_curve.py

writes runs/o2/curve.png, in about a minute.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase import Atoms
from matplotlib.figure import Figure

import molnet as mn
from molnet.train import Huber

DATA = Path(__file__).parents[1] / "data"


def main(
    epochs: Annotated[int, typer.Option(help="Of the fit.")] = 600,
    folder: Annotated[Path, typer.Option(help="Where the figure is written.")] = Path("runs/o2"),
) -> None:
    """Fit the curve, check its symmetries, and draw it."""
    frames = mn.read(DATA / "o2.extxyz")
    train, valid, _ = mn.split(frames, valid=10, test=0, seed=0)
    apart = json.loads((DATA / "o2_atoms.json").read_text())["O2 at 30 Å"]
    potential = mn.AtomEnergies([8], [apart / 2]) + mn.SchNet.like(train, cutoff=4.5, channels=32, interactions=2)
    loss = mn.Loss(energy_weight=30.0, error=Huber(0.5))  # forces of 160 eV/Å on the wall would rule a squared error
    mn.fit(potential, train, valid, epochs=epochs, learning_rate=3e-3, loss=loss)

    calculator = mn.Calculator(potential)
    one_way = molecule(1.2, direction=(0, 0, 1))
    another = molecule(1.2, direction=(1, 2, -1))
    for atoms in (one_way, another):
        atoms.calc = calculator
    print(f"U(1.2 Å) along z:          {one_way.get_potential_energy() - apart:.6f} eV")
    print(f"U(1.2 Å) along (1, 2, −1): {another.get_potential_energy() - apart:.6f} eV")
    print(f"sum of the forces:         {np.abs(another.get_forces().sum(axis=0)).max():.1e} eV/Å")
    print(f"figure:                    {draw(frames, calculator, apart, folder)}")


def molecule(distance: float, direction: tuple[float, float, float]) -> Atoms:
    """O₂ with that bond length (Å)."""
    return Atoms("O2", [np.zeros(3), distance * np.array(direction) / np.linalg.norm(direction)])


def draw(frames: list[Atoms], calculator: mn.Calculator, apart: float, folder: Path) -> Path:
    """The data, and the fitted curve beside them."""
    data = [(atoms.get_distance(0, 1), atoms.get_potential_energy() - apart) for atoms in frames]
    distances = np.linspace(0.8, 5.0, 200)
    fitted = [calculator.get_potential_energy(molecule(d, (0, 0, 1))) - apart for d in distances]
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="0.8", linewidth=0.8)
    axes.plot(distances, fitted, color="#1f5f8b", label="SchNet")
    axes.plot(*zip(*data, strict=True), "o", color="#b5532a", markersize=3.5, label="SC-NEVPT2/cc-pVTZ")
    axes.set(xlabel="bond length (Å)", ylabel="U − U(∞) (eV)", ylim=(-6, 4))
    axes.legend(frameon=False)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "curve.png", dpi=160)
    return folder / "curve.png"


if __name__ == "__main__":
    typer.run(main)
