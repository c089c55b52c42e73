"""A classifier of MNIST under the fast-gradient-sign attack, before and after training against it."""

from __future__ import annotations

from pathlib import Path

import torch
from dl.mnist import DATA, Part, accuracy, draw, read
from dl.rows import Row
from torch import nn

from molnet.nn.adversarial import AdversarialTraining, FastGradientSign, sign_noise
from molnet.nn.seeding import seeded
from molnet.nn.vision import LeNet5
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

ATTACK = FastGradientSign(0.1)


def attacked(module: nn.Module, part: Part) -> Part:
    """The images as the attack on the module makes them."""
    return Part(ATTACK(module, part.images, part.labels), part.labels)


def adversarial(data: Path, folder: Path) -> str:
    """Accuracies of plain and of adversarial training: clean, with random signs, under attack."""
    mnist, found, rows = read(data), [], []
    noise = sign_noise(mnist.test.images, ATTACK.epsilon, torch.Generator().manual_seed(0))
    for share in (0.0, 0.5):
        with seeded(0):
            module = AdversarialTraining(LeNet5(), ATTACK, share=share)
        train, valid = (ArrayBatches(part.images, part.labels) for part in (mnist.train, mnist.valid))
        fit(module, own_loss, train, valid, recipe=Recipe(epochs=30, learning_rate=3e-3, ema=0.99))
        worst = attacked(module, mnist.test)
        rows.append(worst.images[:10])
        parts = (mnist.test, Part(noise, mnist.test.labels), worst)
        found.append(" / ".join(f"{accuracy(module, part):.1f}" for part in parts))
    draw(rows, ["attack on the plain network", "on the robust one"], folder / "attacks.png")
    return f"{found[0]} %, trained against it {found[1]} %"


ROWS = [
    Row(
        "adversarial (clean / random signs / attack, ε = 0.1)",
        "from molnet.nn import AdversarialTraining, FastGradientSign",
        DATA,
        "reported",
        adversarial,
    )
]
