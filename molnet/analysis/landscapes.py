"""Free-energy surfaces in two collective variables, populations of basins, and how far two surfaces are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from molnet.features import dihedrals
from molnet.units import KB, energy_unit

KCAL: Final = energy_unit("kcal/mol")
CIRCLE: Final = (-np.pi, np.pi)


@dataclass(frozen=True, eq=False)
class Surface:
    """How often the bins of a plane were visited; `x` and `y` are their edges, `temperature` is in K.

    Its free energy is −kT ln p, which needs no reweighting where the samples are those of the Boltzmann distribution.
    """

    counts: Float[ndarray, "x y"]
    x: Float[ndarray, " x_edges"]
    y: Float[ndarray, " y_edges"]
    temperature: float

    @classmethod
    def of(
        cls,
        x: Float[ndarray, " samples"],
        y: Float[ndarray, " samples"],
        *,
        temperature: float,
        bins: int = 36,
        ranges: tuple[tuple[float, float], tuple[float, float]] = (CIRCLE, CIRCLE),
    ) -> Surface:
        """Count samples, by default of two angles (radians); ValueError where none lies within the ranges."""
        counts, x_edges, y_edges = np.histogram2d(x, y, bins=bins, range=ranges)
        if not counts.any():
            raise ValueError(f"none of the {len(x)} samples lies within {ranges[0]} and {ranges[1]}.")
        return cls(counts, x_edges, y_edges, temperature)

    @property
    def probability(self) -> Float[ndarray, "x y"]:
        return self.counts / self.counts.sum()

    @property
    def free_energy(self) -> Float[ndarray, "x y"]:
        """−kT ln p in eV, zero where it is lowest and NaN in bins that weren't visited."""
        p = np.where(self.counts > 0, self.probability, np.nan)
        return -KB * self.temperature * np.log(p / np.nanmax(p))


class Distance(NamedTuple):
    """How far a model's surface is from the reference's.

    The Jensen–Shannon divergence ½ KL(p|m) + ½ KL(q|m) with m = (p + q)/2, and the Kullback–Leibler divergence
    KL(p|q) = Σ p ln(p/q) of the reference p from the model q, in nats; half a count in every bin that either has
    visited keeps the latter finite. The mean square difference of the free energies is over bins that both have
    visited, (kcal/mol)², after the shift that makes it smallest.
    """

    jensen_shannon: float
    kullback_leibler: float
    mean_square: float


def distance(model: Surface, reference: Surface) -> Distance:
    """Compare two surfaces on the same bins; ValueError where the bins differ."""
    if not (np.array_equal(model.x, reference.x) and np.array_equal(model.y, reference.y)):
        raise ValueError("the surfaces have different bins; make both with the same bins and ranges.")
    p, q = reference.probability.ravel(), model.probability.ravel()
    visited, both = (p > 0) | (q > 0), (p > 0) & (q > 0)
    smooth = [(surface.counts.ravel() + 0.5)[visited] for surface in (reference, model)]
    difference = (model.free_energy.ravel() - reference.free_energy.ravel())[both] / KCAL
    return Distance(
        jensen_shannon=float(jensenshannon(p, q) ** 2),
        kullback_leibler=float(entropy(*smooth)),
        mean_square=float(np.var(difference)) if both.any() else np.nan,
    )


class Basin(NamedTuple):
    """A rectangle of two angles in degrees; a range whose end is below its start goes through ±180°."""

    x: tuple[float, float]
    y: tuple[float, float]

    def holds(self, x: Float[ndarray, "*n"], y: Float[ndarray, "*n"]) -> Bool[ndarray, "*n"]:
        """Whether points (radians) lie in it."""
        return _between(np.degrees(x), *self.x) & _between(np.degrees(y), *self.y)


def _between(degrees: Float[ndarray, "*n"], low: float, high: float) -> Bool[ndarray, "*n"]:
    # A range from −180 to 180 is the whole circle, not nothing.
    return (degrees - low) % 360 < ((high - low) % 360 or 360)


ALANINE: Final[Mapping[str, Basin]] = {
    "α": Basin((-180, 0), (-120, 50)),
    "β/PII": Basin((-180, 0), (50, -120)),
    "left-handed": Basin((0, 180), (-180, 180)),
}
"""Basins of alanine dipeptide in (φ, ψ) that share the plane among them."""


class Population(NamedTuple):
    """The part of all samples that lies in a basin, and its standard error."""

    value: float
    error: float


def populations(
    trajectories: Sequence[tuple[Float[ndarray, " _"], Float[ndarray, " _"]]],
    basins: Mapping[str, Basin] = ALANINE,
    *,
    blocks: int = 20,
    seed: int = 0,
) -> dict[str, Population]:
    """The basins' populations in trajectories of two angles (radians), with errors from a bootstrap.

    Drawn with replacement are whole trajectories or, where there are fewer than `blocks`, parts of them, so that
    frames that follow each other stay together.
    """
    pieces = max(1, -(-blocks // len(trajectories)))
    cut = [(np.array_split(x, pieces), np.array_split(y, pieces)) for x, y in trajectories]
    parts = [part for xs, ys in cut for part in zip(xs, ys, strict=True)]
    sizes = np.array([len(x) for x, _ in parts], dtype=float)
    drawn = np.random.default_rng(seed).integers(len(parts), size=(1000, len(parts)))
    found = {}
    for name, basin in basins.items():
        inside = np.array([basin.holds(x, y).sum() for x, y in parts], dtype=float)
        again = inside[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        found[name] = Population(float(inside.sum() / sizes.sum()), float(again.std()))
    return found


def dihedral_angles(
    positions: Float[ndarray, "frames beads 3"], quadruples: Sequence[Sequence[int]]
) -> Float[ndarray, "angles frames"]:
    """The dihedral angles (radians) of every frame, such as φ and ψ."""
    frames, n = positions.shape[:2]
    found = []
    for quadruple in quadruples:
        index = torch.tensor(quadruple).unsqueeze(1) + n * torch.arange(frames)
        found.append(dihedrals(torch.from_numpy(positions.reshape(-1, 3)), index).numpy())
    return np.stack(found)
