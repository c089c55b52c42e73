"""Figures of free-energy surfaces and slow motions, in the style of the report."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy import ndarray

from molnet.analysis.artefacts import Columns
from molnet.analysis.figures import FAINT, INK, SERIES, STYLE
from molnet.analysis.kinetics import ImpliedTimescales
from molnet.analysis.landscapes import KCAL, Basin, Population, Surface

HIGHEST: Final = 6.0  # kcal/mol; bins above it are drawn as those that weren't visited
_LEVELS: Final = np.arange(0, HIGHEST + 0.5, 0.5)
_DEPTH: Final = LinearSegmentedColormap.from_list("depth", ["#06243f", "#0b62a4", "#5b9bd0", "#d5e3f0", "#f4f7fa"])
_HALO: Final = withStroke(linewidth=1.8, foreground="white")
_WIDTH: Final = 2.3  # inches a panel


@rc_context(STYLE)
def surfaces(
    shown: Mapping[str, Surface], *, basins: Mapping[str, Basin] | None = None, labels: tuple[str, str] = ("φ", "ψ")
) -> Figure:
    """Free energies side by side on one scale, kcal/mol; angles in degrees, with the basins outlined."""
    figure = Figure(figsize=(0.9 + _WIDTH * len(shown), _WIDTH + 0.35), layout="constrained")
    row = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    angles = labels == ("φ", "ψ")
    for axes, (name, surface) in zip(row, shown.items(), strict=True):
        x, y = (np.degrees(edges) if angles else edges for edges in (surface.x, surface.y))
        centers = [0.5 * (edges[1:] + edges[:-1]) for edges in (x, y)]
        energy = surface.free_energy.T / KCAL
        filled = axes.pcolormesh(x, y, energy, cmap=_DEPTH, vmin=0, vmax=HIGHEST, rasterized=True)
        axes.contour(*centers, energy, _LEVELS[2::2], colors="white", linewidths=0.4, alpha=0.7)
        axes.set(title=name, xlabel=f"{labels[0]} (°)" if angles else labels[0], aspect="auto")
        axes.title.set_fontsize(8.5)
        if angles:
            axes.set(xlim=(-180, 180), ylim=(-180, 180), xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))
        for place, basin in (basins or {}).items():
            _outline(axes, place, basin, named=axes is row[0])
    row[0].set_ylabel(f"{labels[1]} (°)" if angles else labels[1])
    figure.colorbar(filled, ax=list(row), label="free energy (kcal/mol)", shrink=0.9, pad=0.015)
    return figure


def _outline(axes: Axes, name: str, basin: Basin, *, named: bool) -> None:
    """The borders of a basin, in one or two pieces where it goes through the half turn, and its name in the lower."""
    pieces = [(low, high) if low < high else (-180.0, high) for low, high in basin]
    split = [(low, 180.0) for low, high in basin if low >= high]
    (left, right), (bottom, top) = pieces
    for low, high in [(bottom, top), *split]:
        axes.plot(
            [left, right, right, left, left], [low, low, high, high, low], color=INK, linewidth=0.6, linestyle=":"
        )
    if named:
        axes.text(left + 6, bottom + 8, name, fontsize=6.5, color=INK, path_effects=[_HALO])


@rc_context(STYLE)
def population_bars(found: Mapping[str, Mapping[str, Population]]) -> Figure:
    """The populations of each basin in each ensemble, the first of which is the reference, with two standard errors."""
    basins = list(next(iter(found.values())))
    figure = Figure(figsize=(3.5, 2.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(found)
    for number, (name, held) in enumerate(found.items()):
        place = np.arange(len(basins)) - 0.4 + (number + 0.5) * width
        color = INK if number == 0 else SERIES[number - 1]
        values, errors = np.array([held[basin] for basin in basins]).T
        axes.bar(place, values, 0.92 * width, yerr=2 * errors, color=color, label=name, error_kw={"elinewidth": 0.8})
    axes.set(yscale="log", ylabel="population", xticks=range(len(basins)), xticklabels=basins)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value >= 0.01 else f"{100 * value:g}%")
    axes.legend(fontsize=7, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


@rc_context(STYLE)
def timescale_curves(found: Mapping[str, ImpliedTimescales], *, frame: float) -> Figure:
    """Implied timescales against the lag, in ps where a frame is that long; times below the lag can't be resolved."""
    figure = Figure(figsize=(3.5, 3.0), layout="constrained")
    axes = figure.subplots()
    for color, (name, times) in zip((INK, *SERIES), found.items(), strict=False):
        lags = frame * times.lags
        for process in range(times.values.shape[1]):
            band = (frame * times.low[:, process], frame * times.high[:, process])
            axes.fill_between(lags, *band, color=color, alpha=0.2, linewidth=0)
            label, style = (name, "-") if process == 0 else (None, "--")
            axes.plot(lags, frame * times.values[:, process], color=color, linestyle=style, label=label)
    axes.set(yscale="log", xlabel="lag (ps)", ylabel="implied timescale (ps)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    high = axes.get_xlim()[1]
    bottom, top = np.maximum(axes.get_ylim(), (1e-3 * high, high))
    lags = np.linspace(1e-3 * high, high, 200)
    axes.fill_between(lags, lags, bottom, where=lags > bottom, color=FAINT, alpha=0.25, linewidth=0)
    axes.set(xlim=(0, high), ylim=(bottom, top))
    axes.legend(fontsize=7)
    return figure


@rc_context(STYLE)
def courses(logs: Mapping[str, Columns], column: str, label: str, *, line: float | None = None) -> Figure:
    """A column of each log over time, with a line where the value is meant to be."""
    figure = Figure(figsize=(3.5, 2.3), layout="constrained")
    axes = figure.subplots()
    for color, (name, log) in zip(SERIES, logs.items(), strict=False):
        axes.plot(log["time_ps"], log[column], color=color, linewidth=0.8, label=name)
    if line is not None:
        axes.axhline(line, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="time (ps)", ylabel=label)
    if len(logs) > 1:
        axes.legend(fontsize=7)
    return figure


@rc_context(STYLE)
def length_histograms(found: Mapping[str, Mapping[str, Float[ndarray, " samples"]]]) -> Figure:
    """A panel for each bond: the densities of its length (Å) in the ensembles, of which the first is the reference."""
    columns = min(4, len(found))
    rows = ceil(len(found) / columns)
    figure = Figure((1.75 * columns + 0.3, 1.5 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (bond, ensembles) in zip(grid, found.items(), strict=False):
        together = np.concatenate(list(ensembles.values()))
        edges = np.linspace(together.min(), together.max(), 41)
        for number, (name, values) in enumerate(ensembles.items()):
            style = {"color": FAINT, "alpha": 0.5} if number == 0 else {"color": SERIES[number - 1], "histtype": "step"}
            axes.hist(values, edges, density=True, label=name, **style)
        axes.set(yticks=[], xlabel="length (Å)")
        axes.set_title(bond, fontsize=8, color=INK)
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure
