"""Several files as one list of structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms

from molnet.data.read import read


def read_all(files: Sequence[str | Path], options: Mapping[str, str | None]) -> list[Atoms]:
    """The structures of all files, with the options of `read` that are given."""
    given = {name: value for name, value in options.items() if value is not None}
    return [atoms for file in files for atoms in read(file, **given)]
