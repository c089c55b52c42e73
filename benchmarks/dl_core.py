"""The deep-learning core's table: every recipe, its data, and what it reached.

Each row is kept as a JSON file as soon as it ends, so that rows can be trained one at a time; those that are there are
not trained again. The table is made of all that are there.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from dl.rows import Row
from peers.rounds import conditions
from rich.console import Console
from rich.table import Table

FAMILIES = (
    *("linear", "mlp", "optimizers", "search", "vision", "games", "adversarial", "recurrent", "sequence_cnn"),
    *("memory", "reservoir", "pixels", "attention", "sets", "graph_networks", "graph_attention", "simulator"),
    *("unsupervised", "boltzmann", "variational", "flows", "gan", "smiles", "boltzmann_generators", "reinforcement"),
    "autodiff",
)
"""The files of `dl/` that have rows, in the order of the table."""
COLUMNS = ("row", "import", "data", "to reach", "reached", "seconds")

Result = dict[str, Any]


def all_rows() -> tuple[list[Row], list[str]]:
    """The rows of all families, and a sentence on each family that can't be imported."""
    found, missing = [], []
    for name in FAMILIES:
        try:
            found += import_module(f"dl.{name}").ROWS
        except ImportError as error:
            missing.append(f"The rows of dl/{name}.py are left out: {error}.")
    return found, missing


def chosen(rows: list[Row], parts: Sequence[str]) -> list[Row]:
    """Rows whose names contain a part, in the order of the parts, or all. Raises BadParameter where none does."""
    kept: list[Row] = []
    for part in parts or [""]:
        found = [row for row in rows if part in row.name]
        if not found:
            names = "; ".join(row.name for row in rows)
            raise typer.BadParameter(f"no row's name contains {part!r}. There are: {names}.")
        kept += [row for row in found if row not in kept]
    return kept


def file_of(row: Row, folder: Path) -> Path:
    """Where a row is kept."""
    return folder / f"{re.sub('[^a-z0-9]+', '-', row.name.lower()).strip('-')}.json"


def trained(row: Row, data: Path, folder: Path) -> Result:
    """Trains a recipe: what it reached, its time and processor time, versions and conditions."""
    before, wall, cpu = conditions(), time.perf_counter(), time.process_time()
    # With the handler of Python, Ctrl-C would only end a training early, and the row would be kept.
    former = signal.signal(signal.SIGINT, _interrupt)
    try:
        reached = row.run(data, folder)
    finally:
        signal.signal(signal.SIGINT, former)
    return {
        "row": row.name,
        "reached": reached if isinstance(reached, str) else f"{reached:.4g}",
        "seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "version": ", ".join(f"{package} {version(package)}" for package in ("molnet", "torch")),
        "conditions": before,
    }


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def cells(row: Row, folder: Path) -> list[str]:
    """What the table says of a row; only its first four cells where it wasn't trained."""
    told = [row.name, row.import_line, row.data, row.target]
    if (path := file_of(row, folder)).exists():
        result = json.loads(path.read_text())
        told += [result["reached"], f"{result['cpu_seconds']:.0f}"]
    return told


def renewed(page: str, rows: list[Row], folder: Path) -> str:
    """A page with its table written anew, in which rows that the folder doesn't have keep what the page says of them.

    Raises ValueError for a page without the table.
    """
    start = page.find(f"| {' | '.join(COLUMNS)} |\n")
    if start < 0:
        raise ValueError(f"the page has no table to write anew: a line '| {' | '.join(COLUMNS)} |' was expected.")
    table = re.match(r"(\|.*\n)+", page[start:])
    assert table
    former = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.group().splitlines())
    kept = {name: found for name, _, _, _, *found in former}
    lines = [list(COLUMNS), ["---"] * len(COLUMNS)]
    for row in rows:
        name, line, *others = (cell.replace("|", r"\|") for cell in cells(row, folder))
        lines.append([name, f"`{line}`", *others, *([] if len(others) > 2 else kept.get(name, ["not measured", ""]))])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return page[:start] + text + page[start + table.end() :]


def main(
    data: Annotated[Path, typer.Argument(help="The folder of shared data.")],
    folder: Annotated[Path, typer.Option(help="Where rows are kept and figures drawn.")] = Path("runs/dl_core"),
    row: Annotated[
        list[str] | None, typer.Option(help="Only rows whose names contain this, in this order; repeat.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="A page whose table is written anew.", exists=True)] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Train nothing.")] = False,
) -> None:
    """Train what isn't there yet, and print the table."""
    rows, missing = all_rows()
    if markdown and missing:
        raise typer.BadParameter(f"the table of {markdown} needs all rows. {' '.join(missing)}")
    if markdown:
        renewed(markdown.read_text(), rows, folder)  # A page without the table is refused before anything is trained.
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=max(180, Console().width), highlight=False, markup=False)
    left = [] if only_print else [r for r in chosen(rows, row or ()) if not file_of(r, folder).exists()]
    for sentence in missing:
        console.print(sentence)
    for number, one in enumerate(left, start=1):
        console.print(f"{number} of {len(left)}: {one.name} …")
        try:
            result = trained(one, data, folder)
        except Exception as error:
            console.print(f"{one.name} is left out: {type(error).__name__}: {str(error).split(chr(10))[0]}")
            continue
        file_of(one, folder).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        console.print(f"{one.name}: {result['reached']} ({result['seconds']:.0f} s)")
    whole = Table(*COLUMNS)
    for told in (cells(one, folder) for one in rows):
        if len(told) == len(COLUMNS):
            whole.add_row(*told)
    console.print(whole)
    if markdown:
        markdown.write_text(renewed(markdown.read_text(), rows, folder))


if __name__ == "__main__":
    typer.run(main)
