"""`molnet evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from molnet.analysis import collect, errors, write_report
from molnet.checkpoint import load
from molnet.cli.checking import checking as checking
from molnet.cli.reading import read_all
from molnet.features.ranges import Check


def run(
    model: Path, files: Sequence[Path], *, folder: Path | None, check: Check | None, reading: Mapping[str, str | None]
) -> None:
    """Print the errors; with a folder, write the predictions and a report there too."""
    console, potential, frames = Console(), load(model), read_all(files, reading)
    console.print(errors(potential, frames, check=check))
    if check is not None:
        console.print(str(check), markup=False)
    if folder:
        collect(potential, {"test": frames}, folder)
        console.print(f"report: {write_report(folder)}", markup=False, soft_wrap=True)
