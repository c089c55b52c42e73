"""A variational autoencoder on MNIST, the same with labels as conditions, and with other weights of the divergence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from dl.mnist import DATA, Mnist, Part, draw, read
from dl.rows import Row
from matplotlib.figure import Figure
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


def trained(
    mnist: Mnist, classes: int, *, beta: float = 1.0, epochs: int = 100
) -> tuple[VariationalAutoencoder, dict[str, float]]:
    """The model, and the means of its bound and of the bound's parts on the test images, in nats."""
    with seeded(0):
        encoder, decoder = (
            MLP([784 + classes, HIDDEN, HIDDEN, 2 * LATENT]),
            MLP([LATENT + classes, HIDDEN, HIDDEN, 784]),
        )
    module = VariationalAutoencoder(encoder, decoder, latent=LATENT, beta=beta)
    train = DistortedBatches(ArrayBatches(mnist.train.images, *conditions(mnist.train, classes)), distorted)
    generator = torch.Generator().manual_seed(0)
    valid, test = (
        ArrayBatches(binary(part.images, generator), *conditions(part, classes), size=500)
        for part in (mnist.valid, mnist.test)
    )
    fit(module, own_loss, train, valid, recipe=Recipe(epochs=epochs, learning_rate=1e-3, ema=0.99))
    with torch.no_grad():
        parts = [module.losses(batch) for batch in test.epoch(0)]
    return module, {name: torch.cat([part[name] for part in parts]).mean().item() for name in parts[0]}


def autoencoder(data: Path, folder: Path) -> str:
    """The bound without conditions, with samples drawn."""
    module, found = trained(read(data), 0)
    draw([module.sample(10, torch.Generator().manual_seed(0))], ["samples"], folder / "variational.png")
    return f"{found['nats']:.1f} nats"


def conditional(data: Path, folder: Path) -> str:
    """The bound with labels as conditions, with samples of each digit drawn."""
    module, found = trained(read(data), 10)
    generator = torch.Generator().manual_seed(0)
    rows = [module.sample(10, generator, condition=torch.eye(10)) for _ in range(3)]
    draw(rows, ["samples of each digit", "", ""], folder / "conditional.png")
    return f"{found['nats']:.1f} nats"


def betas(data: Path, folder: Path, *, weights: tuple[float, ...] = (0.25, 1.0, 4.0, 16.0), epochs: int = 12) -> str:
    """Reconstruction against divergence by the weight of the divergence, with what each model gives back."""
    mnist, found, rows = read(data), [], [read(data).test.pixels[:10]]
    for beta in weights:
        module, parts = trained(mnist, 0, beta=beta, epochs=epochs)
        with torch.no_grad():
            mean, log_variance = module.encode(mnist.test.pixels)
            rows.append(module(rows[0]))
        each = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).mean(dim=0)
        found.append((parts["divergence"], parts["reconstruction"], int((each > 0.05).sum())))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    left.plot([d for d, _, _ in found], [r for _, r, _ in found], "o-")
    for beta, (divergence, reconstruction, _) in zip(weights, found, strict=True):
        left.annotate(f"β = {beta:g}", (divergence, reconstruction), (5, 5), textcoords="offset points")
    left.set(xlabel="divergence, nats", ylabel="reconstruction, nats")
    left.margins(0.2)
    right.imshow(np.vstack([np.hstack(list(row.reshape(-1, 28, 28))) for row in rows]), cmap="gray_r", vmin=0, vmax=1)
    right.set(xticks=[], yticks=[14 + 28 * k for k in range(len(rows))])
    right.set_yticklabels(["test", *(f"β = {beta:g}" for beta in weights)])
    figure.savefig(folder / "beta.png", dpi=100)
    each = (f"β = {b:g}: {r:.1f} + {d:.1f} nats, {n} of {LATENT}" for b, (d, r, n) in zip(weights, found, strict=True))
    return "reconstruction + divergence, variables in use: " + "; ".join(each)


IMPORT = "from molnet.nn import VariationalAutoencoder"
ROWS = [
    Row("variational autoencoder", IMPORT, f"{DATA}, binarized by chance", "≤ 105 nats", autoencoder),
    Row("conditional variational autoencoder", IMPORT, f"{DATA}, binarized by chance", "reported", conditional),
    Row(
        "variational autoencoder, weight β of the divergence", IMPORT, f"{DATA}, binarized by chance", "a figure", betas
    ),
]
