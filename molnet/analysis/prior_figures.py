"""How well priors describe the data that they were fitted to: a panel for each term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from molnet.analysis.figures import FAINT, INK, SERIES, STYLE
from molnet.data.conformations import Conformations
from molnet.features.statistics import internal_coordinates
from molnet.potential import Potential, Sum
from molnet.priors import HarmonicAngles, HarmonicBonds, PeriodicDihedrals, Repulsion
from molnet.priors.inversion import LOG_VOLUME, peaks
from molnet.priors.repulsion import free_pairs
from molnet.priors.samples import by_types, samples
from molnet.units import KB

_COLUMNS: Final = 4
_BINS: Final = 60
_CEILING: Final = 8.0
"""kT; above are nothing but single counts."""


_BEYOND: Final = 0.15
"""What a panel of the repulsion shows below the shortest distance, in parts of the range."""


@dataclass(frozen=True)
class _Kind:
    """What a kind of prior is a function of: the axis' label, the factor to its unit, and the volume element."""

    label: str
    factor: float
    volume: str


_KINDS: Final[dict[type, _Kind]] = {
    HarmonicBonds: _Kind("bond length (Å)", 1.0, "radial"),
    HarmonicAngles: _Kind("angle (°)", 180 / np.pi, "polar"),
    PeriodicDihedrals: _Kind("dihedral (°)", 180 / np.pi, "flat"),
    Repulsion: _Kind("distance (Å)", 1.0, "radial"),
}


@rc_context(STYLE)
def prior_fits(conformations: Conformations, priors: Potential) -> Figure:
    """The free energy of each fitted coordinate's histogram, −kT ln[p(q)/J(q)], and the prior through it, in kT.

    Both are zero at their lowest point, the repulsion where it ends. Terms that have two peaks say so.
    """
    terms = [term for term in _flat(priors) if type(term) in _KINDS]
    panels = [(term, types, values) for term in terms for types, values in _samples(conformations, term).items()]
    if not panels:
        raise ValueError("there is no prior of bonds, angles, dihedrals or repulsion to draw.")
    columns = min(_COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    figure = Figure((1.9 * columns + 0.3, 1.75 * rows + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, conformations, *panel)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.supylabel("free energy (kT)", fontsize=8.5)
    handles = grid[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2)
    return figure


def _flat(potential: Any) -> list[Potential]:
    return [part for term in potential.terms for part in _flat(term)] if isinstance(potential, Sum) else [potential]


def _samples(conformations: Conformations, prior: Potential) -> dict[tuple[int, ...], Float[ndarray, " samples"]]:
    if isinstance(prior, Repulsion):
        pairs = free_pairs(conformations.molecule)
        return by_types(conformations, pairs, internal_coordinates(conformations, pairs=pairs)) if pairs else {}
    names = {HarmonicBonds: "bonds", HarmonicAngles: "angles", PeriodicDihedrals: "dihedrals"}
    name = names[type(prior)]
    return samples(conformations, name) if getattr(conformations.molecule, name) else {}


def _draw(
    axes: Axes, conformations: Conformations, prior: Any, types: Sequence[int], values: Float[ndarray, " samples"]
) -> None:
    kind, kT = _KINDS[type(prior)], KB * conformations.temperature
    low, high = (-np.pi, np.pi) if isinstance(prior, PeriodicDihedrals) else (values.min(), values.max())
    counts, edges = np.histogram(values, np.linspace(low, high, _BINS + 1))
    middle = 0.5 * (edges[1:] + edges[:-1])
    with np.errstate(divide="ignore"):
        found = -np.log(counts) + LOG_VOLUME[kind.volume](middle)
    found -= found.min()
    q = np.linspace(low - _BEYOND * (high - low) * isinstance(prior, Repulsion), high, 400)
    energy = prior.profile(types, q) / kT
    energy = energy - (energy.min() if not isinstance(prior, Repulsion) else 0.0)
    shown = counts > 0
    axes.plot(kind.factor * middle[shown], found[shown], ".", color=FAINT, markersize=3, label="data")
    axes.plot(kind.factor * q, energy, color=SERIES[0], linewidth=1.3, label="prior")
    axes.set(xlabel=kind.label, ylim=(-0.3, _CEILING), yticks=range(0, int(_CEILING) + 1, 2))
    if isinstance(prior, PeriodicDihedrals):
        axes.set(xlim=(-180, 180), xticks=range(-180, 181, 90))
    axes.set_title(" – ".join(_names(conformations, types)), fontsize=8, color=INK)
    if not isinstance(prior, PeriodicDihedrals | Repulsion) and len(peaks(values)) > 1:
        axes.text(0.5, 0.93, "two-peaked", transform=axes.transAxes, ha="center", va="top", color=SERIES[5])


def _names(conformations: Conformations, types: Sequence[int]) -> list[str]:
    """The names of the beads of these types, and the types where several have different names."""
    molecule = conformations.molecule
    named = {z: {name for name, kind in zip(molecule.names, molecule.species, strict=True) if kind == z} for z in types}
    return [f"{next(iter(named[z]))} {z}" if len(named[z]) == 1 else str(z) for z in types]
