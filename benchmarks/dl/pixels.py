"""A recurrent stack on several time scales: digits read pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import torch
from dl import mnist
from dl.rows import Row
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from molnet.nn.recurrent import DilatedStack, SequenceClassifier, orthogonal_
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


class PixelByPixel(SequenceClassifier):
    """Reads 196 numbers row by row, each the mean of four pixels."""

    def forward(self, images: Tensor) -> Tensor:
        x = functional.avg_pool2d(images, 2).flatten(2).transpose(1, 2)
        return super().forward(x, torch.ones(x.shape[:2], dtype=torch.bool))


def pixel_by_pixel(data: Path, folder: Path, *, epochs: int = 3, channels: int = 32) -> str:
    """Accuracy on the 2,000 by four layers of GRUs whose upper ones skip places, and by the same layers without."""
    parts = mnist.read(data)
    names = {"every 1st, 4th, 16th, 64th place": (1, 4, 16, 64), "every place": (1, 1, 1, 1)}
    networks, right = [], []
    for dilations in names.values():
        with seeded(0):
            layers = orthogonal_(DilatedStack(nn.GRU, 1, channels, dilations))
            networks.append(PixelByPixel(nn.Identity(), layers, 10))
        train, valid = (ArrayBatches(part.images, part.labels) for part in (parts.train, parts.valid))
        recipe = Recipe(epochs=epochs, learning_rate=5e-3, clip_norm=1.0, ema=0.9)
        fit(networks[-1], classification_loss, train, valid, recipe=recipe)
        right.append(mnist.accuracy(networks[-1], parts.test))
    titles = [f"{name}: {share:.1f} %" for name, share in zip(names, right, strict=True)]
    draw_reach(parts.test.images[0], [reach(network, parts.test[:200]) for network in networks], titles, folder)
    return f"{right[0]:.1f} % (the same layers without skipping {right[1]:.1f} %)"


def reach(network: nn.Module, part: mnist.Part) -> Tensor:
    """Mean size of the gradient of −ln p(label) with respect to each number that was read, [14, 14]."""
    images = part.images.clone().requires_grad_()
    loss = functional.cross_entropy(network(images), part.labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images)
    return gradient[:, 0, ::2, ::2].abs().mean(dim=0)


def draw_reach(image: Tensor, reached: list[Tensor], titles: list[str], folder: Path) -> None:
    """A digit as it is read, and what the answers depend on."""
    figure = Figure(figsize=(9, 3.1), layout="constrained")
    grid = figure.subplots(1, 1 + len(reached))
    top = float(torch.stack(reached).max())
    grid[0].imshow(functional.avg_pool2d(image, 2)[0].numpy(), cmap="gray_r")
    for axes, values in zip(grid[1:], reached, strict=True):
        shown = axes.imshow(values.numpy(), cmap="magma", norm=LogNorm(0.003 * top, top))
    for axes, title in zip(grid, ["read row by row, from the top", *titles], strict=True):
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=list(grid), label="gradient of the loss", shrink=0.9)
    figure.savefig(folder / "pixel_by_pixel.png", dpi=150)


ROWS = [
    Row(
        "digits read pixel by pixel",
        "from molnet.nn import DilatedStack, SequenceClassifier",
        "MNIST test file, 8,000/2,000, in 196 steps",
        "above the same layers without skipping",
        pixel_by_pixel,
    )
]
