"""A variational autoencoder on MNIST, and the same with labels as conditions."""

from __future__ import annotations

from pathlib import Path

import torch
from dl.mnist import DATA, Mnist, Part, draw, read
from dl.rows import Row
from torch import Tensor
from torch.nn import functional

from molnet.nn.distortions import DistortedBatches, Distortion
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.nn.variational import VariationalAutoencoder
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

LATENT, HIDDEN = 24, 500
SLIGHT = Distortion(rotation=0.1, scale=0.1, shear=0.1, shift=0.03, elastic=0.5)


def binary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of pixels that are 1 with the probability of their brightness."""
    return torch.bernoulli(images.flatten(1).clamp(0, 1), generator=generator)


def distorted(images: Tensor, generator: torch.Generator) -> Tensor:
    """The same of slightly distorted images."""
    return binary(SLIGHT(images, generator), generator)


def conditions(part: Part, classes: int) -> list[Tensor]:
    """The labels as conditions, or nothing for no classes."""
    return [functional.one_hot(part.labels, classes).float()] if classes else []


def trained(mnist: Mnist, classes: int, *, epochs: int = 100) -> tuple[VariationalAutoencoder, float]:
    """The model and the mean of its bound on the test images, in nats."""
    with seeded(0):
        encoder, decoder = (
            MLP([784 + classes, HIDDEN, HIDDEN, 2 * LATENT]),
            MLP([LATENT + classes, HIDDEN, HIDDEN, 784]),
        )
    module = VariationalAutoencoder(encoder, decoder, latent=LATENT)
    train = DistortedBatches(ArrayBatches(mnist.train.images, *conditions(mnist.train, classes)), distorted)
    generator = torch.Generator().manual_seed(0)
    valid, test = (
        ArrayBatches(binary(part.images, generator), *conditions(part, classes), size=500)
        for part in (mnist.valid, mnist.test)
    )
    fit(module, own_loss, train, valid, recipe=Recipe(epochs=epochs, learning_rate=1e-3, ema=0.99))
    with torch.no_grad():
        nats = torch.cat([module.losses(batch)["nats"] for batch in test.epoch(0)])
    return module, nats.mean().item()


def autoencoder(data: Path, folder: Path) -> str:
    """The bound without conditions, with samples drawn."""
    module, nats = trained(read(data), 0)
    draw([module.sample(10, torch.Generator().manual_seed(0))], ["samples"], folder / "variational.png")
    return f"{nats:.1f} nats"


def conditional(data: Path, folder: Path) -> str:
    """The bound with labels as conditions, with samples of each digit drawn."""
    module, nats = trained(read(data), 10)
    generator = torch.Generator().manual_seed(0)
    rows = [module.sample(10, generator, condition=torch.eye(10)) for _ in range(3)]
    draw(rows, ["samples of each digit", "", ""], folder / "conditional.png")
    return f"{nats:.1f} nats"


IMPORT = "from molnet.nn import VariationalAutoencoder"
ROWS = [
    Row("variational autoencoder", IMPORT, f"{DATA}, binarized by chance", "105 nats", autoencoder),
    Row("conditional variational autoencoder", IMPORT, f"{DATA}, binarized by chance", "told", conditional),
]
