"""Several potentials on the same frames: what each costs, and how wrong it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from molnet.analysis.errors import COLUMNS, QUANTITIES, Errors, shown
from molnet.analysis.figures import DOTS_PER_INCH, FAINT, INK, SERIES, STYLE
from molnet.analysis.page import Cell, definitions, figure, heading, number, page, paragraph, table
from molnet.files import atomic_write

MARK = "◆"
_NOTE = (
    f"{MARK}: no other potential here is both faster and, in the RMSE of its forces, more accurate. Times are those of "
    "a step of dynamics through ASE, divided by the number of atoms, on the machine that made this page."
)


@dataclass(frozen=True)
class Contestant:
    """A potential's kind, parameters and errors, and the time of a step of dynamics in µs per atom."""

    name: str
    kind: str
    parameters: int
    errors: Errors
    microseconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        about = {"name": self.name, "kind": self.kind, "parameters": self.parameters}
        return about | {"microseconds_per_atom": self.microseconds, "errors": self.errors.as_dict()}


def frontier(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Those that none is better than in both time and force RMSE, the fastest first."""
    best: list[Contestant] = []
    error = np.inf
    for one in sorted(contestants, key=lambda one: (one.microseconds, one.errors.forces.rmse)):
        if one.errors.forces.rmse < error:
            best.append(one)
            error = one.errors.forces.rmse
    return best


def comparison(contestants: Sequence[Contestant]) -> Table:
    """A row for each, the smallest force errors first."""
    head, rows = _cells(contestants)
    first, *others = (title.replace(", ", "\n") for title in head)
    columns = (Column(title, justify="left" if title == "kind" else "right", no_wrap=True) for title in others)
    found = Table(Column(first, overflow="fold"), *columns, box=SIMPLE_HEAD, caption=_NOTE, caption_justify="left")
    for row in rows:
        found.add_row(*row)
    return found


def write_comparison(contestants: Sequence[Contestant], folder: str | Path) -> Path:
    """Write `comparison.html`, which needs no other file, and its numbers as `comparison.json`.

    Raises ValueError without potentials, or where the frames had no forces.
    """
    if not contestants or not all(one.errors.forces.number for one in contestants):
        raise ValueError("a comparison needs potentials, and frames with forces.")
    folder = Path(folder)
    picture = folder / "figures" / "frontier.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_frontier(contestants).savefig(picture, dpi=DOTS_PER_INCH)
    numbers = [one.as_dict() for one in contestants]
    atomic_write(folder / "comparison.json", json.dumps(numbers, indent=1, ensure_ascii=False).encode())
    errors = contestants[0].errors
    head, rows = _cells(contestants)
    cells = [[Cell(row[0]), Cell(row[1]), *(number(text) for text in row[2:])] for row in rows]
    terms = {QUANTITIES[name].title: QUANTITIES[name].definition for name in ("energy", "forces")}
    body = [
        heading(f"{len(contestants)} potentials on {errors.frames:,} frames", 1),
        figure(
            picture, "Root mean square error of force components against the time of a step, both logarithmic.", "wide"
        ),
        table([Cell(head[0]), Cell(head[1]), *(number(title) for title in head[2:])], cells, caption=_NOTE),
        paragraph("MAE / RMSE; energies in meV/atom, force components in meV/Å.", "soft"),
        definitions(terms | {COLUMNS[key][0]: COLUMNS[key][1] for key in ("mae", "rmse")}),
    ]
    path = folder / "comparison.html"
    atomic_write(path, page("Comparison of potentials", body).encode())
    return path


@rc_context(STYLE)
def draw_frontier(contestants: Sequence[Contestant]) -> Figure:
    """Force RMSE over the time of a step, with a line through those that none beats in both."""
    drawing = Figure((7.0, 3.6), layout="constrained")
    axes, best = drawing.subplots(), frontier(contestants)
    axes.plot(*_points(best), color=FAINT, linewidth=1.0, zorder=0)
    kinds = list(dict.fromkeys(one.kind for one in contestants))
    for kind in kinds:
        mine = [one for one in contestants if one.kind == kind]
        axes.scatter(*_points(mine), s=28, color=SERIES[kinds.index(kind) % len(SERIES)], label=kind)
    for one in contestants:
        place = (one.microseconds, one.errors.forces.rmse)
        axes.annotate(one.name, place, (6, 4), textcoords="offset points", color=INK if one in best else FAINT)
    axes.set(xscale="log", yscale="log", xlabel="time of a step (µs per atom)", ylabel="force RMSE (meV/Å)")
    _few_ticks(axes)
    axes.margins(0.16, 0.14)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawing


def _points(contestants: Sequence[Contestant]) -> tuple[list[float], list[float]]:
    return [one.microseconds for one in contestants], [one.errors.forces.rmse for one in contestants]


def _few_ticks(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def _cells(contestants: Sequence[Contestant]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table."""
    best, rows = frontier(contestants), []
    for one in sorted(contestants, key=lambda one: one.errors.forces.rmse):
        pairs = [
            f"{shown(m.mae)} / {shown(m.rmse)}" if m.number else "–" for m in (one.errors.energy, one.errors.forces)
        ]
        name = f"{one.name} {MARK}" if one in best else one.name
        rows.append([name, one.kind, f"{one.parameters:,}", *pairs, shown(one.microseconds)])
    return ["potential", "kind", "parameters", "energy, meV/atom", "forces, meV/Å", "step, µs/atom"], rows
