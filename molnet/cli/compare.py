"""`molnet compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms
from rich.console import Console
from rich.progress import track

from molnet.analysis import Contestant, comparison, errors, write_comparison
from molnet.checkpoint import load
from molnet.cli.reading import read_all
from molnet.potential import Potential, Sum
from molnet.priors import ZBL, AtomEnergies
from molnet.simulate import Calculator, seconds_per_step

POTENTIAL = "potential.safetensors"


def run(models: Sequence[Path], files: Sequence[Path], *, folder: Path, reading: Mapping[str, str | None]) -> None:
    """Print errors and times of all potentials, and write them with their picture."""
    console, frames = Console(), read_all(files, reading)
    found = [
        contestant(name, load(path), frames)
        for name, path in track(named(models).items(), "potentials", console=console, transient=True)
    ]
    console.print(comparison(found))
    console.print(f"picture: {write_comparison(found, folder)}", markup=False, soft_wrap=True)


def named(models: Sequence[Path]) -> dict[str, Path]:
    """Model files by short names, potential.safetensors by that of its folder; by their paths where these are alike."""
    files = [path / POTENTIAL if path.is_dir() else path for path in models]
    short = [path.resolve().parent.name if path.name == POTENTIAL else path.stem for path in files]
    alike = len(set(short)) < len(short)
    return {str(path) if alike else name: path for name, path in zip(short, files, strict=True)}


def contestant(name: str, potential: Potential, frames: Sequence[Atoms]) -> Contestant:
    """Its errors on the frames, and the time of a step of the first."""
    terms = potential.terms if type(potential) is Sum else [potential]
    kind = (
        " + ".join(type(term).__name__ for term in terms if not isinstance(term, AtomEnergies | ZBL)) or "atom energies"
    )
    parameters = sum(parameter.numel() for parameter in potential.parameters())
    seconds = seconds_per_step(frames[0], Calculator(potential))
    return Contestant(name, kind, parameters, errors(potential, frames), 1e6 * seconds / len(frames[0]))
