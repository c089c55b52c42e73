from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from molnet.nn.seeding import seeded
from molnet.nn.sequence import LengthBatches
from molnet.nn.sequence_cnn import SequenceCNN


def test_neither_padding_nor_company_matters() -> None:
    with seeded(0):
        network = SequenceCNN(nn.Embedding(5, 8), 3, channels=8, blocks=5, largest=4)
        x = torch.randint(5, (3, 20))
    mask = torch.arange(20) < torch.tensor([[7], [20], [2]])
    together = network(x, mask)
    for row, length in enumerate((7, 20, 2)):
        torch.testing.assert_close(
            together[row : row + 1], network(x[row : row + 1, :length], mask[row : row + 1, :length])
        )


def words(count: int, seed: int) -> tuple[list[Tensor], Tensor]:
    """Random words of very different lengths; every other has the letters 0 1 2 3 somewhere, and no other has."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for row in range(count):
        length = int(torch.randint(8, 60, (), generator=generator))
        word = torch.randint(8, (length,), generator=generator)
        place = int(torch.randint(length - 3, (), generator=generator))
        word[place : place + 4] = torch.arange(4) if row % 2 else torch.arange(4).flip(0)
        found.append(word)
    return found, torch.arange(count) % 2


def test_a_motif_is_found_wherever_it_stands() -> None:
    with seeded(0):
        network = SequenceCNN(nn.Embedding(8, 16), 2, channels=16, blocks=2, largest=1)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    batches = LengthBatches(*words(400, seed=0), places=1500)
    for epoch in range(1, 11):
        for x, mask, y in batches.epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x, mask), y).backward()
            optimizer.step()
    right = [network(x, mask).argmax(dim=1) == y for x, mask, y in LengthBatches(*words(200, seed=1)).epoch(0)]
    assert torch.cat(right).float().mean() > 0.95


def test_wrong_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel has 4 places; expected an odd number"):
        SequenceCNN(nn.Identity(), 2, channels=4, blocks=1, kernel=4)
    with pytest.raises(ValueError, match="row 0 of the mask is false everywhere"):
        SequenceCNN(nn.Identity(), 2, channels=4, blocks=1)(torch.ones(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool))
