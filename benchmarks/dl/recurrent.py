"""Recurrent networks: palindromes, tiny Shakespeare, secondary structure of proteins."""

from __future__ import annotations

import csv
import lzma
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor, nn

from molnet.nn.recurrent import (
    Cell,
    NormPreservingClassifier,
    RecurrentLayers,
    SequenceClassifier,
    SequenceTagger,
    orthogonal_,
)
from molnet.nn.seeding import seeded
from molnet.nn.sequence import CharacterModel, Characters, LengthBatches, Seq2Seq, TextBatches
from molnet.train.arrays import ArrayBatches, classification_loss, own_loss
from molnet.train.loop import History, fit
from molnet.train.recipe import Recipe


def text_of(data: Path) -> str:
    """Tiny Shakespeare."""
    with lzma.open(data / "dlcore" / "tinyshakespeare.txt.xz", "rt") as file:
        return file.read()


def read_shakespeare(data: Path) -> tuple[Characters, Tensor, Tensor, Tensor]:
    """The vocabulary and three parts of the text: the first 5 % to watch, 85 % to train with, the last 10 % to test."""
    text = text_of(data)
    vocabulary = Characters(text)
    numbers = vocabulary.encode(text)
    first, last = int(0.05 * len(numbers)), int(0.9 * len(numbers))
    return vocabulary, numbers[first:last], numbers[:first], numbers[last:]


def shakespeare(data: Path, folder: Path, *, epochs: int = 14, channels: int = 256) -> str:
    """Nats per character of the last 10 %, read in one go, by an LSTM; and what it writes."""
    vocabulary, train, valid, test = read_shakespeare(data)
    with seeded(0):
        module = CharacterModel(len(vocabulary), orthogonal_(nn.LSTM(64, channels, batch_first=True)), dropout=0.1)
    recipe = Recipe(epochs=epochs, learning_rate=4e-3, clip_norm=1.0, weight_decay=0.01, ema=0.99)
    batches = TextBatches(train, time=128, size=32), TextBatches(valid, time=512, size=32)
    fit(module, own_loss, *batches, recipe=recipe)
    with torch.no_grad():
        nats = float(module.losses((test[None, :-1], test[None, 1:]))["loss"].mean())
    written = module.sample(
        vocabulary.encode("ROMEO:"), 500, generator=torch.Generator().manual_seed(0), temperature=0.8
    )
    (folder / "shakespeare_lstm.txt").write_text("ROMEO:" + vocabulary.decode(written) + "\n")
    return f"{nats:.3f} nats per character"


def palindromes(count: int, length: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Palindromes of eight symbols without their last one, the mask, and the last one, which is the first."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(8, (count, (length + 1) // 2), generator=generator)
    whole = torch.cat([half, half.flip(1)[:, length % 2 :]], dim=1)
    return whole[:, :-1], torch.ones(count, length - 1, dtype=torch.bool), whole[:, -1]


def complete(cell: Cell, start: Callable[[nn.Module], nn.Module], length: int, epochs: int) -> float:
    """Share of 2,000 new palindromes that are completed rightly after training."""
    with seeded(0):
        module = SequenceClassifier(nn.Embedding(8, 16), start(RecurrentLayers(cell, 16, 64)), 8)
    train, valid = (ArrayBatches(*palindromes(n, length, seed), size=64) for seed, n in enumerate((4096, 512)))
    recipe = Recipe(epochs=epochs, learning_rate=5e-3, clip_norm=1.0, ema=0.9)
    fit(module, classification_loss, train, valid, recipe=recipe)
    x, mask, y = palindromes(2000, length, 2)
    with torch.no_grad():
        return float((module(x, mask).argmax(dim=1) == y).float().mean())


def completed(data: Path, folder: Path, *, epochs: int = 12, lengths: tuple[int, ...] = (10, 20, 40)) -> str:
    """Accuracy of simple network, LSTM and GRU at the longest length; the figure has them by length."""
    networks: dict[str, tuple[Cell, Callable[[nn.Module], nn.Module]]] = {
        "RNN": (nn.RNN, lambda module: module),
        "orthogonal RNN": (nn.RNN, orthogonal_),
        "LSTM": (nn.LSTM, orthogonal_),
        "GRU": (nn.GRU, partial(orthogonal_, forget_bias=2.0)),
    }
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    found = {name: [complete(*how, length, epochs) for length in lengths] for name, how in networks.items()}
    for (name, values), marker in zip(found.items(), "os^d", strict=True):
        axes.plot(lengths, values, f"{marker}-", label=name, alpha=0.8)
    axes.axhline(1 / 8, color="gray", linewidth=0.8, linestyle="--", label="by guessing")
    axes.set(xlabel="length of the palindrome", ylabel="completed rightly", ylim=(0, 1.05), xticks=lengths)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(folder / "palindromes.png", dpi=150, bbox_inches="tight")
    return f"length {lengths[-1]}: " + ", ".join(f"{name} {values[-1]:.1%}" for name, values in found.items())


def regularized(data: Path, folder: Path, *, epochs: int = 4, lengths: tuple[int, ...] = (10, 20, 30)) -> str:
    """Palindromes by a simple network without and with the regularizer that keeps the gradient's norm."""
    found = {}
    for weight in (0.0, 1.0):
        for length in lengths:
            with seeded(0):
                layers = RecurrentLayers(nn.RNN, 16, 64)
                module = NormPreservingClassifier(nn.Embedding(8, 16), layers, 8, weight=weight)
            train, valid = (ArrayBatches(*palindromes(n, length, seed), size=64) for seed, n in enumerate((4096, 512)))
            fit(module, own_loss, train, valid, recipe=Recipe(epochs=epochs, learning_rate=5e-3, ema=0.9))
            x, mask, y = palindromes(2000, length, 2)
            with torch.no_grad():
                found[weight, length] = float((module(x, mask).argmax(dim=1) == y).float().mean())
    rows = (f"length {n} {found[0.0, n]:.1%} without, {found[1.0, n]:.1%} with it" for n in lengths)
    return "; ".join(rows)


def backwards(data: Path, folder: Path, *, epochs: int = 10, channels: int = 64) -> str:
    """Share of words of tiny Shakespeare, none seen in training, that are written backwards without a mistake."""
    words = sorted(set(re.findall("[a-z]{3,}", text_of(data).lower())))
    order = np.random.default_rng(0).permutation(len(words))
    x = [torch.tensor([ord(letter) - ord("a") + 1 for letter in words[row]]) for row in order]
    parts = x[: 8 * len(x) // 10], x[8 * len(x) // 10 : 9 * len(x) // 10], x[9 * len(x) // 10 :]
    train, valid, test = (LengthBatches(part, [word.flip(0) for word in part], places=500) for part in parts)
    with seeded(0):
        module = orthogonal_(Seq2Seq(27, 27, channels))
    fit(module, own_loss, train, valid, recipe=Recipe(epochs=epochs, learning_rate=4e-3, clip_norm=1.0, ema=0.99))
    right = 0
    for source, mask, target in test.epoch(0):
        found = module.translate(source, mask, source.shape[1] + 1)
        right += int((found == nn.functional.pad(target.clamp(min=0), (0, 1))).all(dim=1).sum())
    draw_attention(module, max(parts[2], key=len), folder)
    return f"{right / len(parts[2]):.1%} of {len(parts[2])} words"


def draw_attention(module: Seq2Seq, word: Tensor, folder: Path) -> None:
    """Where the writer looks while it writes a word backwards."""
    mask = torch.ones(1, len(word), dtype=torch.bool)
    with torch.no_grad():
        h, state = module.read(word[None], mask)
        _, _, weights = module.write(nn.functional.pad(word.flip(0)[None], (1, 0))[:, :-1], state, h, mask)
    letters = [chr(ord("a") + number - 1) for number in word.tolist()]
    figure = Figure(figsize=(3.2, 3.2))
    axes = figure.subplots()
    axes.imshow(weights[0], cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="read", ylabel="written", xticks=range(len(word)), yticks=range(len(word)))
    axes.set_xticklabels(letters)
    axes.set_yticklabels(letters[::-1])
    figure.savefig(folder / "backwards.png", dpi=120, bbox_inches="tight")


AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
STRUCTURES = "HEC"
Proteins = dict[str, tuple[list[Tensor], list[Tensor]]]


def read_proteins(data: Path) -> Proteins:
    """Residues (0 to 20, the last for any other) and structures, −100 where unresolved, of train, valid and test."""
    found: Proteins = {"train": ([], []), "valid": ([], []), "test": ([], [])}
    with lzma.open(data / "protein_ss" / "secondary_structure_sampled.tsv.xz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            residues = [AMINO_ACIDS.find(letter) % 21 for letter in row["sequence"]]
            label = [STRUCTURES.index(s) if m == "1" else -100 for s, m in zip(row["label3"], row["mask"], strict=True)]
            part = "valid" if row["validation"] == "True" else row["set"]
            found[part][0].append(torch.tensor(residues))
            found[part][1].append(torch.tensor(label))
    return found


def secondary_structure(data: Path, folder: Path, *, epochs: int = 4, channels: int = 64) -> str:
    """Q3 of the test chains from their sequences alone, by a network of two layers in both directions."""
    parts = read_proteins(data)
    confusion, history = tagged(parts, epochs, channels)
    draw_confusion(confusion / confusion.sum(dim=1, keepdim=True), folder)
    q3 = float(confusion.trace() / confusion.sum())
    return f"Q3 {q3:.1%} on {len(parts['test'][0])} chains (validation {history.rows[-1]['valid_accuracy']:.1%})"


def tagged(parts: Proteins, epochs: int, channels: int) -> tuple[Tensor, History]:
    """Trains, and counts the test's residues by true and predicted structure."""
    with seeded(0):
        layers = RecurrentLayers(nn.LSTM, 32, channels, layers=2, directions=2, dropout=0.2)
        module = SequenceTagger(nn.Embedding(21, 32), orthogonal_(layers), 3)
    train, valid, test = (LengthBatches(*parts[name], places=6000) for name in ("train", "valid", "test"))
    recipe = Recipe(epochs=epochs, learning_rate=4e-3, clip_norm=1.0, ema=0.99)
    history = fit(module, classification_loss, train, valid, recipe=recipe)
    confusion = torch.zeros(3, 3)
    with torch.no_grad():
        for x, mask, labels in test.epoch(0):
            known = labels >= 0
            pairs = 3 * labels[known] + module(x, mask).argmax(dim=2)[known]
            confusion += torch.bincount(pairs, minlength=9).reshape(3, 3)
    return confusion, history


def draw_confusion(share: Tensor, folder: Path) -> None:
    figure = Figure(figsize=(3, 3))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(3, 3):
        color = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, f"{share[i, j]:.2f}", ha="center", va="center", color=color)
    names = ["helix", "strand", "coil"]
    axes.set(xlabel="predicted", ylabel="true", xticks=range(3), yticks=range(3), xticklabels=names, yticklabels=names)
    figure.savefig(folder / "secondary_structure.png", dpi=150, bbox_inches="tight")


ROWS = [
    Row(
        "palindromes",
        "from molnet.nn import SequenceClassifier",
        "made here: the last of 40 symbols",
        "LSTM or GRU ≥ 98 %, simple network fails",
        completed,
    ),
    Row(
        "regularizer of a simple network",
        "from molnet.nn import NormPreservingClassifier",
        "made here: the last of 10, 20, 30 symbols",
        "better with it",
        regularized,
    ),
    Row(
        "sequence to sequence with attention",
        "from molnet.nn import Seq2Seq",
        "words of tiny Shakespeare, split 80/10/10, to be written backwards",
        "reported",
        backwards,
    ),
    Row(
        "tiny Shakespeare, LSTM",
        "from molnet.nn import CharacterModel",
        "tiny Shakespeare: first 5 % to watch, 85 % to train, last 10 % to test",
        "≤ 1.65 nats per character",
        shakespeare,
    ),
    Row(
        "secondary structure of proteins",
        "from molnet.nn import SequenceTagger",
        "NetSurfP-2.0 set: 9,712 chains to train, 364 to test",
        "Q3 ≥ 68 %",
        secondary_structure,
    ),
]
