"""The deep-learning core's table: every recipe, its data, and what it reached."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Annotated

import typer
from dl.rows import Row
from rich.console import Console
from rich.table import Table


def rows() -> list[Row]:
    families = sorted(path.stem for path in (Path(__file__).parent / "dl").glob("*.py"))
    modules = [importlib.import_module(f"dl.{name}") for name in families]
    return [row for module in modules for row in vars(module).get("ROWS", ())]


def main(
    data: Annotated[Path, typer.Argument(help="the folder of shared data")],
    folder: Annotated[Path, typer.Option(help="where figures are drawn")] = Path("runs/dl_core"),
    row: Annotated[list[str] | None, typer.Option(help="only rows whose names contain this")] = None,
) -> None:
    """Train all recipes, or some, and print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    console.width = max(console.width, 180)
    table = Table("row", "import", "data", "to reach", "reached", "seconds")
    for chosen in (r for r in rows() if not row or any(part in r.name for part in row)):
        start = time.perf_counter()
        found = chosen.run(data, folder)
        reached = found if isinstance(found, str) else f"{found:.4g}"
        seconds = f"{time.perf_counter() - start:.0f}"
        console.print(f"{chosen.name}: {reached} ({seconds} s)")
        table.add_row(chosen.name, chosen.import_line, chosen.data, chosen.target, reached, seconds)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
