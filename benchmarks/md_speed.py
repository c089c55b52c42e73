"""A step of molecular dynamics with molnet beside SchNetPack, TorchANI, DeePMD-kit and MACE, in one run.

A step is one of ASE's velocity Verlet with the package's own calculator, in float32, with untrained networks of the
stated architecture, in a process and an environment of its own. The forces are computed and then replaced by those of
springs, so that all packages see the same thermal motion (peers/worker.py). The processes take turns, and only one
works at a time; a time is the median of the rounds.

TorchANI's counterpart is a BPNN with the same features, widths and activation, and for its 8 nets a Committee.
DeePMD-kit's network (peers/with_deepmd.py) stands beside that BPNN too, whose cutoff of pairs it has. MACE
with 64 scalar channels stands beside an ACENet of the default sizes, 64 channels with vectors.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from peers.packages import PEERS
from peers.rounds import FOLDER, Case, Times, conditions, interleaved, processes, rounded, wide
from rich.table import Table

ATOMS = {"ethanol": 9, "aspirin": 21, "water 192": 192, "water 648": 648}
ASE = ("molnet", "zeros")
# In the order of a round: the package and its model, the model of molnet it is compared with, and what the table says.
MODELS = [
    (*ASE, "", "ASE alone (zero forces)"),
    ("molnet", "SchNet-3", "", "molnet SchNet-3"),
    ("SchNetPack", "SchNet-3", "SchNet-3", "SchNetPack SchNet-3"),
    ("molnet", "SchNet-6", "", "molnet SchNet-6"),
    ("SchNetPack", "SchNet-6", "SchNet-6", "SchNetPack SchNet-6"),
    ("molnet", "PaiNN-3", "", "molnet PaiNN-3"),
    ("SchNetPack", "PaiNN-3", "PaiNN-3", "SchNetPack PaiNN-3"),
    ("molnet", "BPNN-1", "", "molnet BPNN, ANI-2x, one net"),
    ("TorchANI", "ANI-2x-1", "BPNN-1", "TorchANI ANI-2x, one net"),
    ("DeePMD-kit", "se_e2_a", "BPNN-1", "DeePMD-kit se_e2_a"),
    ("molnet", "BPNN-8", "", "molnet Committee of 8 BPNN, ANI-2x"),
    ("TorchANI", "ANI-2x-8", "BPNN-8", "TorchANI ANI-2x, 8 nets"),
    ("molnet", "ACENet-2", "", "molnet ACENet"),
    ("MACE", "64x0e", "ACENet-2", "MACE 64x0e"),
]


def rows(system: str, found: dict[Case, Times]) -> Iterator[list[str]]:
    """What the table says of one system."""
    ase = found[Case(*ASE, system)].median
    for package, model, beside, text in MODELS:
        times = found.get(Case(package, model, system))
        if times is None:
            continue
        ratio = without = ""
        if ours := found.get(Case("molnet", beside, system)):
            ratio = f"{times.median / ours.median:.2f}"
            # What is left of a step that takes as long as ASE's own is noise.
            share = ours.median - ase
            without = (
                f"{(times.median - ase) / share:.2f}" if share > 0.1 * ase else f"> {times.median / ours.median:.0f}"
            )
        yield [system, text, str(times), times.range, ratio, without, rounded(ATOMS[system] / times.median)]


def points(system: str, found: dict[Case, Times]) -> list[dict[str, str | int | float]]:
    """The medians of one system, as plot_speed.py reads them."""
    return [
        {"package": case.package, "model": case.model, "atoms": ATOMS[system], "ms": times.median}
        for case, times in found.items()
    ]


def main(
    peer: Annotated[list[str] | None, typer.Option(help="Only these packages.")] = None,
    system: Annotated[list[str] | None, typer.Option(help="Only these structures.")] = None,
    rounds: Annotated[int, typer.Option(help="Turns of each model.")] = 7,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 0.5,
    folder: Annotated[Path, typer.Option(help="Where the packages are installed.")] = FOLDER,
    save: Annotated[Path | None, typer.Option(help="A file of JSON for the medians, for plot_speed.py.")] = None,
) -> None:
    """Print the table."""
    medians = []
    console = wide()
    table = Table(
        title="A step of dynamics, float32; SchNet-n, PaiNN-n: n interactions, 128 channels, 50 or 20 functions, 5 Å",
        caption=conditions(),
    )
    for column in ("", "", "ms/step", "rounds", "× molnet", "× without ASE", "10³ atoms·steps/s"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    with processes(peer or PEERS, folder, console) as running:
        for name in system or ATOMS:
            console.print(f"{name} …")
            cases = [Case(package, model, name) for package, model, *_ in MODELS]
            found = interleaved(running, cases, rounds, seconds, console)
            medians += points(name, found)
            for row in rows(name, found):
                table.add_row(*row)
            table.add_section()
    console.print(table)
    if save:
        save.write_text(json.dumps(medians, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
