"""Boltzmann generators: free energies of a double well, and of alanine dipeptide in five beads."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from cg_ala2 import cgnet, published
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.features.zmatrix import UnboundedCoordinates, ZMatrix
from molnet.nn.boltzmann_generators import BoltzmannGenerator, Weighted
from molnet.nn.flows import Flow, RationalQuadratic
from molnet.nn.seeding import seeded
from molnet.potential import Sum
from molnet.priors import HarmonicAngles, HarmonicBonds, PeriodicDihedrals
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.generators import ReducedEnergy
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from molnet.units import KB

CIRCLE = torch.linspace(-math.pi, math.pi, 37, dtype=torch.float64)


def double_well(x: Tensor) -> Tensor:
    """Minima near ±2.4, the left one 5 kT deeper, behind a barrier of 11 kT. Source: Noé et al. 2019, the form of u."""
    return 0.25 * x[:, 0] ** 4 - 3 * x[:, 0] ** 2 + x[:, 0] + 0.5 * x[:, 1] ** 2


def wells(data: Path, folder: Path) -> str:
    """ΔF of both wells by a flow that got as many examples of each, beside the quadrature."""
    examples = torch.randn((2000, 2), generator=torch.Generator().manual_seed(0))
    examples[:, 0] = 0.35 * examples[:, 0] + 2.4 * torch.tensor([1.0, -1.0]).repeat(1000)
    with seeded(0):
        flow = Flow(2, couplings=6, hidden=[64, 64], elementwise=RationalQuadratic(bins=8, bound=5.0))
    model = BoltzmannGenerator(flow, double_well)
    train, valid = ArrayBatches(examples[:1800], size=200), ArrayBatches(examples[1800:], size=200)
    fit(model, own_loss, train, valid, recipe=Recipe(epochs=40, learning_rate=3e-3, ema=0.99))
    found = model.sample(100_000, torch.Generator().manual_seed(1))
    difference = found.difference(found.points[:, 0] < 0, found.points[:, 0] > 0)

    grid = torch.linspace(-4, 4, 801, dtype=torch.float64)
    exact = double_well(torch.stack([grid, 0 * grid], dim=1))
    expected = -math.log((-exact[grid > 0]).exp().sum() / (-exact[grid < 0]).exp().sum())
    edges = torch.linspace(-3.5, 3.5, 71, dtype=torch.float64)
    profile = found.profile(found.points[:, 0].double(), edges)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*found.points[:3000].T, ".", markersize=1)
    left.set(title="points of the flow, not reweighted", xlabel="x", ylabel="y", xlim=(-4, 4), ylim=(-4, 4))
    right.plot(grid, exact - exact.min(), "k", linewidth=1, label="exact")
    right.plot(0.5 * (edges[1:] + edges[:-1]), profile, "o", markersize=3, label="reweighted")
    right.set(xlabel="x", ylabel="F, kT", xlim=(-3.6, 3.6), ylim=(-0.5, 20))
    right.legend()
    figure.savefig(folder / "double_well.png", dpi=120)
    return f"{difference.value:.2f} ± {difference.error:.2f} kT; quadrature {expected:.2f}"


def generator(energy: ReducedEnergy, conformations: Conformations) -> BoltzmannGenerator:
    """Trained on the published frames, whose distribution isn't the potential's, and on the potential's energy."""
    x = energy.coordinates.points(torch.from_numpy(conformations.positions)).float()
    x = x[torch.from_numpy(np.random.default_rng(0).permutation(len(x)))]
    with seeded(0):
        flow = Flow(x.shape[1], couplings=5, hidden=[64, 64], elementwise=RationalQuadratic(bins=8, bound=4.0))
    model = BoltzmannGenerator(flow, energy, ceiling=100.0)
    train, valid = ArrayBatches(x[:9000], size=300), ArrayBatches(x[9000:], size=1000)
    fit(model, own_loss, train, valid, recipe=Recipe(epochs=20, learning_rate=3e-3, ema=0.99))
    return model


def reference(potential: Sum, data: Conformations, count: int) -> tuple[Tensor, Weighted]:
    """φ and ψ of points of the bonded priors, whose coordinates are independent, weighted to the whole potential."""
    rng, kT = np.random.default_rng(0), KB * data.temperature
    species = data.molecule.species
    grids = {
        HarmonicBonds: (np.linspace(1.0, 2.0, 4001), lambda r: r**2),
        HarmonicAngles: (np.linspace(0.5, math.pi, 4001), np.sin),
        PeriodicDihedrals: (np.linspace(-math.pi, math.pi, 4001), np.ones_like),
    }
    matrix, drawn = ZMatrix.of(data.molecule), {}
    bonded = [term for term in potential.terms if isinstance(term, tuple(grids))]
    for prior, k in zip(bonded, (2, 3, 4), strict=True):
        grid, volume = grids[type(prior)]
        columns = []
        for row in (row[:k] for row in matrix.rows if len(row) >= k):
            density = volume(grid) * np.exp(-prior.profile([species[bead] for bead in row], grid) / kT)
            columns.append(np.interp(rng.uniform(size=count), np.cumsum(density) / density.sum(), grid))
        drawn[k] = torch.from_numpy(np.stack(columns, axis=1))
    rest = Sum(term for term in potential.terms if not isinstance(term, tuple(grids)))
    weights = []
    with torch.no_grad():
        for x in matrix.positions(drawn[2], drawn[3], drawn[4]).float().split(10_000):
            graph = data.molecule.graph(x, cutoff=rest.cutoff)
            weights.append(-graph.sum_atoms(rest(graph)) / kT)
    return drawn[4], Weighted(drawn[4], torch.cat(weights))


def alanine(data: Path, folder: Path) -> str:
    """ΔF of φ > 0 for priors and CGnet, by a flow that saw other examples, and by weighted points of priors."""
    conformations = published(data / "cgnet_ala2" / "ala2_backbone5.npz")
    potential = cgnet(conformations).eval()
    assert isinstance(potential, Sum)
    angles, expected = reference(potential, conformations, 300_000)
    coordinates = UnboundedCoordinates.fit(conformations)
    energy = ReducedEnergy(potential, conformations.molecule, coordinates, conformations.temperature)
    found = generator(energy, conformations).sample(100_000, torch.Generator().manual_seed(1))
    made = _wrapped(coordinates.coordinates(found.points)[2].double())
    mine, theirs = (w.difference(x[:, 0] < 0, x[:, 0] > 0) for w, x in ((found, made), (expected, angles)))

    kept = [
        Weighted(x, w.log_weights).resample(3000, torch.Generator().manual_seed(2))
        for x, w in ((made, found), (angles, expected))
    ]
    examples = coordinates.matrix.coordinates(torch.from_numpy(conformations.positions))[2]
    _draw(
        {"published frames": examples[::3], "Boltzmann generator, weighted": kept[0], "reference": kept[1]},
        {"reference": expected.profile(angles[:, 0], CIRCLE), "generator": found.profile(made[:, 0], CIRCLE)},
        folder / "alanine_generator.png",
    )
    return (
        f"{mine.value:.2f} ± {mine.error:.2f} kT, {100 * found.effective:.0f} % effective; "
        f"reference {theirs.value:.2f} ± {theirs.error:.2f}"
    )


def _wrapped(angles: Tensor) -> Tensor:
    return torch.remainder(angles + math.pi, 2 * math.pi) - math.pi


def _draw(points: dict[str, Tensor], profiles: dict[str, Tensor], path: Path) -> None:
    figure = Figure(figsize=(13, 3.2), layout="constrained")
    *planes, last = figure.subplots(1, len(points) + 1)
    for axes, (name, each) in zip(planes, points.items(), strict=True):
        axes.plot(*each.rad2deg().T, ".", markersize=1)
        axes.set(title=name, xlabel="φ, °", ylabel="ψ, °", xlim=(-180, 180), ylim=(-180, 180))
    middles = (0.5 * (CIRCLE[1:] + CIRCLE[:-1])).rad2deg()
    for (name, values), style in zip(profiles.items(), ("k-", "o"), strict=True):
        last.plot(middles, values, style, markersize=3, label=name)
    last.set(xlabel="φ, °", ylabel="F, kT")
    last.legend()
    figure.savefig(path, dpi=120)


ROWS = [
    Row(
        "Boltzmann generator, double well",
        "from molnet.nn import BoltzmannGenerator",
        "2,000 points, half of them in each well",
        "within 0.3 kT of quadrature",
        wells,
    ),
    Row(
        "Boltzmann generator, alanine dipeptide in beads",
        "from molnet.train.generators import ReducedEnergy",
        "10,000 published frames, and a CGnet fitted to them",
        "within 0.3 kT of the reference",
        alanine,
    ),
]
