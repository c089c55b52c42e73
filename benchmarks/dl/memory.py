"""A memory of keys and values: questions that take one, two or three facts of a story."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import one_hot

from molnet.nn.seeding import seeded
from molnet.nn.sequence import KeyValueMemory
from molnet.train.arrays import ArrayBatches, classification_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

WORDS = (
    *("the coin", "the key", "the ring", "the map"),
    *("the box", "the bag", "the jar", "the purse"),
    *("Ann", "Bob", "Eve", "Tom"),
    *("the garden", "the kitchen", "the attic", "the cellar"),
)
"""Things lie in containers, which people hold, who are at places: four of each kind."""
VERBS = ("lies in", "is held by", "went to")
SUBJECTS, NOTHING = 12, 16
"""Words that facts tell something of; the number of the word that stands for no fact."""


def stories(count: int, facts: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Who each fact is of and what it tells, [count, facts], in their order; who is asked for, and the place.

    A later fact overrules those before it. What is asked takes one to three facts, a third of the stories each.
    """
    rng = np.random.default_rng(seed)
    found: list[tuple[np.ndarray, np.ndarray, int, int]] = []
    while len(found) < count:
        subjects = rng.integers(SUBJECTS, size=facts)
        told = 4 * (subjects // 4 + 1) + rng.integers(4, size=facts)
        last = dict(zip(subjects.tolist(), told.tolist(), strict=True))
        asked = answer = 4 * (2 - len(found) % 3) + int(rng.integers(4))
        while answer in last:
            answer = last[answer]
        if answer >= SUBJECTS:
            found.append((subjects, told, asked, answer))
    return tuple(torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))  # type: ignore[return-value]


def memory_of(count: int, facts: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Query, keys, values and mask for the network, and the place; the last slot says nothing.

    A key is who a fact is of and how long ago it was told, a value what it tells.
    """
    subjects, told, asked, answer = stories(count, facts, seed)
    keys = torch.zeros(count, facts + 1, 17 + facts)
    keys[:, :facts, :17] = one_hot(subjects, 17).float()
    keys[:, :facts, 17:] = torch.eye(facts)
    keys[:, facts, NOTHING] = 1
    values = torch.zeros(count, facts + 1, 16)
    values[:, :facts] = one_hot(told, 16).float()
    mask = torch.ones(count, facts + 1, dtype=torch.bool)
    return one_hot(asked, 16).float(), keys, values, mask, answer - SUBJECTS


def answered(hops: int, share: float, facts: int, count: int, epochs: int) -> tuple[KeyValueMemory, list[float]]:
    """A trained network, and its accuracy on 3,000 new stories by the number of facts that an answer takes.

    Keys and values are multiplied by the share: with zero the network can't read its memory.
    """
    with seeded(0):
        sizes = {"keys": 17 + facts, "values": 16, "queries": 16, "outputs": 4, "channels": 64}
        network = KeyValueMemory(**sizes, hops=hops)

    def parts(number: int, seed: int) -> tuple[Tensor, ...]:
        query, keys, values, mask, answer = memory_of(number, facts, seed)
        return query, share * keys, share * values, mask, answer

    train, valid = (ArrayBatches(*parts(n, seed), size=128) for seed, n in enumerate((count, 1000)))
    recipe = Recipe(epochs=epochs, learning_rate=5e-3, clip_norm=1.0, ema=0.99)
    fit(network, classification_loss, train, valid, recipe=recipe)
    *inputs, answer = parts(3000, 2)
    with torch.no_grad():
        right = network(*inputs).argmax(dim=1) == answer
    return network, [float(right[links::3].float().mean()) for links in range(3)]


def facts_of_stories(
    data: Path,
    folder: Path,
    *,
    facts: int = 12,
    count: int = 12000,
    epochs: int = 16,
    hops: tuple[int, ...] = (1, 2, 3),
) -> str:
    """Accuracy on new stories by hops and by the facts that an answer takes; without its memory a network guesses."""
    _, blind = answered(hops[-1], 0.0, facts, count, epochs // 4)
    found = [answered(n, 1.0, facts, count, epochs) for n in hops]
    right = [shares for _, shares in found]
    draw_memory(found[-1][0], facts, right, hops, folder)
    told = (
        f"{n} hop{'s' * (n > 1)} {', '.join(f'{share:.1%}' for share in shares)}"
        for n, shares in zip(hops, right, strict=True)
    )
    return f"one, two, three facts: {'; '.join(told)} (without memory {np.mean(blind):.1%})"


def draw_memory(
    network: KeyValueMemory, facts: int, right: list[list[float]], hops: tuple[int, ...], folder: Path
) -> None:
    """Where each hop looked for an answer that takes three facts, and all accuracies."""
    story, read = stories(3, facts, 3), memory_of(3, facts, 3)
    with torch.no_grad():
        q, looked = network.read(*read[:4])
        answer = int(network.output(q)[2].argmax())
    subjects, told, asked, _ = (part[2].tolist() for part in story)
    lines = [f"{WORDS[s]} {VERBS[s // 4]} {WORDS[o]}" for s, o in zip(subjects, told, strict=True)]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    weights, shares = figure.subplots(1, 2)
    weights.imshow(looked[2].T.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    weights.set_title(f"Where is {WORDS[asked]}? In {WORDS[12 + answer]}.", fontsize=10)
    weights.set_yticks(range(facts + 1), [*lines, "(nothing)"], fontsize=8)
    weights.set_xticks(range(looked.shape[1]), [f"hop {n + 1}" for n in range(looked.shape[1])])
    shares.imshow(right, cmap="Blues", vmin=0, vmax=1.2)
    for row, column in np.ndindex(len(right), 3):
        color = "white" if right[row][column] > 0.7 else "black"
        shares.text(column, row, f"{right[row][column]:.1%}", color=color, ha="center", va="center")
    shares.set_title("answered rightly", fontsize=10)
    shares.set_xticks(range(3), ["1 fact", "2 facts", "3 facts"])
    shares.set_yticks(range(len(hops)), [f"{n} hop{'s' * (n > 1)}" for n in hops])
    figure.savefig(folder / "memory.png", dpi=150)


ROWS = [
    Row(
        "questions to a memory of facts",
        "from molnet.nn import KeyValueMemory",
        "made here: stories of 12 facts, of which the last one on each subject counts",
        "three hops answer what one can't",
        facts_of_stories,
    )
]
