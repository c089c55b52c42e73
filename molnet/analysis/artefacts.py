"""What a run leaves in its folder, read back: tables, JSON and plain arrays, as many of them as there are."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from molnet.analysis.dimers import Dimers
from molnet.analysis.errors import Predictions
from molnet.files import FileError, atomic_write

Columns = dict[str, Float[ndarray, " rows"]]


@dataclass(frozen=True, eq=False)
class Dynamics:
    """A molecular dynamics run below the folder: its table by columns and what its JSON says."""

    name: str
    columns: Columns
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Run:
    """A run's artefacts; empty where a file is missing."""

    folder: Path
    config: dict[str, Any]
    split: dict[str, Any]
    errors: dict[str, Any]
    baseline: dict[str, Any]
    log: Columns
    predictions: dict[str, Predictions]
    dimers: list[Dimers]
    dynamics: list[Dynamics]


def read_run(folder: str | Path) -> Run:
    """Read a run folder; FileError where it holds nothing to report, or something that can't be read."""
    folder = Path(folder)
    run = Run(
        folder=folder.resolve(),
        config=_json(folder / "config.json"),
        split=_json(folder / "split.json"),
        errors=_json(folder / "errors.json"),
        baseline=_json(folder / "baseline.json"),
        log=_table(folder / "log.csv"),
        predictions=_predictions(folder / "predictions.npz"),
        dimers=[Dimers(**arrays)] if (arrays := _arrays(folder / "dimers.npz")) else [],
        dynamics=[
            Dynamics(table.parent.name, _table(table), _json(table.with_suffix(".json")))
            for table in sorted(folder.glob("*/md.csv"))
        ],
    )
    if not any((run.config, run.errors, run.log, run.predictions, run.dimers, run.dynamics)):
        raise FileError(
            f"{folder} holds nothing to report; expected a run's config.json, log.csv, errors.json, "
            "predictions.npz or a folder with md.csv. Name the folder that a run wrote."
        )
    return run


def write_predictions(path: Path, parts: Mapping[str, Predictions]) -> None:
    """The arrays of all parts under names such as `test/forces_label`."""
    arrays = {f"{part}/{f.name}": getattr(p, f.name) for part, p in parts.items() for f in fields(p)}
    _write_arrays(path, arrays)


def write_dimers(path: Path, scan: Dimers) -> None:
    _write_arrays(path, {f.name: getattr(scan, f.name) for f in fields(scan)})


def _write_arrays(path: Path, arrays: Mapping[str, ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    atomic_write(path, buffer.getvalue())


def _predictions(path: Path) -> dict[str, Predictions]:
    arrays = _arrays(path)
    parts = dict.fromkeys(name.partition("/")[0] for name in arrays)
    names = [f.name for f in fields(Predictions)]
    return {part: Predictions(**{name: arrays[f"{part}/{name}"] for name in names}) for part in parts}


def _arrays(path: Path) -> dict[str, ndarray]:
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, BadZipFile) as error:
        raise FileError(f"{path} isn't a file of plain arrays: {error}. Evaluate the potential again.") from error


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FileError(f"{path} is not JSON: {error}. Move it away to report on the rest.") from error


def _table(path: Path) -> Columns:
    """A CSV file by columns, NaN for empty cells."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows or [{}])[0]}
    except (ValueError, TypeError) as error:
        raise FileError(f"{path} is not a table of numbers: {error}.") from error
