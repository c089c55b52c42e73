"""Sets of handwritten digits: their sum, the one that is unlike the others, and whether a nine is among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from molnet.nn.distortions import Distortion
from molnet.nn.seeding import seeded
from molnet.nn.sets import AttentionPool, DeepSets, EquivariantLayer, SumPool, pad_sets
from molnet.train.arrays import classification_loss
from molnet.train.loop import Mean, fit
from molnet.train.recipe import Recipe


@dataclass(frozen=True)
class Sums:
    """Sets of images of digits, drawn anew in every epoch: (images, mask, sum)."""

    images: Tensor
    labels: Tensor
    sizes: tuple[int, int]
    batches: int = 60
    sets: int = 32

    def __len__(self) -> int:
        return self.batches

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(number)
        for _ in range(self.batches):
            sizes = torch.randint(self.sizes[0], self.sizes[1] + 1, (self.sets,), generator=generator)
            rows = [torch.randint(len(self.labels), (n,), generator=generator) for n in sizes.tolist()]
            places, mask = pad_sets([row[:, None] for row in rows])
            total = torch.stack([self.labels[row].sum() for row in rows])
            yield self.images[places.squeeze(2)], mask, total[:, None].float()


@dataclass(frozen=True)
class Outliers(Sums):
    """Sets of one digit and one image of another: (images, mask, place of the other)."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(number)
        of = [(self.labels == digit).nonzero().flatten() for digit in range(10)]
        size = self.sizes[1]
        for _ in range(self.batches):
            common = torch.randint(10, (self.sets,), generator=generator)
            other = (common + torch.randint(1, 10, (self.sets,), generator=generator)) % 10
            place = torch.randint(size, (self.sets,), generator=generator)
            digit = common[:, None].repeat(1, size).scatter(1, place[:, None], other[:, None])
            drawn = torch.randint(1 << 30, digit.shape, generator=generator)
            rows = torch.stack([of[d][k % len(of[d])] for d, k in zip(digit.flatten(), drawn.flatten(), strict=True)])
            yield self.images[rows.reshape(digit.shape)], torch.ones_like(digit, dtype=torch.bool), place


@dataclass(frozen=True)
class Bags(Sums):
    """Sets of digits, with one nine in every other set: (images, mask, whether)."""

    def rows(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of each set by their numbers, and whether a nine is among them."""
        generator = torch.Generator().manual_seed(number)
        nines, others = (self.labels == 9).nonzero().flatten(), (self.labels != 9).nonzero().flatten()
        y = torch.arange(self.sets) % 2
        for _ in range(self.batches):
            rows = others[torch.randint(len(others), (self.sets, self.sizes[1]), generator=generator)]
            place = torch.randint(self.sizes[1], (self.sets,), generator=generator)
            nine = nines[torch.randint(len(nines), (self.sets,), generator=generator)]
            rows[y == 1, place[y == 1]] = nine[y == 1]
            yield rows, y

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for rows, y in self.rows(number):
            yield self.images[rows], torch.ones_like(rows, dtype=torch.bool), y


@dataclass(frozen=True)
class DistortedSets:
    """Sets whose images are distorted, but in epoch 0."""

    sets: Sums

    def __len__(self) -> int:
        return len(self.sets)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(number)
        for images, mask, y in self.sets.epoch(number):
            if number:
                images[mask] = Distortion()(images[mask], generator)
            yield images, mask, y


def read(data: Path) -> list[tuple[Tensor, Tensor]]:
    """Images [images, 1, 28, 28] from 0 to 1 and labels: 7,000 to train with, 1,000 to watch, 2,000 to test with."""
    with np.load(data / "dlcore" / "mnist_t10k.npz") as file:
        images, labels = (
            torch.from_numpy(file["images"]).float()[:, None] / 255,
            torch.from_numpy(file["labels"]).long(),
        )
        train, test = file["split_train"], file["split_test"]
    return [(images[part], labels[part]) for part in (train[:7000], train[7000:], test)]


def image_network(outputs: int) -> nn.Sequential:
    """A small convolutional network of single images."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, outputs),
    )


class OddOneOut(nn.Module):
    """Logits of which image is unlike the others, by two equivariant layers after the network of images."""

    def __init__(self) -> None:
        super().__init__()
        self.images = DeepSets(image_network(64), SumPool(), nn.Identity())
        self.hidden, self.last = EquivariantLayer(64, 64), EquivariantLayer(64, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.hidden(self.images.embed(x, mask).relu(), mask).relu()
        return self.last(h, mask).squeeze(2)


@torch.no_grad()
def tried(module: nn.Module, batches: Sums) -> tuple[Tensor, Tensor]:
    """Answers and truth for the sets of epoch 0."""
    found = [(module(x, mask), y) for x, mask, y in batches.epoch(0)]
    return torch.cat([answer for answer, _ in found]), torch.cat([y for _, y in found])


def sum_network(kinds: int = 32) -> DeepSets:
    """Probabilities of kinds for each image, and a value for each kind; only sums of values are learned from."""
    with seeded(0):
        kind = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 32, 5, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, kinds), nn.Softmax(dim=1)),
        )
        values = nn.Linear(kinds, 1, bias=False)
        nn.init.uniform_(values.weight, 0, 9)
    return DeepSets(kind, SumPool(), values)


def sum_loss(module: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Mean]:
    """Smooth absolute errors over √n for sets of n, since errors of a sum grow like that; `mae` is the sum's own."""
    images, mask, wanted = batch
    error = module(images, mask) - wanted
    scaled = error / mask.sum(dim=1, keepdim=True).sqrt()
    total = functional.smooth_l1_loss(scaled, torch.zeros_like(scaled), beta=0.5, reduction="sum")
    return {"loss": Mean(total, len(error)), "mae": Mean(error.detach().abs().sum(), len(error))}


def digit_sums(data: Path, folder: Path, *, epochs: int = 100) -> str:
    """Share of sums that are right when rounded, and the mean error, for sets larger than those of the training."""
    train, watch, test = read(data)
    module = sum_network()
    recipe = Recipe(epochs=epochs, optimizer="soap", learning_rate=3e-3, ema=0.99)
    batches = DistortedSets(Sums(*train, (1, 10))), Sums(*watch, (1, 10), batches=10)
    fit(module, sum_loss, *batches, recipe=recipe)
    sizes, errors, right = (5, 10, 20, 40, 80), [], []
    for size in sizes:
        found, wanted = tried(module, Sums(*test, (size, size), batches=20))
        errors.append(float((found - wanted).abs().mean()))
        right.append(float((found.round() == wanted).float().mean()))
    with torch.no_grad():
        values = module(test[0][:, None], torch.ones(len(test[0]), 1, dtype=torch.bool)).squeeze(1)
    draw_sums(sizes, errors, [values[test[1] == digit] for digit in range(10)], folder / "digit_sums.png")
    return f"{right[0]:.1%} of sums of 5 right; mean error {errors[1]:.2f} of 10 digits, {errors[-1]:.2f} of 80"


def draw_sums(sizes: Sequence[int], errors: Sequence[float], values: Sequence[Tensor], path: Path) -> None:
    """Mean errors by the sets' size, and the values of single images by their digit."""
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(sizes, errors, "o", label="mean error")
    line = np.linspace(1, sizes[-1], 100)
    left.plot(line, errors[0] * (line / sizes[0]) ** 0.5, "--", color="gray", label="as the root of the size")
    left.set(xlabel="digits in the set (at most 10 in training)", ylabel="mean error of the sum", ylim=(0, None))
    left.set_xticks(sizes)
    left.legend()
    shifts = np.random.default_rng(0).uniform(-0.3, 0.3, max(map(len, values)))
    for digit, found in enumerate(values):
        right.scatter(digit + shifts[: len(found)], found, s=3, linewidths=0)
    right.set(xlabel="digit of a single image", ylabel="value that was learned", xticks=range(10), yticks=range(10))
    right.grid(axis="y", linewidth=0.3)
    figure.savefig(path, dpi=150)


def odd_digit(data: Path, folder: Path, *, epochs: int = 15) -> str:
    """Share of sets of eight whose outlier is found."""
    train, watch, test = read(data)
    with seeded(0):
        module = OddOneOut()
    recipe = Recipe(epochs=epochs, optimizer="soap", learning_rate=3e-3, ema=0.99)
    batches = DistortedSets(Outliers(*train, (8, 8))), Outliers(*watch, (8, 8), batches=20)
    fit(module, classification_loss, *batches, recipe=recipe)
    outliers = Outliers(*test, (8, 8), batches=40)
    found, wanted = tried(module, outliers)
    images = next(outliers.epoch(0))[0][:4]
    draw_sets(images, functional.one_hot(found[:4].argmax(dim=1), 8) > 0, folder / "odd_digit.png")
    return f"{float((found.argmax(dim=1) == wanted).float().mean()):.1%} found"


def nine(data: Path, folder: Path, *, epochs: int = 20) -> str:
    """Share of sets of which it is known whether a nine is in them, and of nines that have most of the weight."""
    train, watch, test = read(data)
    with seeded(0):
        pool = AttentionPool(64)
        module = DeepSets(nn.Sequential(image_network(64), nn.ReLU()), pool, nn.Linear(64, 2))
    recipe = Recipe(epochs=epochs, learning_rate=3e-3, ema=0.99)
    batches = DistortedSets(Bags(*train, (8, 8))), Bags(*watch, (8, 8), batches=20)
    fit(module, classification_loss, *batches, recipe=recipe)
    bags = Bags(*test, (8, 8), batches=40)
    found, wanted = tried(module, bags)
    with torch.no_grad():
        weights = torch.cat([pool.weights(module.embed(x, mask), mask) for x, mask, _ in bags.epoch(0)])
    nines = torch.cat([test[1][rows] == 9 for rows, _ in bags.rows(0)])
    draw_sets(next(bags.epoch(0))[0][:4], weights[:4] > 0.5, folder / "nines.png")
    right, heavy = (found.argmax(dim=1) == wanted).float().mean(), (weights[nines] > 0.5).float().mean()
    return f"{float(right):.1%} right; {float(heavy):.1%} of the nines have most of the weight"


def draw_sets(images: Tensor, framed: Tensor, path: Path) -> None:
    """Sets of images, one a row, some of them framed."""
    figure = Figure(figsize=(6, 3))
    for row, axes in enumerate(figure.subplots(*framed.shape)):
        for column, place in enumerate(axes):
            place.imshow(images[row, column, 0], cmap="Greys")
            place.set(xticks=[], yticks=[])
            if framed[row, column]:
                place.spines[:].set(color="C3", linewidth=3)
    figure.savefig(path, dpi=150, bbox_inches="tight")


MNIST = "MNIST test file, 8,000/2,000"
ROWS = [
    Row("sum of a set of digits", "from molnet.nn import DeepSets, SumPool", MNIST, "≥ 80 % of sums of 5", digit_sums),
    Row("outlier of a set of digits", "from molnet.nn import EquivariantLayer", MNIST, "reported", odd_digit),
    Row("a nine in a set of digits", "from molnet.nn import AttentionPool, DeepSets", MNIST, "reported", nine),
]
