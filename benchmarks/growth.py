"""How the time of a step and the memory grow with the number of atoms: water from 192 to 20,577 atoms.

A step is one of ASE's velocity Verlet with molnet's calculator in float32, compiled, with the list of neighbours built
anew as often as the motion asks for (peers/worker.py). Each size has its own process, whose memory is what it needs
alone. The processes take turns of as many steps for all sizes, enough for several lists, and a time is the median of
the rounds. It is the processor's, which other jobs on the machine disturb less, so set OMP_NUM_THREADS=1.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from peers.rounds import Case, Process, Times, conditions, rounded, wide
from rich.table import Table

SIZES = (192, 648, 1536, 5184, 12288, 20577)
MODELS = {"SchNet-3": "SchNet, 3 interactions, 128 channels, 5 Å", "BPNN-1": "BPNN, ANI-2x, one net"}
SPREAD, GIBIBYTES = 0.2, 4.0


@dataclass(frozen=True)
class Found:
    """What was measured for one size."""

    atoms: int
    times: Times
    gibibytes: float

    @property
    def microseconds(self) -> float:
        """For a step and an atom."""
        return 1e3 * self.times.median / self.atoms


def rows(found: Sequence[Found]) -> Iterator[list[str]]:
    """What the table says of one model."""
    for one in found:
        beside = f"{one.microseconds / found[0].microseconds:.2f}"
        yield [
            *(f"{one.atoms:,}", str(one.times), one.times.range),
            *(rounded(one.microseconds), beside, f"{one.gibibytes:.2f}"),
        ]


def verdict(found: Sequence[Found]) -> str:
    """Whether the targets are met: a longest time for an atom of 1.2 shortest, and 4 GiB."""
    times, memory = [one.microseconds for one in found], max(one.gibibytes for one in found)
    ratio = max(times) / min(times)
    return (
        f"time per atom: largest / smallest {ratio:.2f}, target {1 + SPREAD:.2f}, {met(ratio <= 1 + SPREAD)}; "
        f"memory: {memory:.2f} GiB, target {GIBIBYTES:g}, {met(memory < GIBIBYTES)}"
    )


def met(is_so: bool) -> str:
    return "met" if is_so else "not met"


def measured(model: str, sizes: Sequence[int], rounds: int, steps: int) -> list[Found]:
    """Times and memory of all sizes of one model."""
    with TemporaryDirectory() as logs, ExitStack() as stack:
        python, script = Path(sys.executable), "with_molnet.py"
        running = {size: Process(python, script, Path(logs) / str(size), "process_time") for size in sizes}
        for process in running.values():
            stack.callback(process.end)
        times: dict[int, list[float]] = {size: [] for size in sizes}
        for turn in range(rounds + 1):
            for size, process in running.items():
                # The first turn includes what compilers still do.
                taken = process.milliseconds(Case("molnet", model, f"water {size}"), steps if turn else 1)
                times[size] += [taken] if turn else []
        return [Found(size, Times(times[size]), process.gibibytes) for size, process in running.items()]


def main(
    model: Annotated[list[str] | None, typer.Option(help=f"Only these: {', '.join(MODELS)}.")] = None,
    size: Annotated[list[int] | None, typer.Option(help="Only so many atoms, three times a cube.")] = None,
    rounds: Annotated[int, typer.Option(help="Turns of each size.")] = 3,
    steps: Annotated[int, typer.Option(help="Steps of a turn.")] = 40,
) -> None:
    """Print the table."""
    console = wide()
    table = Table(title="A step of dynamics of water, float32", caption=conditions())
    for column in ("atoms", "ms/step", "rounds", "μs/step/atom", "× first", "GiB"):
        table.add_column(column, justify="right", no_wrap=True)
    verdicts = []
    for name in model or MODELS:
        console.print(f"{name} …")
        found = measured(name, size or SIZES, rounds, steps)
        table.add_row(name)
        for row in rows(found):
            table.add_row(*row)
        table.add_section()
        verdicts += [f"{MODELS[name]}: {verdict(found)}"]
    console.print(table, *verdicts, sep="\n")


if __name__ == "__main__":
    typer.run(main)
