"""A simulated ensemble of a molecule beside its reference: in (φ, ψ), in slow coordinates, in basins and in bonds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from rich.console import Group
from rich.table import Table

from molnet.analysis.artefacts import Columns
from molnet.analysis.kinetics import ImpliedTimescales, cluster, implied_timescales, tica
from molnet.analysis.landscapes import (
    CIRCLE,
    Basin,
    Distance,
    Population,
    Surface,
    distance,
    populations,
)
from molnet.analysis.torsions import Torsions
from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.features.statistics import Terms, all_pairs, coordinates_of

REFERENCE: Final = "reference"
HALVES: Final = "reference, its halves"
_LARGEST_BINS: Final = 36
_FRAMES_A_BIN: Final = 7
_STATES: Final = 50
_FEWEST: Final = 20
"""Frames of a trajectory from which slow coordinates are fitted."""
_MARGIN: Final = 0.25
"""Of the reference's range in a slow coordinate; what lies farther out is counted in the outermost bins."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trajectories (Å) of one molecule at one temperature, with the time (ps) from frame to frame.

    `log` may have columns `time_ps`, `potential_eV` and `kinetic_K`; `settings` are shown as they are.
    """

    trajectories: Sequence[Float[ndarray, "_ beads 3"]]
    frame: float
    log: Columns = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def picoseconds(self) -> float:
        """The length of the longest trajectory."""
        return self.frame * max(len(x) - 1 for x in self.trajectories)


@dataclass(frozen=True, eq=False)
class Plane:
    """The surfaces of all ensembles in two coordinates, and how far each is from the reference's."""

    title: str
    labels: tuple[str, str]
    surfaces: Mapping[str, Surface]
    distances: Mapping[str, Distance]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Ensembles beside their reference; `rich` prints the tables. Empty where a molecule has no such coordinates."""

    reference: Conformations
    ensembles: Mapping[str, Ensemble]
    torsions: Torsions | None
    basins: Mapping[str, Basin]
    planes: Sequence[Plane]
    populations: Mapping[str, Mapping[str, Population]]
    timescales: Mapping[str, ImpliedTimescales]
    frames: Mapping[str, float]
    slow_from: str

    def __rich__(self) -> Group:
        return Group(*(_distance_table(plane) for plane in self.planes), *self._populations())

    def remarks(self) -> list[str]:
        """What makes numbers mean less than they seem to."""
        found = []
        for name, ensemble in self.ensembles.items():
            if name not in self.timescales:
                continue
            slowest = ensemble.frame * self.timescales[name].slowest
            if slowest > ensemble.picoseconds / 3:
                found.append(
                    f"{name}: trajectories of {ensemble.picoseconds:.3g} ps aren't long beside the slowest process, "
                    f"{slowest:.2g} ps, and remember where they started. From frames of the reference, they agree "
                    "with it in part for that reason: simulate longer."
                )
        return found

    def _populations(self) -> list[Table]:
        if not self.populations:
            return []
        table = Table("", title="Populations, %, with standard errors")
        for basin in self.basins:
            table.add_column(basin, justify="right")
        for name, held in self.populations.items():
            table.add_row(name, *(percent(held[basin]) for basin in self.basins))
        return [table]


def percent(population: Population) -> str:
    return f"{100 * population.value:.2f} ± {100 * population.error:.2f}"


COLUMNS: Final = ("JS, nats", "KL, nats", "ΔF², (kcal/mol)²")


def _distance_table(plane: Plane) -> Table:
    bins = plane.surfaces[REFERENCE].counts.shape[0]
    table = Table("", title=f"Free energies in {plane.title}, {bins} × {bins} bins")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, apart in plane.distances.items():
        table.add_row(name, *(f"{value:.3f}" for value in apart))
    return table


def compare_ensembles(
    reference: Conformations,
    ensembles: Mapping[str, Ensemble],
    *,
    torsions: Torsions | None = None,
    basins: Mapping[str, Basin] | None = None,
    bins: int | None = None,
    lag: float | None = None,
    reference_frame: float | None = None,
) -> Comparison:
    """Compare simulated ensembles with the reference.

    Surfaces have 36 bins a coordinate, or so few that 7 frames of the reference fall on one in the mean. Slow
    coordinates are those of TICA on all pair distances and the cos and sin of all dihedrals, at `lag` (ps; a tenth of
    a trajectory, 1 ps at most). They are fitted to the ensembles' trajectories, whose frames are in the order of time;
    with `reference_frame`, the time in ps between frames of the reference, to the reference.

    Raises ValueError for a name that is taken, no ensembles, no frames, and where frames of the reference follow one
    another without memory although a time between them is given.
    """
    _check(reference, ensembles)
    if basins and not torsions:
        raise ValueError(f"the molecule has no φ and ψ, so that the basins {', '.join(basins)} have no meaning.")
    bins = bins or int(np.clip(np.sqrt(len(reference) / _FRAMES_A_BIN), 4, _LARGEST_BINS))
    positions = {REFERENCE: [reference.positions.astype(float)]}
    positions |= {name: [x.astype(float) for x in each.trajectories] for name, each in ensembles.items()}
    frames = {name: each.frame for name, each in ensembles.items()}
    frames |= {} if reference_frame is None else {REFERENCE: reference_frame}
    planes, angles = [], {}
    if torsions:
        angles = {name: [torsions.angles(reference.molecule, x) for x in each] for name, each in positions.items()}
        planes.append(_plane("(φ, ψ)", ("φ", "ψ"), angles, reference, bins, (CIRCLE, CIRCLE)))
    basins = torsions.basins(reference.molecule) if torsions and basins is None else basins or {}
    projected, source = _projected(reference.molecule, positions, frames, lag)
    if projected:
        seen = {name: [(x[:, 0], x[:, 1]) for x in each] for name, each in projected.items()}
        labels = ("slowest coordinate", "second slowest")
        ranges = (_range(seen[REFERENCE][0][0]), _range(seen[REFERENCE][0][1]))
        planes.append(_plane("the two slowest coordinates (TICA)", labels, seen, reference, bins, ranges))
    return Comparison(
        reference,
        ensembles,
        torsions,
        basins,
        planes,
        {name: populations(each, basins) for name, each in angles.items()} if basins else {},
        {name: times for name in frames if (times := _timescales(projected.get(name, [])))},
        frames,
        source,
    )


def _check(reference: Conformations, ensembles: Mapping[str, Ensemble]) -> None:
    if not ensembles or REFERENCE in ensembles or HALVES in ensembles:
        raise ValueError(
            f"ensembles are named {', '.join(ensembles) or '(none)'}; expected one, by another name than the reference."
        )
    for name, ensemble in {REFERENCE: Ensemble([reference.positions], 1.0), **ensembles}.items():
        beads = {x.shape[1:] for x in ensemble.trajectories}
        if beads != {(len(reference.molecule), 3)} or max(map(len, ensemble.trajectories)) < 2:
            raise ValueError(
                f"the {name} ensemble has trajectories of the shapes {[x.shape for x in ensemble.trajectories][:3]}; "
                f"expected some frames of {len(reference.molecule)} beads."
            )


Points = tuple[Float[ndarray, " _"], Float[ndarray, " _"]]


def _plane(
    title: str,
    labels: tuple[str, str],
    points: Mapping[str, Sequence[Points]],
    reference: Conformations,
    bins: int,
    ranges: tuple[tuple[float, float], tuple[float, float]],
) -> Plane:
    def surface(x: ndarray, y: ndarray) -> Surface:
        inside = (np.clip(values, *limits) for values, limits in zip((x, y), ranges, strict=True))
        return Surface.of(*inside, temperature=reference.temperature, bins=bins, ranges=ranges)

    made = {}
    for name, each in points.items():
        x, y = (np.concatenate(values) for values in zip(*each, strict=True))
        made[name] = surface(x, y)
    apart = {name: distance(found, made[REFERENCE]) for name, found in made.items() if name != REFERENCE}
    (x, y), half = points[REFERENCE][0], len(reference) // 2
    apart[HALVES] = distance(surface(x[half:], y[half:]), surface(x[:half], y[:half]))
    return Plane(title, labels, made, apart)


def _range(values: Float[ndarray, " frames"]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def internal(
    positions: Float[ndarray, "frames beads 3"], *, pairs: Terms, dihedrals: Terms = ()
) -> Float[ndarray, "frames coordinates"]:
    """Distances (Å), then cos and sin of dihedrals."""
    return coordinates_of(pairs, (), dihedrals)(torch.from_numpy(positions.astype(float))).numpy()


def _projected(
    molecule: Molecule, positions: Mapping[str, Sequence[ndarray]], frames: Mapping[str, float], lag: float | None
) -> tuple[dict[str, list[Float[ndarray, "_ 2"]]], str]:
    """All trajectories in the two slowest coordinates, and what these are of; empty where frames or beads are few."""
    pairs = all_pairs(molecule)
    features = {
        name: [internal(x, pairs=pairs, dihedrals=molecule.dihedrals) for x in each] for name, each in positions.items()
    }
    first = next(iter(frames.values()))
    names = [REFERENCE] if REFERENCE in frames else [name for name in frames if frames[name] == first]
    used, frame = [x for name in names for x in features[name]], frames[names[0]]
    longest = max(map(len, used))
    if longest < _FEWEST or used[0].shape[1] < 2:
        return {}, ""
    if REFERENCE in frames:
        _refuse_disorder(used[0])
    steps = max(1, round((lag if lag is not None else min(1.0, 0.1 * frame * longest)) / frame))
    slow = tica(used, lag=steps)
    projected = {name: [slow(x) for x in each] for name, each in features.items()}
    return projected, f"{', '.join(names)}, at a lag of {steps * frame:.3g} ps"


def _refuse_disorder(features: Float[ndarray, "frames features"]) -> None:
    """ValueError where no feature remembers the frame before."""
    x = (features - features.mean(axis=0)) / features.std(axis=0).clip(min=1e-12)
    memory = float(np.abs((x[1:] * x[:-1]).mean(axis=0)).max())
    if memory < 5 / np.sqrt(len(x)):
        raise ValueError(
            f"the reference's frames aren't in the order of time: successive ones correlate by {memory:.2f} at most. "
            "Leave the time between them out, and slow coordinates come from the simulated trajectories."
        )


def _timescales(projected: Sequence[Float[ndarray, "_ components"]]) -> ImpliedTimescales | None:
    frames = [len(x) for x in projected]
    if not frames or max(frames) < _FEWEST:
        return None
    lags = np.unique(np.geomspace(1, max(frames) // 4, 6).astype(int)).tolist()
    states = cluster(projected, states=int(np.clip(sum(frames) // 100, 2, _STATES)))
    return implied_timescales(states, lags=lags, processes=2)
