"""A training step with energies and forces: molnet's SchNet and PaiNN beside SchNetPack's, in one run.

A step is the mean squared error of energies and forces of a batch that is ready, its gradient and Adam, in float32,
each package in a process and an environment of its own. The processes take turns, and only one works at a time; a time
is the median of the rounds.
"""

from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from peers.rounds import FOLDER, Case, conditions, interleaved, processes, rounded, wide
from rich.table import Table

MODELS = ("SchNet-3", "PaiNN-3")
BATCHES = [("ethanol", 10), ("ethanol", 100), ("aspirin", 10), ("aspirin", 100)]


def main(
    rounds: Annotated[int, typer.Option(help="Turns of each package.")] = 7,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 1.0,
    folder: Annotated[Path, typer.Option(help="Where SchNetPack is installed.")] = FOLDER,
) -> None:
    """Print the table."""
    console = wide()
    table = Table(title="A training step: 3 interactions, 128 channels, 5 Å, float32", caption=conditions())
    for column in ("", "", "batch", "", "ms/step", "rounds", "× molnet", "structures/s"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    with processes(["SchNetPack"], folder, console) as running:
        for model, (system, batch) in product(MODELS, BATCHES):
            console.print(f"{model}, {system}, {batch} …")
            ours, theirs = (Case(package, model, system, batch) for package in ("molnet", "SchNetPack"))
            found = interleaved(running, [ours, theirs], rounds, seconds, console)
            for case, times in found.items():
                both = case == theirs and ours in found
                ratio = f"{times.median / found[ours].median:.2f}" if both else ""
                speed = rounded(1e3 * batch / times.median)
                table.add_row(model, system, str(batch), case.package, str(times), times.range, ratio, speed)
            table.add_section()
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
