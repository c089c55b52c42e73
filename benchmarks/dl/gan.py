"""Generative adversarial networks: points around eight centers, and digits beside those of an autoencoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from dl.mnist import DATA, Mnist, draw, read
from dl.rows import Row
from dl.variational import trained as variational
from dl.vision import train as classify
from matplotlib.figure import Figure
from torch import Tensor, nn

from molnet.nn.activations import ReLU
from molnet.nn.distortions import Distortion
from molnet.nn.gan import (
    AdversarialNetworks,
    Game,
    ImageCritic,
    ImageGenerator,
    NonSaturating,
    Wasserstein,
    frechet_distance,
)
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.nn.vision import LeNet5
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

ANGLES = torch.arange(8) * math.pi / 4
CENTERS = 2 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
SPREAD = 0.05


def points(count: int, seed: int) -> Tensor:
    """Points near eight centers on a circle."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(8, (count,), generator=generator)
    return CENTERS[chosen] + SPREAD * torch.randn((count, 2), generator=generator)


def play(module: AdversarialNetworks, train: Tensor, valid: Tensor, *, rates: tuple[float, float], epochs: int) -> None:
    """Trains both players with Adam, each at its own rate."""
    players = zip((module.generator, module.critic), rates, strict=True)
    groups = [{"params": list(player.parameters()), "lr": rate} for player, rate in players]
    optimizer = torch.optim.Adam(groups, betas=(0.5, 0.9))
    batches = ArrayBatches(train), ArrayBatches(valid, size=500)
    # A common limit of the norm would couple the players.
    fit(module, own_loss, *batches, recipe=Recipe(epochs=epochs, clip_norm=None, ema=0.99), optimizer=optimizer)


def eight(data: Path, folder: Path) -> str:
    """The share of samples within four standard deviations of a center, and the centers with 4 % or more."""
    figure, found = Figure(figsize=(6, 3), layout="constrained"), []
    for axes, game in zip(figure.subplots(1, 2), (NonSaturating(), Wasserstein(0.1)), strict=True):
        with seeded(0):
            networks = MLP([2, 64, 64, 64, 2], activation=ReLU()), MLP([2, 64, 64, 64, 1], activation=ReLU())
        steps = 2 if isinstance(game, Wasserstein) else 1
        module = AdversarialNetworks(*networks, latent=2, game=game, critic_steps=steps)
        play(module, points(6400, 0), points(1000, 1), rates=(1e-3, 2e-3), epochs=60)
        drawn = module.sample(5000, torch.Generator().manual_seed(0))
        distance, nearest = torch.cdist(drawn, CENTERS).min(dim=1)
        near = distance < 4 * SPREAD
        modes = int((torch.bincount(nearest[near], minlength=8) >= 0.04 * len(drawn)).sum())
        name = type(game).__name__
        found.append(f"{name}: {modes} of 8 centers, {100 * near.float().mean():.0f} % near one")
        axes.plot(*drawn[:2000].T, ".", markersize=1)
        axes.plot(*CENTERS.T, "k+")
        axes.set(title=name, aspect="equal", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6))
    figure.savefig(folder / "eight.png", dpi=120)
    return "; ".join(found)


def one_group(width: int) -> nn.Module:
    """The layer norm of images."""
    return nn.GroupNorm(1, width)


PLAYS: dict[str, tuple[Game, Callable[[int], nn.Module], int, tuple[float, float]]] = {
    "DCGAN": (NonSaturating(), nn.BatchNorm2d, 1, (1e-3, 5e-4)),
    "WGAN-GP": (Wasserstein(), one_group, 2, (1e-3, 1e-3)),
}
"""The game, the critic's norm, its steps for one of the generator, and the learning rates of generator and critic."""


def convolutional(mnist: Mnist, kind: str) -> AdversarialNetworks:
    """Convolutional networks that play one of the `PLAYS` on digits."""
    game, norm, steps, rates = PLAYS[kind]
    with seeded(0):
        generator, critic = ImageGenerator(32, 1, 28, width=16), ImageCritic(1, 28, width=16, norm=norm)
    module = AdversarialNetworks(generator, critic, latent=32, game=game, critic_steps=steps)
    play(module, mnist.train.images, mnist.valid.images, rates=rates, epochs=30)
    return module


def judged(network: nn.Sequential, images: Tensor, reference: Tensor) -> str:
    """Of images as a trained network sees them: how sure it is, how many classes they have, how far they are."""
    features = nn.Sequential(*list(network)[:-1])
    with torch.no_grad():
        p = network(images).softmax(dim=1)
        distance = frechet_distance(features(images), features(reference))
    sure, mean = (p.amax(dim=1) > 0.9).float().mean(), p.mean(dim=0)
    return f"{100 * sure:.0f} % sure, {torch.special.entr(mean).sum().exp():.1f} classes, Fréchet {distance:.2f}"


def digits(data: Path, folder: Path) -> str:
    """What LeNet-5, trained on the 8,000, says of 2,000 samples of each model and of 2,000 training images."""
    mnist = read(data)
    with seeded(0):
        network = LeNet5()
    classify(network, mnist, Distortion(), epochs=12)
    generator = torch.Generator().manual_seed(0)
    images = {"training images": mnist.train.images[:2000]}
    images["VAE"] = variational(mnist, 0, epochs=30)[0].sample(2000, generator).reshape(-1, 1, 28, 28)
    for kind in PLAYS:
        images[kind] = convolutional(mnist, kind).sample(2000, generator)
    draw([part[:12] for part in images.values()], list(images), folder / "gan.png")
    return "; ".join(f"{name}: {judged(network, part, mnist.test.images)}" for name, part in images.items())


IMPORT = "from molnet.nn import AdversarialNetworks, Wasserstein"
ROWS = [
    Row("GANs around eight centers", IMPORT, "6,400 points", "all centers", eight),
    Row("GANs of digits", IMPORT, DATA, "reported, beside a VAE", digits),
]
