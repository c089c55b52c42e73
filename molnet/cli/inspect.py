"""`molnet inspect`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from molnet.cli.reading import read_all
from molnet.data.inspect import inspect


def run(files: Sequence[Path], *, cutoff: float, reading: Mapping[str, str | None]) -> None:
    """Print the table and the suspicions."""
    Console().print(inspect(read_all(files, reading), cutoff=cutoff))
