"""SchNet on MD17 ethanol, 1,000 training frames (950 to fit, 50 to stop), against the published force error.

The data are not part of molnet: give the path of an npz file of 2,000 frames of MD17 ethanol (kcal/mol, Å).
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import molnet as mn
from molnet.units import energy_unit

PUBLISHED = 0.39  # kcal/mol/Å; Schütt et al., J. Chem. Phys. 148, 241722 (2018)
TARGET = 0.50


def main(
    data: Path,
    minutes: Annotated[float, typer.Option(help="Training time.")] = 40.0,
    folder: Annotated[Path | None, typer.Option(help="Where the run is kept.")] = None,
) -> None:
    """Fit, and print the errors on the 1,000 frames that are left."""
    frames = mn.read(data, energy_unit="kcal/mol", length_unit="Å")
    order = np.random.default_rng(0).permutation(len(frames))
    train, valid, test = ([frames[i] for i in part] for part in np.split(order, [950, 1000]))
    potential = mn.AtomEnergies.fit(train) + mn.ZBL.below(train) + mn.SchNet.like(train, cutoff=5.0)
    history = mn.fit(potential, train, valid, minutes=minutes, folder=folder)
    found = mn.errors(potential, test)
    kcal = 1e3 * energy_unit("kcal/mol")
    table = Table(title=f"MD17 ethanol, 1,000 training frames, {minutes:g} minutes, {len(history.rows)} epochs")
    for column in ("", "molnet SchNet", "target", "published"):
        table.add_column(column)
    table.add_row("force MAE, kcal/mol/Å", f"{found.forces.mae / kcal:.3f}", f"≤ {TARGET:.2f}", f"{PUBLISHED:.2f}")
    table.add_row("energy MAE, kcal/mol", f"{9 * found.energy.mae / kcal:.3f}", "", "")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
