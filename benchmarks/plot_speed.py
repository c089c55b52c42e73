"""A picture of what `md_speed.py --save` measured: time of a step over number of atoms, for molnet and others."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

# Each panel's lines: package and model, and what stands at its end.
PANELS = {
    "SchNet, 3 interactions": [
        ("SchNetPack", "SchNet-3", "SchNetPack"),
        ("molnet", "SchNet-3", "molnet"),
    ],
    "SchNet, 6 interactions": [("SchNetPack", "SchNet-6", "SchNetPack"), ("molnet", "SchNet-6", "molnet")],
    "PaiNN, 3 interactions": [("SchNetPack", "PaiNN-3", "SchNetPack"), ("molnet", "PaiNN-3", "molnet")],
    "ACENet, 64 channels; MACE 64x0e": [("MACE", "64x0e", "MACE"), ("molnet", "ACENet-2", "ACENet")],
    "ANI-2x, one net": [("TorchANI", "ANI-2x-1", "TorchANI"), ("molnet", "BPNN-1", "molnet")],
    "ANI-2x, eight nets": [("TorchANI", "ANI-2x-8", "TorchANI"), ("molnet", "BPNN-8", "molnet")],
}
COLORS = {"molnet": "#c2410c", "SchNetPack": "#1d4ed8", "TorchANI": "#1d4ed8", "MACE": "#6b7280"}
INK, FAINT = "#374151", "#e5e7eb"
STYLE = {
    **dict.fromkeys(["text.color", "axes.labelcolor", "xtick.color", "ytick.color"], INK),
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # The same file for the same numbers.
    "svg.hashsalt": "molnet",
    "figure.facecolor": "white",
}
LEAST_RATIO = 1.7
"""Between the heights of two labels on a logarithmic axis."""

Line = tuple[str, str, list[int], list[float]]


def lines(rows: list[dict[str, Any]], panel: str) -> list[Line]:
    """Package, label, numbers of atoms and milliseconds of the lines that were measured."""
    found = []
    for package, model, label in PANELS[panel]:
        points = sorted((r["atoms"], r["ms"]) for r in rows if (r["package"], r["model"]) == (package, model))
        if points:
            atoms, times = zip(*points, strict=True)
            found.append((package, label, list(atoms), list(times)))
    return found


def heights(ends: list[float]) -> list[float]:
    """Where labels of lines with these ends stand, from below, so that none covers another."""
    places: list[float] = []
    for end in sorted(ends):
        places.append(max(end, places[-1] * LEAST_RATIO) if places else end)
    return places


def draw(axes: Axes, title: str, found: list[Line]) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set(xscale="log", yscale="log")
    places = dict(zip(sorted(times[-1] for *_, times in found), heights([t[-1] for *_, t in found]), strict=True))
    for package, label, atoms, times in found:
        ours = package == "molnet"
        color, width = COLORS[package], 2.4 if ours else 1.4
        axes.plot(atoms, times, color=color, linewidth=width, marker="o", markersize=5 if ours else 3.5)
        weight = "bold" if ours else "normal"
        where = (atoms[-1] * 1.2, places[times[-1]])
        axes.annotate(label, where, color=color, va="center", weight=weight, annotation_clip=False)


def figure(rows: list[dict[str, Any]]) -> Figure:
    """A panel for each kind of model, all on the same axes."""
    shown = {panel: found for panel in PANELS if (found := lines(rows, panel))}
    whole = Figure(figsize=(8.2, 3.3 * ((len(shown) + 1) // 2)), layout="constrained")
    panels = whole.subplots((len(shown) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False).ravel()
    whole.get_layout_engine().set(wspace=0.02, hspace=0.06)
    ticks = sorted({atoms for found in shown.values() for *_, atoms, _ in found for atoms in atoms})
    for axes, (title, found) in zip(panels, shown.items(), strict=False):
        draw(axes, title, found)
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
        axes.tick_params(length=0, labelbottom=True, labelleft=True)
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.set_xlabel("atoms")
    for axes in panels[::2]:
        axes.set_ylabel("ms for a step of dynamics")
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    return whole


def main(
    times: Annotated[Path, typer.Argument(help="What md_speed.py --save wrote.")],
    out: Annotated[Path, typer.Argument(help="The picture: .svg, .png or .pdf.")],
) -> None:
    """Draw the picture."""
    with rc_context(STYLE):
        drawn = figure(json.loads(times.read_text()))
        # The day it was drawn isn't in the file.
        drawn.savefig(out, dpi=200, metadata={"Date": None} if out.suffix == ".svg" else None)


if __name__ == "__main__":
    typer.run(main)
