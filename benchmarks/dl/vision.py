"""Filters with names and convolutional networks on MNIST, with distorted images and without; what units look for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from dl.mnist import DATA, Mnist, Part, accuracy, draw, read
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor, nn

from molnet.nn.convolution import FILTERS, filter_images, gaussian_filter, toeplitz
from molnet.nn.distortions import DistortedBatches, Distortion
from molnet.nn.seeding import seeded
from molnet.nn.vision import AlexNet, Inception, LeNet1, LeNet5, ResNet
from molnet.nn.visualization import maximize_activation
from molnet.train.arrays import ArrayBatches, classification_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def filtered(data: Path, folder: Path) -> str:
    """The largest difference of filtered test images from products with Toeplitz matrices, over their largest value."""
    images = read(data).test.images
    kernels = {**FILTERS, "Gaussian, σ = 1": gaussian_filter(1.0)}
    found = {name: filter_images(images, kernel) for name, kernel in kernels.items()}
    differences = []
    for name, kernel in kernels.items():
        matrix = toeplitz(kernel[None, None], images.shape[2:], padding=len(kernel) // 2)
        products = (images.flatten(1) @ matrix.T).reshape(images.shape)
        differences.append(float((products - found[name]).abs().max() / products.abs().max()))
    draw_filtered({name: rows[:6, 0] for name, rows in found.items()}, folder / "filters.png")
    return f"{len(kernels)} filters of {len(images)} images, within {max(differences):.0e} of the largest value"


def draw_filtered(rows: dict[str, Tensor], path: Path) -> None:
    """A row of images for each filter, with the same scale within a row: zero white, positive gray, negative red."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    grid = figure.subplots(len(rows), len(next(iter(rows.values()))))
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        for axis, image in zip(axes, images, strict=True):
            axis.imshow(image, cmap="RdGy", vmin=-images.abs().max(), vmax=images.abs().max())
            axis.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=120)


def train(module: nn.Module, mnist: Mnist, distortion: Distortion | None, *, epochs: int) -> float:
    """Trains a classifier and returns its accuracy on the test images, in per cent."""
    batches = _batches(mnist.train)
    used = DistortedBatches(batches, distortion) if distortion else batches
    recipe = Recipe(epochs=epochs, learning_rate=3e-3, weight_decay=0.01, ema=0.99)
    fit(module, classification_loss, used, _batches(mnist.valid), recipe=recipe)
    return accuracy(module, mnist.test)


def lenet(data: Path, folder: Path) -> str:
    """LeNet-5 with distorted images, with plain ones, and distorted images drawn."""
    mnist, found = read(data), []
    for distortion in (Distortion(), None):
        with seeded(0):
            network = LeNet5()
        found.append(train(network, mnist, distortion, epochs=60))
    generator = torch.Generator().manual_seed(0)
    images = mnist.train.images[:10]
    draw([images, Distortion()(images, generator)], ["images", "distorted"], folder / "distortions.png")
    return f"{found[0]:.2f} % (without distortions {found[1]:.2f} %)"


def resnet(data: Path, folder: Path) -> str:
    """A small ResNet with distorted images."""
    with seeded(0):
        network = ResNet(1, 10, blocks=1)
    return f"{train(network, read(data), Distortion(), epochs=30):.2f} %"


def visualized(data: Path, folder: Path) -> str:
    """Inputs that excite the ten classes of a LeNet-5 most, found from gray, and what it says of them."""
    with seeded(0):
        network = LeNet5()
    found, rows = train(network, read(data), Distortion(), epochs=12), torch.arange(10)
    images = maximize_activation(lambda x: network(x)[rows, rows], torch.full((10, 1, 28, 28), 0.1), steps=100)
    draw([images], ["what excites the ten classes"], folder / "classes.png")
    with torch.no_grad():
        sure = network(images).softmax(dim=1)[rows, rows]
    return f"{int((sure > 0.5).sum())} of 10 classes, with probabilities from {sure.min():.2f} (accuracy {found:.2f} %)"


def distorted(make: Callable[[], nn.Module], epochs: int) -> Callable[[Path, Path], str]:
    """The recipe of a network that is trained with distorted images."""

    def run(data: Path, folder: Path) -> str:
        with seeded(0):
            network = make()
        return f"{train(network, read(data), Distortion(), epochs=epochs):.2f} %"

    return run


def alexnet() -> nn.Module:
    """Its layers at a twelfth of their width."""
    return AlexNet(1, 10, width=8)


def inception() -> nn.Module:
    """A convolution, two inception blocks at half and a quarter of the resolution, and the mean over the image."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2, stride=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(Inception(16, narrow=8, middle=16, wide=4, pooled=4), nn.MaxPool2d(2)),
        Inception(32, narrow=16, middle=32, wide=8, pooled=8),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def _batches(part: Part) -> ArrayBatches:
    return ArrayBatches(part.images, part.labels)


ROWS = [
    Row(
        "image filters with names",
        "from molnet.nn import FILTERS, filter_images, gaussian_filter, toeplitz",
        DATA,
        "products with Toeplitz matrices, within 1e-6",
        filtered,
    ),
    Row("LeNet-5", "from molnet.nn import LeNet5", DATA, "≥ 98.5 %, better than without", lenet),
    Row("ResNet", "from molnet.nn import ResNet", DATA, "≥ 99 %", resnet),
    Row("LeNet-1", "from molnet.nn import LeNet1", DATA, "reported", distorted(LeNet1, 30)),
    Row("AlexNet's layers", "from molnet.nn import AlexNet", DATA, "reported", distorted(alexnet, 12)),
    Row("two inception blocks", "from molnet.nn import Inception", DATA, "reported", distorted(inception, 15)),
    Row("feature visualization", "from molnet.nn import maximize_activation", DATA, "a figure", visualized),
]
