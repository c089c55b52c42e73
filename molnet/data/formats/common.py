"""What a format's reader is asked for and what it returns: structures and labels in the file's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray


class ReadError(ValueError):
    """A file that can't be read as it stands; the message names the file, the place in it and what to do."""


@dataclass(frozen=True)
class Request:
    """The arguments of `read`."""

    path: Path
    energy_key: str | None = None
    forces_key: str | None = None
    energy_unit: str | None = None
    length_unit: str | None = None
    force_unit: str | None = None
    topology: Path | None = None
    forces: Path | None = None

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, not counting a compression's."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        return next((suffix for suffix in reversed(suffixes) if suffix not in (".gz", ".bz2", ".xz")), "")


class Frame(NamedTuple):
    """A structure and its labels, None where the file has none, in the file's units; the stress as ASE's."""

    atoms: Atoms
    energy: float | None = None
    forces: Float[ndarray, "atoms 3"] | None = None
    stress: Float[ndarray, "3 3"] | None = None


class Contents(NamedTuple):
    """What a file holds and which units it states, None where it states none.

    Without a unit of force, forces are in energy_unit/length_unit if `composed`, and else the user states it.
    """

    frames: list[Frame]
    energy_unit: str | None = None
    length_unit: str | None = None
    force_unit: str | None = None
    composed: bool = True


def first_key(
    request: Request, held: Mapping[str, Any], names: Sequence[str], *, chosen: str | None = None
) -> str | None:
    """The key to read: the chosen one, which has to be there, else the first of `names` that is."""
    if chosen is None:
        return next((name for name in names if name in held), None)
    if chosen not in held:
        raise ReadError(f"{request.name} has no {chosen!r}; found {', '.join(held) or 'nothing'}.")
    return chosen


def expect_shape(request: Request, name: str, array: ndarray, shape: tuple[int, ...]) -> ndarray:
    """The array as float64; ReadError where it has another shape."""
    if array.shape != shape:
        raise ReadError(f"{name!r} of {request.name} has the shape {array.shape}; expected {shape}.")
    return np.asarray(array, dtype=np.float64)
