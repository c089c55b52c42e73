"""Folds of protein domains from their sequences, by convolutions."""

from __future__ import annotations

import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from dl.recurrent import AMINO_ACIDS
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor, nn

from molnet.nn.seeding import seeded
from molnet.nn.sequence import LengthBatches
from molnet.nn.sequence_cnn import SequenceCNN
from molnet.train.arrays import classification_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def read_folds(data: Path, least: int = 10) -> tuple[list[Tensor], Tensor, list[str]]:
    """The domains of folds with `least` or more: residues (20 for any other letter), fold numbers, SCOP's names."""
    domains: dict[str, list[str]] = {}
    for identity in (25, 40, 70):
        path = data / "deepsf_scop" / f"Testdata_id{identity}againstTrain.fasta.xz"
        with lzma.open(path, "rt") as file:
            for entry in file.read().split(">")[1:]:
                header, *lines = entry.splitlines()
                name, code = header.split()[:2]
                domains[name] = [".".join(code.split(".")[:2]), "".join(lines)]
    counts = Counter(fold for fold, _ in domains.values())
    folds = sorted(fold for fold, count in counts.items() if count >= least)
    kept = [(folds.index(fold), sequence) for fold, sequence in domains.values() if fold in folds]
    x = [torch.tensor([AMINO_ACIDS.find(letter) % 21 for letter in sequence.upper()]) for _, sequence in kept]
    return x, torch.tensor([fold for fold, _ in kept]), folds


def one_split(x: list[Tensor], y: Tensor, seed: int, epochs: int) -> tuple[Tensor, Tensor]:
    """Trains on 70 %, watches 10 %, and answers for 20 %: logits and true folds."""
    order = np.random.default_rng(seed).permutation(len(x))
    train, valid, test = np.split(order, [int(0.7 * len(order)), int(0.8 * len(order))])

    def batches(rows: np.ndarray) -> LengthBatches:
        return LengthBatches([x[row] for row in rows], y[rows], places=3000, seed=seed)

    with seeded(seed):
        module = SequenceCNN(nn.Embedding(21, 48), int(y.max()) + 1, channels=48, blocks=6, dropout=0.2)
    recipe = Recipe(epochs=epochs, learning_rate=3e-3, weight_decay=0.05, clip_norm=1.0, ema=0.98)
    fit(module, classification_loss, batches(train), batches(valid), recipe=recipe)
    with torch.no_grad():
        found = [(module(tokens, mask), labels) for tokens, mask, labels in batches(test).epoch(0)]
    return torch.cat([logits for logits, _ in found]), torch.cat([labels for _, labels in found])


def folds(data: Path, folder: Path, *, epochs: int = 25, splits: int = 3) -> str:
    """Share of domains whose fold is the first, or among the first five, of the answers; mean over random splits."""
    x, y, names = read_folds(data)
    answers = [one_split(x, y, seed, epochs) for seed in range(splits)]
    ranks = torch.cat([(z > z.gather(1, t[:, None])).sum(dim=1) for z, t in answers])
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot(range(1, 11), [float((ranks < k).float().mean()) for k in range(1, 11)], "o-")
    axes.set(xlabel="answers taken", ylabel="true fold among them", ylim=(0, 1))
    figure.savefig(folder / "folds.png", dpi=150, bbox_inches="tight")
    common = float(torch.bincount(y).max()) / len(y)
    first, five = float((ranks < 1).float().mean()), float((ranks < 5).float().mean())
    return f"{first:.1%} of {len(names)} folds, {five:.1%} in five (the commonest: {common:.1%})"


ROWS = [
    Row(
        "folds of protein domains",
        "from molnet.nn.sequence_cnn import SequenceCNN",
        "the domains of DeepSF's test lists in folds of 10 or more, random splits 70/10/20",
        "reported",
        folds,
    )
]
