"""Optimizers on a saddle, in a ravine and on a network, and gradients by depth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn, optim

from molnet.nn.activations import Logistic, ReLU, Tanh
from molnet.nn.mlp import MLP, ResidualMLP
from molnet.nn.optimizers import (
    NaturalGradient,
    categorical,
    gradient_norms,
    initialize,
    ravine,
    saddle,
    trajectory,
)
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss
from molnet.train.log import quiet
from molnet.train.loop import fit
from molnet.train.recipe import Constant, Recipe

OPTIMIZERS = {
    "SGD": partial(optim.SGD, lr=0.035),
    "momentum": partial(optim.SGD, lr=0.035, momentum=0.7),
    "AdaGrad": partial(optim.Adagrad, lr=0.5),
    "AdaDelta": partial(optim.Adadelta, lr=30.0),
    "RMSProp": partial(optim.RMSprop, lr=0.05),
    "Adam": partial(optim.Adam, lr=0.1),
}


def draw_paths(axes: Axes, function: Callable[[Tensor], Tensor], start: Tensor, box: tuple[float, float]) -> None:
    x, y = torch.meshgrid(torch.linspace(-box[0], box[0], 40), torch.linspace(-box[1], box[1], 40), indexing="xy")
    axes.contour(x, y, function(torch.stack([x, y])), 10, colors="0.8", linewidths=0.5)
    for name, optimizer in OPTIMIZERS.items():
        path = trajectory(function, start, optimizer, steps=60)
        axes.plot(path[:, 0], path[:, 1], ".-", markersize=3, linewidth=1, label=name)
    axes.set(xlim=(-box[0], box[0]), ylim=(-box[1], box[1]))


def paths(data: Path, folder: Path) -> str:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_paths(left, ravine, torch.tensor([5.0, 1.0]), (6.0, 1.5))
    draw_paths(right, saddle, torch.tensor([1.0, 1e-3]), (1.2, 1.2))
    left.set_title("a ravine, ½(x² + 50 y²)")
    right.set_title("a saddle, x² − y², 60 steps from (1, 0.001)")
    left.legend(fontsize=7, ncols=2)
    figure.savefig(folder / "trajectories.png", dpi=90)
    start = torch.tensor([5.0, 1.0])
    ends = {name: float(ravine(trajectory(ravine, start, o, steps=60)[-1])) for name, o in OPTIMIZERS.items()}
    return "ravine after 60 steps: " + ", ".join(f"{name} {value:.1g}" for name, value in ends.items())


def depth(data: Path, folder: Path) -> str:
    he = partial(nn.init.kaiming_normal_, nonlinearity="relu")
    width, layers = 32, 30
    plain = [width] * (layers + 1)
    made: dict[str, tuple[nn.Module, Callable[[Tensor], object] | None]] = {
        "logistic, Glorot": (MLP(plain, activation=Logistic()), nn.init.xavier_normal_),
        "tanh, Glorot": (MLP(plain, activation=Tanh()), nn.init.xavier_normal_),
        "tanh, orthogonal": (MLP(plain, activation=Tanh()), nn.init.orthogonal_),
        "ReLU, Glorot": (MLP(plain, activation=ReLU()), nn.init.xavier_normal_),
        "ReLU, He": (MLP(plain, activation=ReLU()), he),
        "ReLU, residual": (ResidualMLP((width, width, width), blocks=layers // 2, activation=ReLU()), he),
    }
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    axes, ratios = figure.subplots(), []
    for name, (network, draw) in made.items():
        with seeded(0):
            x, direction = torch.randn(256, width), torch.randn(width)
            initialize(network, draw)
        norms = np.array(gradient_norms(network, (network(x) @ direction).mean()))
        axes.semilogy(norms, label=name)
        ratios.append(f"{name} {norms[0]:.0e} and {norms[-1]:.0e}")
    axes.set(xlabel="weight matrix, from the input on", ylabel="root mean square gradient")
    axes.legend(fontsize=7)
    figure.savefig(folder / "gradient_norms.svg")
    return "first and last: " + ", ".join(ratios)


def natural(data: Path, folder: Path) -> str:
    """Inputs of very different sizes, turned so that no optimizer can scale them one by one."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(512, 10, generator=generator)
    labels = (x[:, 0] + x[:, 9] > 0).long()
    turn = torch.linalg.qr(torch.randn(10, 10, generator=generator))[0]
    batches = ArrayBatches(x * torch.logspace(-1, 1, 10) @ turn, labels, size=128)
    recipe = Recipe(epochs=15, ema=0, clip_norm=None, schedule=Constant())
    makers = {
        "SGD": lambda m, lr: optim.SGD(m.parameters(), lr),
        "Adam": lambda m, lr: optim.Adam(m.parameters(), lr),
        "natural": lambda m, lr: NaturalGradient(m, categorical, lr=lr, damping=1e-3),
    }
    best = {}
    for name, make in makers.items():
        found = []
        for lr in (0.01, 0.03, 0.1, 0.3, 1.0):
            with seeded(0), quiet():
                module = MLP([10, 16, 2], activation=Tanh())
                history = fit(module, classification_loss, batches, batches, recipe=recipe, optimizer=make(module, lr))
            found.append((min(row["valid_loss"] for row in history.rows), lr))
        best[name] = min(found)
    return "loss after 60 steps: " + ", ".join(f"{n} {loss:.3f} (rate {lr})" for n, (loss, lr) in best.items())


IMPORT = "from molnet.nn import trajectory, gradient_norms, initialize"
ROWS = [
    Row("optimizers: ravine and saddle", IMPORT, "two functions", "a figure", paths),
    Row("optimizers: gradients by depth", IMPORT, "30 layers", "a figure", depth),
    Row("optimizers: natural gradient", "from molnet.nn import NaturalGradient", "made", "below SGD", natural),
]
