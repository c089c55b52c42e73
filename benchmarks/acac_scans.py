"""Acetylacetone beyond its training data: a dihedral scan and a hydrogen transfer, beside DFT.

Give model files, such as the `potential.safetensors` of accuracy_time.py or recipe.py; each is called as its folder.
Energies count from the first structure of a scan. The roughness is the root mean square second difference of the error
along the scan: a curve that is shifted or tilted is smooth, a kink isn't.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase import Atoms
from matplotlib import rc_context
from matplotlib.figure import Figure
from peers.rounds import wide
from plot_speed import FAINT, INK, STYLE
from rich.table import Table

import molnet as mn

SCANS = {"dihedral angle, °": "acac/test_dihedral.xyz.xz", "hydrogen transfer, step": "acac/test_H_transfer.xyz.xz"}

Curve = tuple[np.ndarray, np.ndarray]
"""Coordinate and energy (meV)."""


def coordinate(frames: list[Atoms]) -> np.ndarray:
    """The dihedral angle where frames note it, else their number."""
    return np.array([atoms.info.get("dihedral_angle", number) for number, atoms in enumerate(frames)], dtype=float)


def reference(frames: list[Atoms]) -> Curve:
    energies = np.array([atoms.get_potential_energy() for atoms in frames])
    return coordinate(frames), 1e3 * (energies - energies[0])


def predicted(potential: mn.Potential, frames: list[Atoms]) -> Curve:
    calculator = mn.Calculator(potential)
    energies = np.array([calculator.get_potential_energy(atoms.copy()) for atoms in frames])
    return coordinate(frames), 1e3 * (energies - energies[0])


def numbers(found: Curve, expected: Curve) -> dict[str, float]:
    """RMSE, largest error, error of the barrier and roughness, in meV."""
    error = found[1] - expected[1]
    return {
        "RMSE": float(np.sqrt(np.mean(error**2))),
        "largest": float(np.abs(error).max()),
        "highest point": float(found[1].max() - expected[1].max()),
        "roughness": float(np.sqrt(np.mean(np.diff(error, 2) ** 2))),
    }


def figure(curves: dict[str, dict[str, Curve]]) -> Figure:
    """A panel for each scan: DFT as points, models as lines."""
    whole = Figure(figsize=(8.2, 3.4), layout="constrained")
    for axes, (title, found) in zip(whole.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for name, curve in found.items():
            style = {"color": INK, "marker": "o", "markersize": 3, "linestyle": ""} if name == "DFT" else {}
            axes.plot(*curve, label=name, **style)
        axes.set(xlabel=title, ylabel="energy, meV")
        axes.grid(color=FAINT, linewidth=0.8)
    whole.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return whole


def main(
    model: list[Path],
    data: Annotated[Path, typer.Option(help="The folder of published data.")] = Path("../shared/data"),
    plot: Annotated[Path | None, typer.Option(help="Draw the curves: .svg, .png, .pdf.")] = None,
) -> None:
    """Print the errors of the curves."""
    table = Table(title="Acetylacetone, scans beside DFT, meV")
    curves: dict[str, dict[str, Curve]] = {}
    potentials = {path.parent.name: mn.load(path) for path in model}
    for title, file in SCANS.items():
        frames = list(mn.read(data / file))
        curves[title] = {"DFT": reference(frames)}
        for name, potential in potentials.items():
            curves[title][name] = predicted(potential, frames)
            errors = numbers(curves[title][name], curves[title]["DFT"])
            if not table.columns:
                for column in ("scan", "model", *errors):
                    table.add_column(column)
            table.add_row(title, name, *(f"{value:.1f}" for value in errors.values()))
    wide().print(table)
    if plot:
        with rc_context(STYLE):
            figure(curves).savefig(plot, dpi=200, metadata={"Date": None} if plot.suffix == ".svg" else None)


if __name__ == "__main__":
    typer.run(main)
