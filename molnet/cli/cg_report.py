"""`molnet cg report`: the replicas of a run folder beside the conformations that their potential was fitted to."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from molnet.analysis.artefacts import Columns
from molnet.analysis.ensembles import Ensemble, compare_ensembles
from molnet.analysis.landscape_report import write_landscape_report
from molnet.analysis.landscapes import Basin
from molnet.analysis.torsions import Torsions
from molnet.data.conformations import Conformations
from molnet.files import FileError
from molnet.simulate import Trajectories

_SAME = 0.5  # K
_NUMBER = r"\s*([-−+]?\d+(?:\.\d+)?)\s*"
_BASIN = re.compile(rf"([^:]+):\s*(?:φ|phi)?{_NUMBER}\.\.{_NUMBER},\s*(?:ψ|psi)?{_NUMBER}\.\.{_NUMBER}")


def run(
    folder: Path,
    beads: Path,
    *,
    torsions: tuple[int | None, int | None],
    basins: Sequence[str],
    bins: int | None,
    lag: float | None,
    reference_frame: float | None,
    discard: float,
) -> None:
    """Write report.html into the folder and print its tables."""
    data, console = Conformations.load(beads), Console()
    found = compare_ensembles(
        data,
        {name: ensemble(path, data, discard=discard) for name, path in runs(folder).items()},
        torsions=Torsions.of(data.molecule, *torsions),
        basins=dict(map(basin, basins)) or None,
        bins=bins,
        lag=lag,
        reference_frame=reference_frame,
    )
    console.print(found)
    for remark in found.remarks():
        console.print(remark, markup=False, soft_wrap=True)
    path = write_landscape_report(found, folder, title=f"{folder.resolve().name}: coarse-grained ensembles")
    console.print(f"report: {path}", markup=False, soft_wrap=True)


def runs(folder: Path) -> dict[str, Path]:
    """The folder itself where replicas wrote it, otherwise all folders in it that they wrote, by their names."""
    inside = sorted(path.parent for path in folder.glob("*/replicas.json"))
    found = [folder] if (folder / "replicas.json").exists() else inside
    if not found:
        raise FileError(f"{folder} holds no replicas, nor does a folder in it; run `molnet cg simulate` first.")
    return {path.resolve().name: path for path in found}


def ensemble(folder: Path, data: Conformations, *, discard: float) -> Ensemble:
    """The replicas at the data's temperature, without the first part of each; where one was stopped, up to there."""
    made = Trajectories.load(folder)
    if made.molecule != data.molecule:
        raise ValueError(f"the replicas in {folder} are of another molecule than the reference; name its beads file.")
    columns = np.flatnonzero(np.abs(made.temperatures - data.temperature) < _SAME)
    if not len(columns):
        kelvins = ", ".join(f"{kelvin:g}" for kelvin in np.unique(made.temperatures))
        raise ValueError(
            f"the replicas in {folder} have {kelvins} K and the reference {data.temperature:g} K; a free energy is one "
            "of its temperature: simulate at the reference's."
        )
    first = round(discard * len(made.positions))
    lengths = (made.numbers[:, columns] >= 0).sum(axis=0)
    kept = [np.asarray(made.positions[first:n, c]) for c, n in zip(columns, lengths, strict=True) if n > first + 1]
    if not kept:
        raise ValueError(f"no replica in {folder} has 2 frames after the first {discard:.0%}; simulate longer.")
    frame = 1e-3 * made.settings["dynamics"]["timestep"] * made.settings["every"]
    settings = {name: value for name, value in made.settings.items() if name not in ("molecule", "temperatures")}
    return Ensemble(kept, frame, _log(folder / "replicas.csv", data.temperature), settings)


def basin(text: str) -> tuple[str, Basin]:
    """A name and a rectangle from `NAME: φ from..to, ψ from..to`, in degrees."""
    if not (found := _BASIN.fullmatch(text.strip())):
        raise ValueError(f"--basin {text!r} isn't of the form 'NAME: φ from..to, ψ from..to', in degrees.")
    name, *degrees = found.groups()
    a, b, c, d = (float(value.replace("−", "-")) for value in degrees)
    return name.strip(), Basin((a, b), (c, d))


def _log(path: Path, temperature: float) -> Columns:
    """The log's times, and its energies and kinetic temperatures nearest to a temperature."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {"time_ps": np.array([float(row["time_ps"]) for row in rows])}
    for name in ("potential_eV", "kinetic_K"):
        kelvins = [key for key in (rows[0] if rows else {}) if key.startswith(f"{name}_")]
        near = min(kelvins, key=lambda key: abs(float(key.removeprefix(f"{name}_")[:-1]) - temperature), default="")
        if near:
            columns[name] = np.array([float(row[near] or "nan") for row in rows])
    return columns
