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


def read_folds(data: Path, least: int = 10) -> tuple[list[Tensor], Tensor, list[str], list[str]]:
    """The domains of folds with `least` or more: residues (20 for any other letter), fold numbers, families; folds."""
    domains: dict[str, tuple[str, str, str]] = {}
    for identity in (25, 40, 70):
        path = data / "deepsf_scop" / f"Testdata_id{identity}againstTrain.fasta.xz"
        with lzma.open(path, "rt") as file:
            for entry in file.read().split(">")[1:]:
                header, *lines = entry.splitlines()
                name, family = header.split()[:2]
                domains[name] = (".".join(family.split(".")[:2]), family, "".join(lines))
    counts = Counter(fold for fold, *_ in domains.values())
    folds = sorted(fold for fold, count in counts.items() if count >= least)
    kept = [domain for domain in domains.values() if domain[0] in folds]
    x = [torch.tensor([AMINO_ACIDS.find(letter) % 21 for letter in sequence.upper()]) for *_, sequence in kept]
    return x, torch.tensor([folds.index(fold) for fold, *_ in kept]), [family for _, family, _ in kept], folds


def split(groups: list[str], seed: int) -> list[np.ndarray]:
    """Rows of 70 %, 10 % and 20 %, drawn at random so that no group is on two sides."""
    _, number = np.unique(groups, return_inverse=True)
    rank = np.random.default_rng(seed).permutation(number.max() + 1)[number]
    bounds = np.sort(rank)[[int(0.7 * len(rank)), int(0.8 * len(rank))]]
    return [np.flatnonzero(np.searchsorted(bounds, rank, side="right") == part) for part in range(3)]


def one_split(x: list[Tensor], y: Tensor, groups: list[str], seed: int, epochs: int) -> tuple[Tensor, Tensor]:
    """Trains on 70 %, watches 10 %, and answers for 20 %: logits and true folds."""
    train, valid, test = split(groups, seed)

    def batches(rows: np.ndarray) -> LengthBatches:
        return LengthBatches([x[row] for row in rows], y[rows], places=3000, seed=seed)

    with seeded(seed):
        module = SequenceCNN(nn.Embedding(21, 48), int(y.max()) + 1, channels=48, blocks=6, dropout=0.2)
    recipe = Recipe(epochs=epochs, learning_rate=3e-3, weight_decay=0.05, clip_norm=1.0, ema=0.98)
    fit(module, classification_loss, batches(train), batches(valid), recipe=recipe)
    with torch.no_grad():
        found = [(module(tokens, mask), labels) for tokens, mask, labels in batches(test).epoch(0)]
    return torch.cat([logits for logits, _ in found]), torch.cat([labels for _, labels in found])


def folds(data: Path, folder: Path, *, epochs: int = 25, splits: int = 1) -> str:
    """Share of domains whose fold is the first, or among the first five, of the answers; mean over random splits."""
    x, y, families, names = read_folds(data)
    kinds = {"domains": [str(row) for row in range(len(x))], "families": families}
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    found = []
    for kind, groups in kinds.items():
        answers = [one_split(x, y, groups, seed, epochs) for seed in range(splits)]
        ranks = torch.cat([(z > z.gather(1, t[:, None])).sum(dim=1) for z, t in answers])
        within = [float((ranks < k).float().mean()) for k in range(1, 11)]
        axes.plot(range(1, 11), within, "o-", label=f"new {kind}")
        found.append(f"{within[0]:.1%} of new {kind}, {within[4]:.1%} in five")
    axes.set(xlabel="answers taken", ylabel="true fold among them", ylim=(0, 1))
    axes.legend()
    figure.savefig(folder / "folds.png", dpi=150, bbox_inches="tight")
    common = float(torch.bincount(y).max()) / len(y)
    return f"{len(names)} folds: {'; '.join(found)} (the commonest fold: {common:.1%})"


ROWS = [
    Row(
        "folds of protein domains",
        "from molnet.nn import SequenceCNN",
        "the domains of DeepSF's test lists in folds of 10 or more, split 70/10/20, by domains and by families",
        "reported",
        folds,
    )
]
