"""`molnet import` and `molnet export`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from molnet.checkpoint import load, save
from molnet.foreign import read_n2p2, write_n2p2
from molnet.potential import names


def import_n2p2(folder: Path, model: Path, *, length_unit: str, energy_unit: str) -> None:
    """Say what was read, and write the model file."""
    potential = read_n2p2(folder, length_unit=length_unit, energy_unit=energy_unit)
    said = f"a network of {names(potential.species)} with a cutoff of {potential.cutoff:.4g} Å"
    Console().print(f"{said}: {save(potential, model)}", markup=False, soft_wrap=True)


def export_n2p2(model: Path, folder: Path, *, length_unit: str, energy_unit: str) -> None:
    """Write the files of a model."""
    written = write_n2p2(load(model), folder, length_unit=length_unit, energy_unit=energy_unit)
    Console().print(f"written: {written}/input.nn, scaling.data and weights", markup=False, soft_wrap=True)
