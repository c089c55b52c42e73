"""How far a potential's energies, forces and stresses are from their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int
from numpy import ndarray
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from molnet.data.dataset import Dataset
from molnet.data.labels import LabelError
from molnet.evaluation import evaluate
from molnet.features.ranges import Check
from molnet.graph import Properties, batch
from molnet.potential import Potential, names

MILLI: Final[float] = 1e3
"""How many meV an eV is; errors are given in meV, everything else in eV."""


class Quantity(NamedTuple):
    """What is compared: its name in a table, its unit, and what one number of it is."""

    title: str
    unit: str
    definition: str


QUANTITIES: Final[dict[str, Quantity]] = {
    "energy": Quantity("energy per atom", "meV/atom", "one number per frame: (E − E_label)/N with N atoms"),
    "forces": Quantity("force per component", "meV/Å", "one number per Cartesian component of every atom"),
    "stress": Quantity("stress per component", "meV/Å³", "one number per component of σ, nine per frame"),
}
COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "mae": ("MAE", "the mean absolute error"),
    "rmse": ("RMSE", "the root mean square error"),
    "largest": ("largest", "the largest absolute error"),
    "spread": (
        "spread",
        "the standard deviation of the labels, which is the RMSE of always answering their mean",
    ),
    "number": ("number", "how many numbers were compared"),
}
"""The metrics: their titles in a table and what they are."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a potential says of some frames and, as `…_label`, what their labels say, NaN where there is none.

    Energies are in eV, forces in eV/Å and stresses in eV/Å³. `frame_index` tells the atoms' frames apart;
    `source` and `frame` are the file that a frame came from and its place there, as its reader noted them.
    """

    species: Int[ndarray, " atoms"]
    frame_index: Int[ndarray, " atoms"]
    source: ndarray
    frame: Int[ndarray, " frames"]
    energy: Float[ndarray, " frames"]
    energy_label: Float[ndarray, " frames"]
    forces: Float[ndarray, "atoms 3"]
    forces_label: Float[ndarray, "atoms 3"]
    stress: Float[ndarray, "frames 3 3"]
    stress_label: Float[ndarray, "frames 3 3"]

    @property
    def n_atoms(self) -> Int[ndarray, " frames"]:
        return np.bincount(self.frame_index, minlength=len(self.frame))


@dataclass(frozen=True)
class Metrics:
    """The errors of one quantity, in `unit`; NaN where `number` is zero."""

    mae: float
    rmse: float
    largest: float
    spread: float
    number: int
    unit: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; null for what isn't a finite number."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


@dataclass(frozen=True, repr=False)
class Errors:
    """The errors of a potential on some frames; `print` shows them as a table with their definitions."""

    frames: int
    atoms: int
    energy: Metrics
    forces: Metrics
    stress: Metrics
    by_element: dict[str, Metrics] = field(default_factory=dict)
    """Force errors by chemical symbol."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, with what they mean; without the quantities that have no labels."""
        compared = {
            name: {**metrics.as_dict(), "definition": QUANTITIES[name].definition}
            for name, metrics in self._compared().items()
        }
        elements = {symbol: metrics.as_dict() for symbol, metrics in self.by_element.items()}
        return {"frames": self.frames, "atoms": self.atoms, **compared, "by_element": elements}

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("", "unit"):
            table.add_column(title, no_wrap=True)
        for title, _ in COLUMNS.values():
            table.add_column(title, justify="right", no_wrap=True)
        for name, metrics in self._compared().items():
            values = [shown(getattr(metrics, column)) for column in COLUMNS]
            table.add_row(QUANTITIES[name].title, metrics.unit, *values)
        return Group(table, Text(self._notes()))

    def __str__(self) -> str:
        console = Console()
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip("\n")

    __repr__ = __str__

    def _compared(self) -> dict[str, Metrics]:
        return {name: metrics for name in QUANTITIES if (metrics := getattr(self, name)).number}

    def _notes(self) -> str:
        elements = ", ".join(f"{symbol} {shown(m.mae)}" for symbol, m in self.by_element.items())
        lines = [f"force MAE by element: {elements} meV/Å"] if elements else []
        lines += ["", f"{self.frames:,} frames, {self.atoms:,} atoms."]
        lines += [f"{QUANTITIES[name].title}: {QUANTITIES[name].definition}." for name in self._compared()]
        return "\n".join([*lines, *(f"{title}: {meaning}." for title, meaning in COLUMNS.values())])


class Outlier(NamedTuple):
    """A frame with large errors, in meV/atom and, of its worst force, meV/Å; NaN without a label."""

    source: str
    frame: int
    energy_error: float
    force_error: float
    atom: int
    element: str

    @property
    def rank(self) -> tuple[float, float]:
        """What outliers are sorted by: the force error, then the energy error; −1 without a label."""
        force, energy = self.force_error, abs(self.energy_error)
        return (-1.0 if math.isnan(force) else force, -1.0 if math.isnan(energy) else energy)


def errors(potential: Potential, frames: Sequence[Atoms], *, edges: int = 20_000, check: Check | None = None) -> Errors:
    """The errors of a potential on labelled frames, evaluated in batches of at most that many edges.

    Raises LabelError where no frame has any label, and as `predict` does.
    """
    return compare(predict(potential, frames, edges=edges, check=check))


def predict(
    potential: Potential, frames: Sequence[Atoms], *, edges: int = 20_000, check: Check | None = None
) -> Predictions:
    """Energies, forces and stresses of frames beside their labels, in batches of at most that many edges.

    `check` (`Warn`, `Stop` of `molnet.features`) looks for extrapolation. A stress label counts only where the frame
    is periodic in three directions. Raises `UnknownSpecies` for species that the potential wasn't made for, and
    ValueError as `Dataset` does.
    """
    data = Dataset(frames, potential.cutoff)
    found, targets = [], []
    for part in data.batches(edges).epoch(0):
        if check is not None:
            check(potential, part.graph, part.names)
        found.append(evaluate(potential, part.graph).to(torch.device("cpu")).to(torch.float64))
        targets.append(part.target)
    answer, target = batch(found), batch(targets)
    periodic = np.array([[[bool(graph.volume > 0)]] for graph in data.graphs])
    return Predictions(
        species=np.concatenate([atoms.numbers for atoms in frames]).astype(np.int64),
        frame_index=np.repeat(np.arange(len(frames)), [len(atoms) for atoms in frames]),
        source=np.array([str(atoms.info.get("source", "")) for atoms in frames], dtype=np.str_),
        frame=np.array([int(atoms.info.get("frame", i)) for i, atoms in enumerate(frames)]),
        **_arrays(answer, ""),
        **_arrays(target, "_label") | {"stress_label": np.where(periodic, target.stress.numpy(), np.nan)},
    )


def compare(predictions: Predictions) -> Errors:
    """The errors of predictions; LabelError where there is no label to compare with."""
    found = {name: metrics(*compared(predictions, name), unit=q.unit) for name, q in QUANTITIES.items()}
    if not any(m.number for m in found.values()):
        raise LabelError(
            f"none of the {len(predictions.frame)} frames has an energy, forces or a stress; there is "
            "nothing to compare with. Give energy_key=... or forces_key=... when reading."
        )
    return Errors(len(predictions.frame), len(predictions.species), **found, by_element=_elements(predictions))


def compared(predictions: Predictions, quantity: str) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """The predictions of a quantity that have a label, and their labels, in the unit of its errors."""
    answer = MILLI * getattr(predictions, quantity)
    label = MILLI * getattr(predictions, f"{quantity}_label")
    if quantity == "energy":
        answer, label = answer / predictions.n_atoms, label / predictions.n_atoms
    known = np.isfinite(label)
    return answer[known], label[known]


def metrics(answer: Float[ndarray, " n"], label: Float[ndarray, " n"], *, unit: str) -> Metrics:
    """The metrics of numbers against their labels."""
    if not len(label):
        return Metrics(math.nan, math.nan, math.nan, math.nan, 0, unit)
    error = np.abs(answer - label)
    rmse = np.sqrt(np.mean(error**2))
    return Metrics(float(error.mean()), float(rmse), float(error.max()), float(label.std()), len(label), unit)


def outliers(predictions: Predictions, number: int = 10) -> list[Outlier]:
    """The frames with the largest force error |F_i − F_i,label| of an atom, then those without force labels.

    The latter are ranked by their energy error per atom. Predictions that aren't finite count as infinite errors.
    """
    p, n_atoms = predictions, predictions.n_atoms
    energy = MILLI * _error(p.energy, p.energy_label) / n_atoms
    force = MILLI * np.linalg.norm(_error(p.forces, p.forces_label), axis=1)
    starts = np.cumsum(n_atoms) - n_atoms
    found = []
    for i, (start, n) in enumerate(zip(starts, n_atoms, strict=True)):
        worst = start + int(np.nan_to_num(force[start : start + n], nan=-1.0, posinf=np.inf).argmax())
        place = str(p.source[i]), int(p.frame[i])
        element = names([int(p.species[worst])])
        found.append(Outlier(*place, float(energy[i]), float(force[worst]), int(worst - start), element))
    found.sort(key=lambda outlier: outlier.rank, reverse=True)
    return [outlier for outlier in found[:number] if max(outlier.rank) >= 0]


def shown(value: float | int | None) -> str:
    """A number with three significant digits, with an exponent only where that is needed; – for None."""
    if value is None or not math.isfinite(value):
        return "–" if value is None else str(value)
    size = abs(value)
    if isinstance(value, int) or size == 0 or 100 <= size < 1e6:
        text = f"{value:,.0f}"
    elif 0.01 <= size < 100:
        text = f"{value:.{2 - math.floor(math.log10(size))}f}"
    else:
        text = f"{value:.2e}"
    return text.replace("-", "−")


def _error(answer: Float[ndarray, "*shape"], label: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    """The difference; infinite where the prediction isn't a finite number, NaN without a label."""
    return np.where(np.isfinite(label), np.where(np.isfinite(answer), answer - label, np.inf), np.nan)


def _elements(predictions: Predictions) -> dict[str, Metrics]:
    found = {}
    for z in np.unique(predictions.species).tolist():
        mine = predictions.species == z
        answer, label = MILLI * predictions.forces[mine], MILLI * predictions.forces_label[mine]
        known = np.isfinite(label)
        if known.any():
            found[names([z])] = metrics(answer[known], label[known], unit=QUANTITIES["forces"].unit)
    return found


def _arrays(properties: Properties, suffix: str) -> dict[str, ndarray]:
    return {f"{name}{suffix}": getattr(properties, name).numpy() for name in QUANTITIES}
