"""A step of molecular dynamics with molnet beside SchNetPack, TorchANI and MACE, in one run.

A step is one of ASE's velocity Verlet with the package's own calculator, in float32, with untrained networks of the
stated architecture, in a process and an environment of its own. The forces are computed and then replaced by those of
springs, so that all packages see the same thermal motion (peers/worker.py). The processes take turns, and only one
works at a time; a time is the median of the rounds.

TorchANI's counterpart is a BPNN with the same features and, for every element, the widest of its networks. MACE has no
counterpart in molnet yet and stands beside SchNet, which is a smaller model.
"""

from pathlib import Path
from typing import Annotated

import typer
from peers.packages import PEERS, Unavailable
from peers.rounds import FOLDER, Case, Times, conditions, interleaved, processes, rounded, wide
from rich.table import Table

ATOMS = {"ethanol": 9, "aspirin": 21, "water 192": 192, "water 648": 648}
ASE = ("molnet", "zeros")
# In the order of a round: the package and its model, the model of molnet it is compared with, and what the table says.
MODELS = [
    (*ASE, None, "ASE alone (zero forces)"),
    ("molnet", "SchNet-3", None, "molnet SchNet-3"),
    ("SchNetPack", "SchNet-3", "SchNet-3", "SchNetPack SchNet-3"),
    ("molnet", "SchNet-6", None, "molnet SchNet-6"),
    ("SchNetPack", "SchNet-6", "SchNet-6", "SchNetPack SchNet-6"),
    ("molnet", "BPNN", None, "molnet BPNN, ANI-2x, 1 net"),
    ("TorchANI", "ANI-2x", "BPNN", "TorchANI ANI-2x, 1 net"),
    ("MACE", "64x0e", "SchNet-3", "MACE 64x0e (beside SchNet-3)"),
]


def rows(system: str, found: dict[Case, Times | Unavailable]) -> list[list[str]]:
    """What the table says of one system."""

    def time(package: str, model: str | None) -> float:
        times = found.get(Case(package, model or "", system))
        return times.median if isinstance(times, Times) else float("nan")

    lines, ase = [], time(*ASE)
    for package, model, beside, text in MODELS:
        times = found.get(Case(package, model, system))
        if isinstance(times, Unavailable):
            lines.append([system, text, "failed", str(times)[:60], "", "", ""])
        elif times:
            ratio = without = ""
            if beside:
                ours = time("molnet", beside)
                ratio, without = f"{times.median / ours:.2f}", f"{(times.median - ase) / (ours - ase):.2f}"
            throughput = rounded(ATOMS[system] / times.median)
            lines.append([system, text, str(times), times.range, ratio, without, throughput])
    return lines


def main(
    peer: Annotated[list[str] | None, typer.Option(help="Only these packages.")] = None,
    system: Annotated[list[str] | None, typer.Option(help="Only these structures.")] = None,
    rounds: Annotated[int, typer.Option(help="Turns of each model.")] = 7,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 0.5,
    folder: Annotated[Path, typer.Option(help="Where the packages are installed.")] = FOLDER,
) -> None:
    """Print the table."""
    console = wide()
    table = Table(
        title="A step of dynamics, float32; SchNet-n: n interactions, 128 channels, 50 Gaussians, 5 Å",
        caption=conditions(),
    )
    for column in ("", "", "ms/step", "rounds", "× molnet", "× without ASE", "10³ atoms·steps/s"):
        table.add_column(column, justify="left" if not column else "right")
    with processes(peer or PEERS, folder, console) as running:
        for name in system or ATOMS:
            console.print(f"{name} …")
            cases = [Case(package, model, name) for package, model, *_ in MODELS]
            for row in rows(name, interleaved(running, cases, rounds, seconds)):
                table.add_row(*row)
            table.add_section()
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
