"""The 10,000 test images of MNIST: 8,000 to train with (500 of these to validate), 2,000 to test, by a fixed seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor, nn

DATA = "MNIST test file, 8,000/2,000"
VALID = 500


@dataclass(frozen=True)
class Part:
    """Images in [0, 1] and their labels."""

    images: Float[Tensor, "images 1 28 28"]
    labels: Int[Tensor, " images"]

    def __getitem__(self, rows: slice) -> Part:
        return Part(self.images[rows], self.labels[rows])

    @property
    def pixels(self) -> Float[Tensor, "images 784"]:
        """The images as rows."""
        return self.images.flatten(1)


@dataclass(frozen=True)
class Mnist:
    """The parts that `RandomState(20261120).permutation` makes."""

    train: Part
    valid: Part
    test: Part


def read(data: Path) -> Mnist:
    """The images below a folder of shared data, or of the file itself."""
    path = data / "dlcore" / "mnist_t10k.npz" if data.is_dir() else data
    with np.load(path) as file:
        images = torch.from_numpy(file["images"]).float()[:, None] / 255
        labels = torch.from_numpy(file["labels"].astype(np.int64))
    order = torch.from_numpy(np.random.RandomState(20261120).permutation(len(images)))
    parts = order.split([8000 - VALID, VALID, 2000])
    return Mnist(*(Part(images[rows], labels[rows]) for rows in parts))


def accuracy(module: nn.Module, part: Part) -> float:
    """The percentage of images that a network in eval mode labels rightly."""
    module.eval()
    with torch.no_grad():
        found = torch.cat([module(images).argmax(dim=1) for images in part.images.split(500)])
    return 100 * float((found == part.labels).float().mean())


def draw(rows: Sequence[Float[Tensor, "images ..."]], titles: Sequence[str], path: Path) -> None:
    """Rows of images below each other, each with its title."""
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(0.7 * columns, 0.9 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    for axes, row, title in zip(grid, rows, titles, strict=True):
        axes[0].set_title(title, loc="left", fontsize=8)
        for axis, image in zip(axes, row, strict=False):
            axis.imshow(image.detach().reshape(28, 28), cmap="gray_r")
    figure.savefig(path, dpi=120)
