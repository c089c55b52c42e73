"""What the inspection of a data set found, as plain numbers and as tables."""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from molnet.data.consistency import ForceCheck
from molnet.data.distances import Contact
from molnet.data.suspicions import Suspicion

_SHOWN = 8  # compositions, contacts, charges at most


@dataclass(frozen=True)
class Range:
    """The smallest, mean and largest of some numbers, and their standard deviation."""

    min: float
    mean: float
    max: float
    std: float


@dataclass(frozen=True)
class Label:
    """In how many frames a label is, and the values of a quantity that it gives."""

    quantity: str
    unit: str
    frames: int
    values: Range | None


@dataclass(frozen=True)
class Cost:
    """What a fit of a SchNet-like model is estimated to take.

    `step_bytes` is the memory of a training step on one frame, `lists_bytes` that of all neighbor lists, and
    `epoch_seconds` the time for all frames once on two CPU cores.
    """

    channels: int
    layers: int
    edges: float
    lists_bytes: float
    step_bytes: Range
    epoch_seconds: float


@dataclass(frozen=True)
class Inspection:
    """The numbers of a data set and what looks like a mistake in it.

    Lengths are in Å, volumes in Å³, densities in g/cm³, charges in e; counts are numbers of frames. `files` are those
    that frames say they come from. `neighbors` are per atom within `cutoff`, in `sampled` of the frames.
    """

    frames: int
    files: dict[str, int]
    compositions: dict[str, int]
    atoms: Range
    labels: list[Label]
    charges: dict[str, int]
    periodic: dict[str, int]
    volume: Range | None
    density: Range | None
    cutoff: float
    sampled: int
    neighbors: Range | None
    contacts: list[Contact]
    contact_frames: list[str]
    cost: Cost | None
    forces_and_energies: ForceCheck
    duplicates: int
    suspicions: list[Suspicion]

    def as_dict(self) -> dict[str, Any]:
        """All of it as values that JSON knows."""
        return asdict(self)

    def __rich__(self) -> Group:
        parts = [_structures(self), _labels(self), _agreement(self), _contacts(self), _cost(self), _suspicions(self)]
        return Group(*(part for part in parts if part is not None))


def _structures(found: Inspection) -> Table:
    table = _table("Structures", "", "")
    table.add_row("frames", Text(_frames(found)))
    table.add_row("compositions", _counts(found.compositions))
    table.add_row("atoms per frame", _span(found.atoms, ".4g"))
    table.add_row("total charge in e", _counts(found.charges))
    table.add_row("periodic along", _counts(found.periodic))
    if found.volume is not None and found.density is not None:
        table.add_row("volume in Å³", _span(found.volume, ".5g"))
        table.add_row("density in g/cm³", _span(found.density, ".3g"))
    if found.neighbors is not None:
        where = "all frames" if found.sampled == found.frames else f"{found.sampled} frames, spread evenly"
        table.add_row(f"neighbors within {found.cutoff:g} Å", f"{_span(found.neighbors, '.3g')} per atom, in {where}")
    table.add_row("duplicates", f"{found.duplicates:,}")
    return table


def _frames(found: Inspection) -> str:
    if not found.files:
        return f"{found.frames:,}"
    return f"{found.frames:,} in {next(iter(found.files)) if len(found.files) == 1 else _counts(found.files)}"


def _labels(found: Inspection) -> Table:
    headers = ("", "frames", "min", "mean", "max", "std", "unit")
    table = _table("Labels", *headers)
    for label in found.labels:
        numbers = ["–"] * 4
        if label.values is not None:
            low, mean, high, std = astuple(label.values)
            numbers = [f"{low:.6g}", "0" if abs(mean) < 1e-3 * std else f"{mean:.6g}", f"{high:.6g}", f"{std:.3g}"]
        table.add_row(label.quantity, f"{label.frames:,}", *numbers, label.unit)
    for column in table.columns[1:-1]:
        column.justify = "right"
    return table


def _agreement(found: Inspection) -> Text:
    check = found.forces_and_energies
    text = f"Forces and energies: {check.verdict}"
    if check.factor is not None and check.unexplained is not None:
        text += f" (ΔE is {check.factor:.3g} times the work, {check.unexplained:.0%} unexplained, {check.pairs} pairs)"
    return Text(text)


def _contacts(found: Inspection) -> Table | None:
    if not found.contacts:
        return None
    more = len(found.contacts) - _SHOWN
    title = "Shortest contacts" + (f" (of the first {_SHOWN} of {more + _SHOWN} pairs)" if more > 0 else "")
    table = _table(title, "pair", "distance in Å", "of covalent radii", "where")
    for contact, where in list(zip(found.contacts, found.contact_frames, strict=True))[:_SHOWN]:
        table.add_row(contact.pair, f"{contact.distance:.3f}", f"{contact.fraction:.0%}", Text(where))
    for column in table.columns[1:3]:
        column.justify = "right"
    return table


def _cost(found: Inspection) -> Table | None:
    cost = found.cost
    if cost is None:
        return None
    table = _table("Cost of a fit (rough estimates)", "", "")
    table.add_row("model", f"SchNet, {cost.channels} channels, {cost.layers} layers, cutoff {found.cutoff:g} Å")
    table.add_row("pairs of neighbors", f"{cost.edges:,.0f}, {_bytes(cost.lists_bytes)} of memory")
    mean, largest = _bytes(cost.step_bytes.mean), _bytes(cost.step_bytes.max)
    table.add_row("a training step", f"{mean} for each frame of the batch ({largest} for the largest)")
    table.add_row("an epoch", f"{_time(cost.epoch_seconds)} on two CPU cores")
    return table


def _suspicions(found: Inspection) -> Group:
    if not found.suspicions:
        return Group(Text("\nNo suspicions.", style="bold green"))
    parts: list[Table | Text] = [Text(f"\nSuspicions: {len(found.suspicions)}", style="bold red")]
    for number, each in enumerate(found.suspicions, start=1):
        parts.append(Text(f"{number}. {each.name}: {each.where}", style="bold"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_row("   found", Text(each.found))
        grid.add_row("   expected", Text(each.expected))
        grid.add_row("   to do", Text(each.advice))
        parts.append(grid)
    return Group(*parts)


def _table(title: str, *headers: str) -> Table:
    table = Table(
        title=f"\n{title}",
        box=SIMPLE_HEAD if any(headers) else None,
        padding=(0, 2, 0, 0),
        show_header=any(headers),
        title_style="bold",
        title_justify="left",
        pad_edge=False,
    )
    for header in headers:
        table.add_column(header)
    return table


def _counts(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{name}: {count:,}" for name, count in list(counts.items())[:_SHOWN])
    return shown + (f" and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else "")


def _span(values: Range, form: str) -> str:
    if values.min == values.max:
        return f"{values.min:{form}}"
    return f"{values.min:{form}} to {values.max:{form}}, mean {values.mean:{form}}"


def _bytes(number: float) -> str:
    power = min(int(math.log10(max(number, 1.0)) // 3), 4)
    return f"{number / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 7200 else f"{seconds / 3600:.2g} h"
