"""The report's figures: small panels, of which a page sets two side by side and a phone one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, SymmetricalLogLocator
from numpy import ndarray

from molnet.analysis.artefacts import Columns, Dynamics
from molnet.analysis.dimers import Dimers
from molnet.analysis.errors import MILLI, QUANTITIES, Predictions, compared, metrics, shown

INK: Final = "#2b2b2b"
FAINT: Final = "#9a9a9a"
PART_COLORS: Final[Mapping[str, str]] = {"train": "#8c8c8c", "valid": "#d98c00", "test": "#0b62a4"}
"""Parts of the data keep their color throughout; hue and lightness both tell them apart."""
SERIES: Final = ("#0b62a4", "#d98c00", "#1a8f6b", "#b8478f", "#5b3d9e", "#a33b20", "#6f7a1a", "#4aa3d8")
DENSITY: Final = LinearSegmentedColormap.from_list("density", ["#d5e3f0", "#5b9bd0", "#0b62a4", "#06243f"])
STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-4, 5),
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "text.color": INK,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
SIZE: Final = (3.5, 3.0)
DOTS_PER_INCH: Final = 220
PARTS: Final[Mapping[str, str]] = {"train": "training", "valid": "validation", "test": "test"}
_PLAIN: Final = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
MANY_POINTS: Final = 3000
_FEW_POINTS = 500
_NO_ERROR = 1e-9  # meV; a logarithmic axis has no place for zero
_NOUNS: Final[Mapping[str, str]] = {"energy": "energy", "forces": "force", "stress": "stress"}


def front(parts: Mapping[str, object]) -> str:
    """The part that counts most among those there are; an empty string without any."""
    return next((part for part in ("test", "valid", "train") if part in parts), "")


@rc_context(STYLE)
def parity(predictions: Predictions, quantity: str) -> Figure:
    """Predictions against labels; many points are shown by their density."""
    label, answer, unit = _parity_numbers(predictions, quantity)
    known = np.isfinite(answer)
    low, high = _limits(np.concatenate([label, answer[known]]))
    figure, axes = _panel()
    axes.plot([low, high], [low, high], color=FAINT, linewidth=0.7, zorder=0)
    if known.sum() > MANY_POINTS:
        axes.hexbin(
            label[known], answer[known], gridsize=70, extent=(low, high, low, high), bins="log", mincnt=1,
            cmap=DENSITY, linewidths=0.1,
        )  # fmt: skip
    else:
        axes.scatter(label[known], answer[known], s=9, color=PART_COLORS["test"], alpha=0.5, linewidths=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    name = _NOUNS[quantity]
    axes.set(xlabel=f"{name} label ({unit})", ylabel=f"predicted {name} ({unit})")
    ticks = [t for t in MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= t <= high]
    axes.set(xticks=ticks, yticks=ticks)
    found = metrics(*compared(predictions, quantity), unit=QUANTITIES[quantity].unit)
    text = f"MAE {shown(found.mae)}\nRMSE {shown(found.rmse)}\n{found.unit}"
    axes.text(0.04, 0.97, text, transform=axes.transAxes, va="top", linespacing=1.35)
    return figure


@rc_context(STYLE)
def error_histogram(parts: Mapping[str, Predictions], quantity: str) -> Figure:
    """The distribution of signed errors around zero; how much lies outside is written in it."""
    errors = _signed_errors(parts, quantity)
    main = errors[front(errors)]
    reach = 1.3 * float(np.percentile(np.abs(main), 98)) or 1.0
    bins = np.linspace(-reach, reach, 22 if len(main) < 300 else 62).tolist()
    figure, axes = _panel()
    axes.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
    for part, values in errors.items():
        filled = values is main
        if not filled and len(values) < _FEW_POINTS:
            continue
        axes.hist(
            values, bins, density=True, histtype="stepfilled" if filled else "step",
            color=PART_COLORS[part], alpha=0.7 if filled else 1.0, linewidth=1.0, label=PARTS[part],
        )  # fmt: skip
    outside = np.mean(np.abs(main) > reach)
    _remark(axes, f"{outside:.1%} beyond the axis")
    axes.set(xlim=(-reach, reach), xlabel=f"{_NOUNS[quantity]} error ({QUANTITIES[quantity].unit})")
    axes.set(yticks=[], ylabel="relative frequency")
    axes.legend(loc="upper left")
    axes.set_ylim(top=1.1 * axes.get_ylim()[1])
    return figure


@rc_context(STYLE)
def error_tail(parts: Mapping[str, Predictions], quantity: str) -> Figure:
    """Which fraction of the numbers has a larger error than that on the axis, on logarithmic scales."""
    figure, axes = _panel()
    for part, values in _signed_errors(parts, quantity).items():
        size = np.maximum(np.sort(np.abs(values)), _NO_ERROR)
        fraction = 1 - np.arange(len(size)) / len(size)
        chosen = np.unique(np.append(len(size) - np.geomspace(1, len(size), 400).astype(int), len(size) - 1))
        axes.plot(size[chosen], fraction[chosen], color=PART_COLORS[part], label=PARTS[part])
    axes.set(xscale="log", yscale="log", ylabel="fraction with a larger error")
    axes.set_xlabel(f"absolute {_NOUNS[quantity]} error ({QUANTITIES[quantity].unit})")
    _, largest = axes.dataLim.intervalx
    axes.set_xlim(largest / 1e3, 1.2 * largest)
    axes.legend(loc="lower left")
    return figure


@rc_context(STYLE)
def force_by_element(errors: Mapping[str, Any]) -> Figure:
    """Mean absolute force error of each element, in every part of the data."""
    shown_parts = [part for part in PART_COLORS if errors.get(part, {}).get("by_element")]
    elements = list(dict.fromkeys(e for part in shown_parts for e in errors[part]["by_element"]))
    figure, axes = _panel(height=max(1.9, 1.0 + 0.24 * len(elements)))
    for part in shown_parts:
        found = errors[part]["by_element"]
        rows = [row for row, element in enumerate(elements) if element in found]
        values = [found[elements[row]]["mae"] for row in rows]
        axes.plot(
            values, rows, "o", color=PART_COLORS[part], markersize=6 if part == "test" else 4.5,
            markerfacecolor=PART_COLORS[part] if part == "test" else "white", label=PARTS[part],
        )  # fmt: skip
    axes.set_yticks(range(len(elements)), elements)
    axes.set_ylim(len(elements) - 0.5, -0.5)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.04 * axes.get_xlim()[1])
    axes.set_xlabel("force MAE (meV/Å)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, columnspacing=1.2)
    return figure


@rc_context(STYLE)
def learning_curve(log: Columns, metric: str) -> Figure:
    """A metric of training and validation by epoch, on a logarithmic scale.

    A metric of a quantity names its unit in the log, as `forces_mae_meV_per_A` does.
    """
    figure, axes = _panel(height=2.5)
    quantity = metric.partition("_mae_")[0]
    for part in ("train", "valid"):
        if (name := f"{part}_{metric}") in log:
            _by_epoch(axes, log, log[name], color=PART_COLORS[part], label=PARTS[part])
    unit = f" ({QUANTITIES[quantity].unit})" if quantity in QUANTITIES else ""
    title = f"{_NOUNS[quantity]} MAE" if quantity in QUANTITIES else metric.replace("_", " ")
    axes.set_ylabel(f"{title}{unit}")
    axes.legend(loc="upper right")
    return figure


@rc_context(STYLE)
def learning_rate(log: Columns) -> Figure:
    figure, axes = _panel(height=2.5)
    _by_epoch(axes, log, log["lr"], color=INK)
    axes.set_ylabel("learning rate")
    return figure


@rc_context(STYLE)
def dimer_scan(scan: Dimers) -> Figure:
    """Energy against distance, linear within 1 eV and logarithmic beyond, to show both well and core."""
    figure, axes = _panel()
    _draw_dimers(axes, scan, 1.0)
    if np.nanmax(np.abs(scan.energies)) > 1:
        axes.set_yscale("symlog", linthresh=1.0, linscale=1.0)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1.0))
        axes.yaxis.set_major_formatter(_PLAIN)
    axes.set(xlim=(0, scan.distances[-1]), ylabel="E(r) − E(∞) (eV)")
    _legend(figure, axes, len(scan.pairs))
    return figure


@rc_context(STYLE)
def dimer_tail(scan: Dimers) -> Figure:
    """The last fifth of the scan, where the energy has to come to zero without a corner."""
    figure, axes = _panel()
    _draw_dimers(axes, scan, MILLI)
    start = 0.8 * scan.distances[-1]
    near = MILLI * scan.energies[:, scan.distances >= start]
    axes.set(xlim=(start, scan.distances[-1]), ylim=_limits(near[np.isfinite(near)], margin=0.08))
    axes.set_ylabel("E(r) − E(∞) (meV)")
    _legend(figure, axes, len(scan.pairs))
    return figure


@rc_context(STYLE)
def temperature(run: Dynamics) -> Figure:
    figure, axes = _panel(height=2.3)
    values = run.columns["temperature_K"]
    axes.plot(run.columns["time_ps"], values, color=SERIES[0], linewidth=0.8)
    axes.axhline(float(np.nanmean(values)), color=SERIES[1], linewidth=1.0)
    _remark(axes, f"mean {np.nanmean(values):.0f} K")
    axes.set(xlabel="time (ps)", ylabel="temperature (K)")
    return figure


@rc_context(STYLE)
def energy_drift(run: Dynamics, change: Float[ndarray, " rows"], unit: str, slope: float) -> Figure:
    """The change of the conserved energy and its least-squares line."""
    figure, axes = _panel(height=2.3)
    time = run.columns["time_ps"]
    axes.plot(time, change, color=SERIES[0], linewidth=0.8)
    known = np.isfinite(change)
    middle = np.mean(change[known]) - slope * np.mean(time[known])
    axes.plot(time, middle + slope * time, color=SERIES[1], linewidth=1.0)
    _remark(axes, f"slope {shown(slope)} {unit}/ps")
    axes.set(xlabel="time (ps)", ylabel=f"change of energy ({unit})")
    return figure


def _panel(*, height: float = SIZE[1]) -> tuple[Figure, Axes]:
    figure = Figure((SIZE[0], height), layout="constrained")
    return figure, figure.subplots()


def _by_epoch(axes: Axes, log: Columns, values: Float[ndarray, " rows"], **style: Any) -> None:
    marker = "o" if len(values) < 10 else ""
    positive = np.where(values > 0, values, np.nan)
    axes.plot(log["epoch"], positive, marker=marker, markersize=3, linewidth=1.1, **style)
    axes.set(yscale="log", xlabel="epoch")
    low, high = axes.get_ylim()
    if high < 100 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(_PLAIN)
        axes.yaxis.set_minor_formatter(NullFormatter())


def _remark(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="right", fontsize=8)


def _limits(values: Float[ndarray, " n"], *, margin: float = 0.04) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    pad = margin * (high - low) or 0.5
    return low - pad, high + pad


def _parity_numbers(p: Predictions, quantity: str) -> tuple[ndarray, ndarray, str]:
    """Labels, predictions and their unit; energies relative to least-squares atom energies of the labels."""
    answer, label = compared(p, quantity)
    unit = QUANTITIES[quantity].unit
    if quantity == "energy":
        known = np.isfinite(p.energy_label)
        reference = _atom_energies(p)[known]
        answer, label = answer - reference, label - reference
    if quantity == "forces" or np.ptp(label) > 5 * MILLI:
        return label / MILLI, answer / MILLI, unit.removeprefix("m")
    return label, answer, unit


def _atom_energies(p: Predictions) -> Float[ndarray, " frames"]:
    """What atom energies alone, fitted to the labels, say of each frame, meV/atom."""
    species, index = np.unique(p.species, return_inverse=True)
    counts = np.zeros((len(p.frame), len(species)))
    np.add.at(counts, (p.frame_index, index), 1.0)
    known = np.isfinite(p.energy_label)
    fitted = np.linalg.lstsq(counts[known], p.energy_label[known])[0]
    return MILLI * (counts @ fitted) / p.n_atoms


def _signed_errors(parts: Mapping[str, Predictions], quantity: str) -> dict[str, Float[ndarray, " n"]]:
    found = {}
    for part in PART_COLORS:
        if part in parts:
            answer, label = compared(parts[part], quantity)
            error = (answer - label)[np.isfinite(answer)]
            if len(error):
                found[part] = error
    return found


def _draw_dimers(axes: Axes, scan: Dimers, factor: float) -> None:
    axes.axhline(0, color=FAINT, linewidth=0.7, zorder=0)
    styles: Sequence[str] = ("-", "--", ":", "-.")
    for number, (title, energies) in enumerate(zip(scan.titles, scan.energies, strict=True)):
        color, style = SERIES[number % len(SERIES)], styles[number // len(SERIES) % len(styles)]
        axes.plot(scan.distances, factor * energies, color=color, linestyle=style, linewidth=1.1, label=title)
    axes.set_xlabel("distance r (Å)")


def _legend(figure: Figure, axes: Axes, number: int) -> None:
    if number <= 16:
        handles = axes.get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=min(number, 4), columnspacing=1.2)
