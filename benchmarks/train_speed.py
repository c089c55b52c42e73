"""A training step with energies and forces: SchNet and PaiNN beside SchNetPack's, BPNN beside TorchANI's, in one run.

A step is the mean squared error of energies and forces of a batch that is ready, its gradient and Adam, in float32.
For molnet's BPNN, ready means with features and their derivatives, as `mn.fit` computes them once before training; for
TorchANI, whose counterpart has the features and widths of ANI-2x too, with positions. Each package has a process and an
environment of its own. The processes take turns, and only one works at a time; a time is the median of the rounds.
"""

from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from peers.rounds import FOLDER, Case, conditions, interleaved, processes, rounded, wide
from rich.table import Table

PAIRS = [
    (("molnet", "SchNet-3"), ("SchNetPack", "SchNet-3")),
    (("molnet", "PaiNN-3"), ("SchNetPack", "PaiNN-3")),
    (("molnet", "BPNN-1"), ("TorchANI", "ANI-2x-1")),
]
BATCHES = [("ethanol", 10), ("ethanol", 100), ("aspirin", 10), ("aspirin", 100)]


def main(
    rounds: Annotated[int, typer.Option(help="Turns of each package.")] = 7,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 1.0,
    folder: Annotated[Path, typer.Option(help="Where the other packages are installed.")] = FOLDER,
) -> None:
    """Print the table."""
    console = wide()
    table = Table(title="A training step: three interactions of 128 channels, or ANI-2x; float32", caption=conditions())
    for column in ("", "", "batch", "", "ms/step", "rounds", "× molnet", "structures/s"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    with processes(["SchNetPack", "TorchANI"], folder, console) as running:
        for pair, (system, batch) in product(PAIRS, BATCHES):
            ours, theirs = (Case(*one, system, batch) for one in pair)
            console.print(f"{ours.model}, {system}, {batch} …")
            found = interleaved(running, [ours, theirs], rounds, seconds, console)
            for case, times in found.items():
                both = case == theirs and ours in found
                ratio = f"{times.median / found[ours].median:.2f}" if both else ""
                speed = rounded(1e3 * batch / times.median)
                table.add_row(case.model, system, str(batch), case.package, str(times), times.range, ratio, speed)
            table.add_section()
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
