"""What replicas leave in a folder: arrays that grow while they run, and trajectories that viewers open.

The arrays' axes are frames and columns. Without exchange, column c is replica c; with it, each column has one
temperature throughout, ladder after ladder, each from low to high. Where a replica was stopped, positions and energies
are NaN and its number is -1.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy import ndarray

from molnet.data.molecule import Molecule
from molnet.files import FileError, atomic_write
from molnet.simulate.state import State

POSITIONS, ENERGIES, NUMBERS = "positions.npy", "energies.npy", "replicas.npy"
LOG, SETTINGS, CHECKPOINT, TOPOLOGY = "replicas.csv", "replicas.json", "replicas.checkpoint.npz", "topology.pdb"
_ANGSTROM_PER_NM = 10.0


@dataclass(frozen=True)
class Output:
    """Where replicas are written, every how many steps, and the format of the trajectories, one that mdtraj writes.

    dcd keeps single precision, xtc hundredths of an Å, and h5 needs PyTables.
    """

    folder: str | Path
    every: int = 100
    format: str = "dcd"

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"frames are written every {self.every} steps; expected 1 or more.")
        if self.format not in ("dcd", "xtc", "h5"):
            raise ValueError(f"trajectories are written as dcd, xtc or h5; {self.format!r} was given.")
        if self.format == "h5" and importlib.util.find_spec("tables") is None:
            raise ValueError("h5 trajectories need PyTables, which isn't installed: pip install tables, or use dcd.")

    @property
    def path(self) -> Path:
        return Path(self.folder)


class GrowingArray:
    """A .npy file that gets row after row and can be read at any time; it begins with the first `rows` it holds."""

    def __init__(self, path: Path, row: tuple[int, ...], dtype: Any, *, rows: int) -> None:
        self._row, self._dtype, self._rows = row, np.dtype(dtype), rows
        self._file = open(path, "r+b" if rows else "w+b")  # noqa: SIM115 - closed by `close`
        self._head()
        self._file.truncate(self._file.tell() + rows * self._dtype.itemsize * int(np.prod(row)))

    def append(self, row: ndarray) -> None:
        self._file.seek(0, io.SEEK_END)
        self._file.write(np.ascontiguousarray(row, dtype=self._dtype).tobytes())
        self._rows += 1
        self._head()
        self._file.flush()

    def _head(self) -> None:
        # NumPy leaves room in it for the number of rows to grow.
        self._file.seek(0)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._rows, *self._row)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def close(self) -> None:
        self._file.close()


class Record:
    """The arrays and the log of a run, which go on after the first `frames` frames of what there is."""

    def __init__(self, folder: Path, molecule: Molecule, columns: int, *, frames: int) -> None:
        self._columns = columns
        self._positions = GrowingArray(folder / POSITIONS, (columns, len(molecule), 3), np.float32, rows=frames)
        self._energies = GrowingArray(folder / ENERGIES, (columns,), np.float64, rows=frames)
        self._numbers = GrowingArray(folder / NUMBERS, (columns,), np.int32, rows=frames)
        lines = (folder / LOG).read_text().splitlines(keepends=True)[: frames + 1] if frames else []
        atomic_write(folder / LOG, "".join(lines).encode())
        self._log = open(folder / LOG, "a", newline="")  # noqa: SIM115 - closed by `close`
        self._headed = frames > 0

    def add(self, state: State, columns: Int64[ndarray, " replicas"], line: Mapping[str, Any]) -> None:
        """A frame of every replica, and a line in the log."""
        self._positions.append(self._placed(state.positions, columns, np.nan))
        self._energies.append(self._placed(state.energies, columns, np.nan))
        self._numbers.append(self._placed(state.numbers, columns, -1))
        writer = csv.DictWriter(self._log, line, lineterminator="\n")
        if not self._headed:
            writer.writeheader()
            self._headed = True
        writer.writerow(line)
        self._log.flush()

    def close(self) -> None:
        for file in (self._positions, self._energies, self._numbers, self._log):
            file.close()

    def _placed(self, values: ndarray, columns: ndarray, empty: float) -> ndarray:
        made = np.full((self._columns, *values.shape[1:]), empty, dtype=values.dtype)
        made[columns] = values
        return made


@dataclass(frozen=True, eq=False)
class Trajectories:
    """A run as its folder has it: positions (Å), energies (eV) and numbers of replicas, read where they are used.

    `temperatures` (K) are those of the columns.
    """

    molecule: Molecule
    positions: Float32[ndarray, "frames columns beads 3"]
    energies: Float64[ndarray, "frames columns"]
    numbers: Int32[ndarray, "frames columns"]
    temperatures: Float64[ndarray, " columns"]
    settings: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path) -> Trajectories:
        """Read what `run_replicas` has written so far; FileError where the folder holds none."""
        folder = Path(folder)
        settings = read_settings(folder)
        paths = [folder / name for name in (POSITIONS, ENERGIES, NUMBERS)]
        positions, energies, numbers = (np.load(path, mmap_mode="r") for path in paths)
        molecule, kelvins = Molecule.from_json(settings["molecule"]), np.array(settings["temperatures"])
        return cls(molecule, positions, energies, numbers, kelvins, settings)

    @property
    def picoseconds(self) -> Float64[ndarray, " frames"]:
        """The times of the frames."""
        return 1e-3 * self.settings["dynamics"]["timestep"] * self.settings["every"] * np.arange(len(self.positions))

    def mdtraj(self, column: int) -> mdtraj.Trajectory:
        """One column, to where it was stopped."""
        frames = int((self.numbers[:, column] >= 0).sum())
        nanometers = np.asarray(self.positions[:frames, column]) / np.float32(_ANGSTROM_PER_NM)
        return mdtraj.Trajectory(nanometers, self.molecule.topology(), time=self.picoseconds[:frames])

    def export(self, folder: Path, extension: str) -> None:
        """A trajectory file for each column that has frames, and topology.pdb for viewers to go with them."""
        digits = len(str(self.positions.shape[1] - 1))
        columns = np.flatnonzero((self.numbers[:1] >= 0).any(axis=0)).tolist()
        for column in columns:
            made = self.mdtraj(column)
            made.save(folder / f"trajectory-{column:0{digits}d}.{extension}")
            if column == columns[0]:
                made[0].save_pdb(folder / TOPOLOGY)


def read_settings(folder: Path) -> dict[str, Any]:
    """What replicas.json says; FileError where there is none."""
    if not (folder / SETTINGS).exists():
        raise FileError(f"{folder} holds no replicas: there is no {SETTINGS} in it.")
    held: dict[str, Any] = json.loads((folder / SETTINGS).read_text())
    return held


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Replace replicas.json."""
    atomic_write(folder / SETTINGS, (json.dumps(settings, indent=1, ensure_ascii=False) + "\n").encode())


_ARRAYS = ("positions", "velocities", "forces", "energies", "temperatures", "numbers")


def save_state(path: Path, state: State, about: Mapping[str, Any]) -> None:
    """The arrays of a state, and the rest as JSON."""
    buffer = io.BytesIO()
    held = dict(about) | {"seed": state.seed, "step": state.step, "molecule": state.molecule.to_json()}
    np.savez(buffer, about=np.array(json.dumps(held)), **{name: getattr(state, name) for name in _ARRAYS})
    atomic_write(path, buffer.getvalue())


def load_state(path: Path) -> tuple[State, dict[str, Any]]:
    """What `save_state` wrote."""
    if not path.exists():
        raise FileError(f"there is no {path} to go on from; start without resume, in a new folder.")
    with np.load(path) as stored:
        about = json.loads(str(stored["about"]))
        arrays = {name: stored[name] for name in _ARRAYS}
    molecule = Molecule.from_json(about["molecule"])
    return State(molecule=molecule, seed=about["seed"], step=about["step"], **arrays), about
