"""Normalizing flows on points around a circle, whose entropy is known."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor

from molnet.nn.flows import Affine, Flow, RationalQuadratic
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

RADIUS, SPREAD = 1.5, 0.15


def points(count: int, seed: int) -> Tensor:
    """Points around a circle, with a normal distribution of radii."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    radius = RADIUS + SPREAD * torch.randn(count, generator=generator)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def rings(data: Path, folder: Path) -> str:
    """The divergence KL(circle ‖ flow) by test points, for both kinds of flow; samples are drawn."""
    test, found = points(20_000, 2), []
    # ⟨ln p⟩ = −½ ln 2πe σ² − ln 2π − ⟨ln r⟩
    exact = -0.5 * math.log(2 * math.pi * math.e * SPREAD**2) - math.log(2 * math.pi)
    exact -= test.norm(dim=1).log().mean().item()
    figure = Figure(figsize=(6, 3), layout="constrained")
    for axes, elementwise in zip(figure.subplots(1, 2), (Affine(), RationalQuadratic()), strict=True):
        with seeded(0):
            flow = Flow(2, couplings=6, hidden=[64, 64], elementwise=elementwise)
        train, valid = ArrayBatches(points(10_000, 0), size=200), ArrayBatches(points(2000, 1), size=2000)
        fit(flow, own_loss, train, valid, recipe=Recipe(epochs=30, learning_rate=3e-3, ema=0.99))
        with torch.no_grad():
            found.append(exact - flow.log_prob(test).mean().item())
            drawn, _ = flow.sample(3000, torch.Generator().manual_seed(0))
        axes.plot(*drawn.T, ".", markersize=1)
        axes.set(title=type(elementwise).__name__, aspect="equal", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5))
    figure.savefig(folder / "rings.png", dpi=120)
    return f"KL {found[0]:.3f} nats (RealNVP), {found[1]:.3f} nats (splines)"


ROWS = [
    Row(
        "normalizing flows",
        "from molnet.nn import Affine, Flow, RationalQuadratic",
        "10,000 points around a circle",
        "splines below RealNVP",
        rings,
    )
]
