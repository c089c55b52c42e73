"""BPNN on copper with EMT (data/copper_emt.extxyz.xz): force and stress errors on frames never seen."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import molnet as mn

DATA = Path(__file__).parents[1] / "data" / "copper_emt.extxyz.xz"
TARGETS = {"forces": 10.0, "stress": 1.0}  # meV/Å, meV/Å³


def main(
    minutes: Annotated[float, typer.Option(help="Training time.")] = 9.0,
    cutoff: Annotated[float, typer.Option(help="Å.")] = 5.5,
    learning_rate: Annotated[float, typer.Option(help="Largest.")] = 0.01,
    batch_edges: Annotated[int, typer.Option(help="Pairs of neighbours a batch.")] = 10_000,
) -> None:
    """Fit, and print the errors."""
    train, valid, test = mn.split(mn.read(DATA), valid=40, test=80, seed=0)
    potential = mn.AtomEnergies.fit(train) + mn.ZBL.below(train) + mn.BPNN.like(train, cutoff=cutoff)
    history = mn.fit(potential, train, valid, minutes=minutes, learning_rate=learning_rate, batch_edges=batch_edges)
    found = mn.errors(potential, test)
    table = Table(title=f"copper, EMT, {len(train)} training frames, {minutes:g} minutes, {len(history.rows)} epochs")
    for column in ("", "MAE", "RMSE", "spread", "target (MAE)"):
        table.add_column(column)
    for name in ("energy", "forces", "stress"):
        row = getattr(found, name)
        target = f"≤ {TARGETS[name]:g}" if name in TARGETS else ""
        table.add_row(f"{name}, {row.unit}", f"{row.mae:.3f}", f"{row.rmse:.3f}", f"{row.spread:.1f}", target)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
