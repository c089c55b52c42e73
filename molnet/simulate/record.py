"""What a simulation leaves in its folder: trajectory, log, settings, and a checkpoint to go on from."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.io.trajectory import Trajectory
from jaxtyping import Float
from numpy import ndarray

from molnet.files import FileError, atomic_write

TRAJECTORY, LOG, SETTINGS, CHECKPOINT = "md.traj", "md.csv", "md.json", "md.checkpoint.npz"


class Slope:
    """The least-squares slope of points that come one by one: Σ(x − x̄)(y − ȳ)/Σ(x − x̄)²."""

    def __init__(self) -> None:
        self._n, self._x, self._y, self._xx, self._xy = 0, 0.0, 0.0, 0.0, 0.0

    def add(self, x: float, y: float) -> None:
        self._n += 1
        dx = x - self._x
        self._x += dx / self._n
        self._y += (y - self._y) / self._n
        self._xx += dx * (x - self._x)
        self._xy += dx * (y - self._y)

    @property
    def value(self) -> float:
        """Zero before the second point."""
        return self._xy / self._xx if self._xx else 0.0


class Checkpoint(NamedTuple):
    """A run after a step; `list_positions` and `list_cell` are where the neighbour list was built."""

    positions: Float[ndarray, "atoms 3"]
    momenta: Float[ndarray, "atoms 3"]
    cell: Float[ndarray, "3 3"]
    list_positions: Float[ndarray, "atoms 3"]
    list_cell: Float[ndarray, "3 3"]
    state: dict[str, Any]

    def save(self, folder: Path) -> None:
        arrays = self._asdict() | {"state": np.array(json.dumps(self.state))}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        atomic_write(folder / CHECKPOINT, buffer.getvalue())

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        if not (folder / CHECKPOINT).exists():
            raise FileError(f"{folder} has no {CHECKPOINT} to go on from; start without resume, in a new folder.")
        with np.load(folder / CHECKPOINT) as stored:
            arrays = {name: stored[name] for name in cls._fields}
        return cls(**arrays | {"state": json.loads(str(arrays["state"]))})


class Record:
    """The trajectory and the log of a run, which go on after the first `frames` frames of what there is."""

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder = folder
        _cut_log(folder / LOG, frames)
        _cut_trajectory(folder / TRAJECTORY, frames)
        self._trajectory = Trajectory(folder / TRAJECTORY, "a")
        self._log = open(folder / LOG, "a", newline="")  # noqa: SIM115 - closed by `close`
        self._writer = csv.writer(self._log, lineterminator="\n")
        self._headed = frames > 0

    def add(self, atoms: Atoms, numbers: Mapping[str, int | float]) -> None:
        """A frame and its line in the log; both are on their way to the disk when this returns."""
        if not self._headed:
            self._writer.writerow(numbers)
            self._headed = True
        self._writer.writerow(numbers.values())
        self._log.flush()
        self._trajectory.write(atoms)

    def close(self) -> None:
        self._log.close()
        self._trajectory.close()


class Summary(NamedTuple):
    """What md.json says, and the columns of md.csv."""

    settings: dict[str, Any]
    log: dict[str, Float[ndarray, " frames"]]


def summary(folder: str | Path) -> Summary:
    """Read back the settings and the log of a run; FileError where the folder holds none."""
    folder = Path(folder)
    if not (folder / SETTINGS).exists():
        raise FileError(f"{folder} holds no simulation: there is no {SETTINGS} in it.")
    return Summary(json.loads((folder / SETTINGS).read_text()), _columns(folder / LOG))


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Replace md.json."""
    atomic_write(folder / SETTINGS, (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())


def _columns(path: Path) -> dict[str, Float[ndarray, " frames"]]:
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        names, *rows = list(csv.reader(file)) or [[]]
    return {name: np.array([float(row[place]) for row in rows]) for place, name in enumerate(names)}


def _cut_log(path: Path, frames: int) -> None:
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    atomic_write(path, "".join(lines[: frames + 1] if frames else []).encode())


def _cut_trajectory(path: Path, frames: int) -> None:
    """Frames after the checkpoint would come twice. A trajectory can't be shortened: it is written again."""
    if not frames or not path.exists():
        path.unlink(missing_ok=True)
        return
    with Trajectory(path) as stored:
        if len(stored) <= frames:
            return
        shorter = path.with_suffix(".tmp")
        with Trajectory(shorter, "w") as kept:
            for index in range(frames):
                kept.write(stored[index])
    os.replace(shorter, path)
