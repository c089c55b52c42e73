"""Multilayer perceptrons: exclusive or, width, depth and linear pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from torch import nn

from molnet.nn.activations import Arctan, Logistic, ReLU, SiLU, Softsign, Tanh
from molnet.nn.mlp import MLP, ResidualMLP
from molnet.nn.regions import linear_regions
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss, regression_loss
from molnet.train.log import quiet
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

SQUARE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])


def exclusive_or(data: Path, folder: Path) -> str:
    x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
    batches, right = ArrayBatches(x, y), 0
    activations = [Logistic(), Tanh(), Arctan(), Softsign(), ReLU(), SiLU()]
    for activation in activations:
        with seeded(1), quiet():
            network = MLP([2, 8, 2], activation=activation)
            found = fit(
                network, classification_loss, batches, batches, recipe=Recipe(epochs=300, learning_rate=0.05, ema=0)
            )
        right += found.rows[-1]["valid_accuracy"] == 1
    return f"{right} of {len(activations)} activations learn it"


def error(network: nn.Module, epochs: int) -> float:
    x = torch.linspace(-4, 4, 256)[:, None]
    batches = ArrayBatches(x, torch.sin(2 * x) + x.abs() / 8, size=32)
    with quiet():
        found = fit(network, regression_loss, batches, batches, recipe=Recipe(epochs=epochs, learning_rate=1e-2, ema=0))
    return min(row["valid_loss"] for row in found.rows) ** 0.5


def width(data: Path, folder: Path) -> str:
    widths, errors = [2, 4, 8, 16, 32, 64], []
    for number in widths:
        found = []
        for seed in range(3):
            with seeded(seed):
                found.append(error(MLP([1, number, 1], activation=Tanh()), 150))
        errors.append(sorted(found)[1])
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.loglog(widths, errors, "o-")
    axes.set(xlabel="hidden units", ylabel="RMS error")
    figure.savefig(folder / "width.svg")
    return ", ".join(f"{n}: {e:.3f}" for n, e in zip(widths, errors, strict=True))


def depth(data: Path, folder: Path) -> str:
    with seeded(0):
        plain = MLP([1, *[16] * 40, 1], activation=Logistic())
        residual = ResidualMLP((1, 16, 1), blocks=20, activation=Logistic())
    return f"RMS error {error(plain, 60):.3f} plain, {error(residual, 60):.3f} residual"


def pieces(data: Path, folder: Path) -> str:
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    counts = []
    for axes, widths in zip(figure.subplots(1, 3), ([2, 24, 1], [2, 12, 12, 1], [2, 8, 8, 8, 1]), strict=True):
        with seeded(0):
            network = MLP(widths, activation=ReLU())
            for layer in network.layers:
                nn.init.uniform_(layer.bias, -1, 1)
        parts = linear_regions(network, SQUARE)
        colors = np.random.default_rng(0).random(len(parts))
        axes.add_collection(PolyCollection(parts, array=colors, cmap="Pastel1", edgecolor="k", linewidth=0.3))
        axes.set(xlim=(-1, 1), ylim=(-1, 1), title=f"{widths[1:-1]}: {len(parts)} pieces", aspect="equal")
        counts.append(f"{widths[1:-1]} {len(parts)}")
    figure.savefig(folder / "regions.png", dpi=90)
    return ", ".join(counts)


IMPORT = "from molnet.nn import MLP, ResidualMLP"
REGIONS = "from molnet.nn import linear_regions"
ROWS = [
    Row("mlp: exclusive or", IMPORT, "4 corners", "all activations", exclusive_or),
    Row("mlp: width", IMPORT, "sin 2x + |x|/8, median of 3 seeds", "the error falls", width),
    Row("mlp: depth", IMPORT, "40 hidden layers", "residual learns", depth),
    Row("mlp: linear pieces of 24 units", REGIONS, "a square of inputs", "counted", pieces),
]
