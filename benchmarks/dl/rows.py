"""What a row of the deep-learning core's table is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A recipe: `run(data, folder)` trains on the shared data, draws into the folder, and returns what it reached."""

    name: str
    import_line: str
    data: str
    target: str
    run: Callable[[Path, Path], float | str]
