"""Boltzmann machines on MNIST: likelihood and samples of one, and the networks that a stack of them unfolds into."""

from __future__ import annotations

from pathlib import Path

import torch
from dl.mnist import DATA, Part, accuracy, draw, read
from dl.rows import Row

from molnet.nn.belief import DeepBelief
from molnet.nn.boltzmann import AnnealedImportanceSampling, RestrictedBoltzmann
from molnet.nn.distortions import DistortedBatches
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def likelihood(data: Path, folder: Path) -> str:
    """A machine of 500 hidden units by persistent contrastive divergence; its chains are drawn."""
    mnist, generator = read(data), torch.Generator().manual_seed(0)
    train, valid, test = (
        torch.bernoulli(part.pixels, generator=generator) for part in (mnist.train, mnist.valid, mnist.test)
    )
    machine = RestrictedBoltzmann(784, 500, chains=100, steps=5)
    machine.start_from(train)
    base = machine.visible_bias.detach().clone()
    recipe = Recipe(epochs=40, learning_rate=1e-3, ema=0.99)
    fit(machine, own_loss, ArrayBatches(train, size=100), ArrayBatches(valid, size=500), recipe=recipe)
    partition = AnnealedImportanceSampling(temperatures=5000, runs=100)(machine, generator, base=base)
    found = -machine.free_energy(test).mean().item() - partition.value
    chain = machine.gibbs(test[:10], generator, steps=1000)
    draw([test[:10], chain], ["test images, binary", "after 1,000 steps of Gibbs sampling"], folder / "boltzmann.png")
    return f"{found:.1f} nats (ln Z = {partition.value:.1f} ± {partition.error:.1f})"


def belief(data: Path, folder: Path) -> str:
    """A deep belief network, fine-tuned on distorted images; beside it the same network from other start values."""
    mnist = read(data)
    network = pretrained([784, 500, 500, 1000], mnist.train, mnist.valid)
    with seeded(0):
        plain = DeepBelief([784, 500, 500, 1000]).classifier(10)
    for layer in (layer for layer in plain if isinstance(layer, torch.nn.Linear)):
        torch.nn.init.xavier_normal_(layer.weight)
    train, valid = (ArrayBatches(part.images, part.labels) for part in (mnist.train, mnist.valid))
    found = []
    for module in (network.classifier(10), plain):
        recipe = Recipe(epochs=30, learning_rate=1e-3, ema=0.99)
        fit(module, classification_loss, DistortedBatches(train), valid, recipe=recipe)
        found.append(accuracy(module, mnist.test))
    return f"{found[0]:.2f} % (without pre-training {found[1]:.2f} %)"


def plain_belief(data: Path, folder: Path) -> str:
    """The same fine-tuned on images as they are: without dropout, and with that of N. Srivastava et al., JMLR 2014."""
    mnist = read(data)
    network = pretrained([784, 500, 500, 1000], mnist.train, mnist.valid)
    train, valid = (ArrayBatches(part.images, part.labels) for part in (mnist.train, mnist.valid))
    dropping = torch.nn.Sequential(torch.nn.Dropout(0.2), network.classifier(10, dropout=0.5))
    found = []
    recipe = Recipe(epochs=30, patience=10, learning_rate=1e-3, ema=0.99)
    for module in (network.classifier(10), dropping):
        with seeded(0):
            fit(module, classification_loss, train, valid, recipe=recipe)
        found += [accuracy(module, part) for part in (mnist.test, mnist.valid)]
    return "{2:.2f} % with dropout, {0:.2f} % without (validation {3:.2f} and {1:.2f} %)".format(*found)


def autoencoder(data: Path, folder: Path) -> str:
    """An unrolled autoencoder with 30 numbers as the code, beside as many principal components."""
    mnist = read(data)
    module = pretrained([784, 500, 250, 30], mnist.train, mnist.valid).autoencoder()
    batches = [ArrayBatches(part.pixels) for part in (mnist.train, mnist.valid)]
    fit(module, own_loss, *batches, recipe=Recipe(epochs=30, learning_rate=1e-3, ema=0.99))
    x, mean = mnist.test.pixels, mnist.train.pixels.mean(dim=0)
    axes = torch.linalg.svd(mnist.train.pixels - mean, full_matrices=False).Vh[:30]
    error = module.losses(x)["squared_error"].mean().item()
    components = (x - mean) @ axes.T @ axes + mean
    rows = [x[:10], module(x[:10]).sigmoid(), components[:10]]
    draw(rows, ["test images", "autoencoder", "principal components"], folder / "unrolled.png")
    return f"{error:.2f} (principal components {(components - x).square().sum(dim=1).mean().item():.2f})"


def pretrained(widths: list[int], train: Part, valid: Part) -> DeepBelief:
    """A stack of machines, each trained on what those below make of the pixels."""
    network = DeepBelief(widths)
    for level, machine in enumerate(network.machines):
        below, beside = network.features(train.pixels, level), network.features(valid.pixels, level)
        machine.start_from(below)
        recipe = Recipe(epochs=20, learning_rate=1e-3, ema=0.99)
        fit(machine, own_loss, ArrayBatches(below), ArrayBatches(beside), recipe=recipe)
    return network


MACHINE = "from molnet.nn import AnnealedImportanceSampling, RestrictedBoltzmann"
NETWORK = "from molnet.nn import DeepBelief"
ROWS = [
    Row("restricted Boltzmann machine, ln p(test)", MACHINE, f"{DATA}, binarized by chance", "reported", likelihood),
    Row("deep belief network", NETWORK, DATA, "≥ 96.5 %", belief),
    Row("deep belief network, images as they are", NETWORK, DATA, "≥ 96.5 %", plain_belief),
    Row("unrolled autoencoder, squared error an image", NETWORK, DATA, "below principal components", autoencoder),
]
