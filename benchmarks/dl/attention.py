"""Attention: telling palindromes from near misses, and tiny Shakespeare by a causal transformer."""

from __future__ import annotations

from pathlib import Path

import torch
from dl.recurrent import read_shakespeare
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor

from molnet.nn.attention import CausalTransformer, TransformerEncoder
from molnet.nn.seeding import seeded
from molnet.nn.sequence import TextBatches
from molnet.train.arrays import ArrayBatches, classification_loss, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def near_misses(count: int, length: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words of four letters, every other a palindrome, the others but for one letter; the mask; whether it is one."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(4, (count, length // 2), generator=generator)
    x = torch.cat([half, half.flip(1)], dim=1)
    rows = torch.arange(count)
    place = torch.randint(length, (count,), generator=generator)
    x[rows, place] = (x[rows, place] + torch.randint(1, 4, (count,), generator=generator) * (rows % 2)) % 4
    return x, torch.ones_like(x, dtype=torch.bool), 1 - rows % 2


def recognized(data: Path, folder: Path, *, epochs: int = 8, length: int = 16) -> str:
    """Accuracy on 4,000 new words; half are palindromes and half differ from one by a letter."""
    with seeded(0):
        module = TransformerEncoder(4, 2, time=length, channels=32, heads=4, blocks=2)
    train, valid = (ArrayBatches(*near_misses(n, length, seed), size=128) for seed, n in enumerate((16384, 1024)))
    recipe = Recipe(epochs=epochs, optimizer="soap", learning_rate=3e-3, clip_norm=1.0, ema=0.99)
    history = fit(module, classification_loss, train, valid, recipe=recipe)
    x, mask, y = near_misses(4000, length, 2)
    with torch.no_grad():
        right = float((module(x, mask).argmax(dim=1) == y).float().mean())
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([row["epoch"] for row in history.rows], [row["valid_accuracy"] for row in history.rows])
    axes.set(xlabel="epoch", ylabel="recognized rightly")
    figure.savefig(folder / "palindromes_attention.png", dpi=150, bbox_inches="tight")
    return f"{right:.1%} of words of {length}"


def shakespeare(data: Path, folder: Path, *, epochs: int = 2, channels: int = 128, blocks: int = 3) -> str:
    """Nats per character of the last 10 %, in excerpts of 128 with nothing before, and what it writes."""
    vocabulary, train, valid, test = read_shakespeare(data)
    with seeded(0):
        sizes = {"time": 128, "channels": channels, "heads": 4, "blocks": blocks}
        module = CausalTransformer(len(vocabulary), **sizes)
    recipe = Recipe(epochs=epochs, optimizer="soap", learning_rate=3e-3, clip_norm=1.0, ema=0.99)
    watch = TextBatches(valid, time=128, size=64)
    fit(module, own_loss, TextBatches(train, time=128, size=16), watch, recipe=recipe)
    with torch.no_grad():
        nats = torch.cat([module.losses(batch)["loss"] for batch in TextBatches(test, time=128, size=64).epoch(0)])
    generator = torch.Generator().manual_seed(0)
    written = module.sample(vocabulary.encode("ROMEO:"), 500, generator=generator, temperature=0.8)
    (folder / "shakespeare_transformer.txt").write_text("ROMEO:" + vocabulary.decode(written) + "\n")
    return f"{float(nats.mean()):.3f} nats per character"


ROWS = [
    Row(
        "palindromes by attention",
        "from molnet.nn import TransformerEncoder",
        "made here: words of 16 letters",
        "reported",
        recognized,
    ),
    Row(
        "tiny Shakespeare, transformer",
        "from molnet.nn import CausalTransformer",
        "tiny Shakespeare: first 5 % to watch, 85 % to train, last 10 % to test",
        "reported",
        shakespeare,
    ),
]
