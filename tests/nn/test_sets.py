from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.nn.sets import AttentionPool, DeepSets, EquivariantLayer, MaxPool, MeanPool, SumPool, pad_sets

POOLS = [SumPool(), MeanPool(), MaxPool(), MaxPool(2), AttentionPool(3)]


def some_sets(seed: int, channels: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, channels, generator=generator) for n in (4, 1, 6)]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(POOLS))
def test_pools_know_neither_order_nor_padding(seed: int, pool: nn.Module) -> None:
    x, mask = pad_sets(some_sets(seed))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    spoiled = torch.where(mask[..., None], x, torch.nan)
    torch.testing.assert_close(pool(spoiled[:, order], mask[:, order]), pool(x, mask))


def test_pools_are_what_they_are_called() -> None:
    sets = some_sets(0)
    x, mask = pad_sets(sets)
    torch.testing.assert_close(SumPool()(x, mask), torch.stack([one.sum(0) for one in sets]))
    torch.testing.assert_close(MeanPool()(x, mask), torch.stack([one.mean(0) for one in sets]))
    torch.testing.assert_close(MaxPool()(x, mask), torch.stack([one.amax(0) for one in sets]))
    best = torch.stack([one.sort(dim=0, descending=True).values[:2].mean(0) for one in sets])
    torch.testing.assert_close(MaxPool(2)(x, mask), best)


def train(module: nn.Module, loss: nn.Module, x: Tensor, mask: Tensor, y: Tensor, rate: float = 0.03) -> None:
    optimizer = torch.optim.Adam(module.parameters(), rate)
    for _ in range(100):
        optimizer.zero_grad()
        loss(module(x, mask), y).backward()
        optimizer.step()


def test_deep_sets_add_numbers_and_larger_sets_than_they_were_shown() -> None:
    generator = torch.Generator().manual_seed(0)

    def digits(size: int) -> tuple[Tensor, Tensor]:
        drawn = torch.randint(10, (256, size), generator=generator)
        return nn.functional.one_hot(drawn, 10).float(), drawn.sum(dim=1, keepdim=True).float()

    with seeded(0):
        network = DeepSets(nn.Linear(10, 1), SumPool(), nn.Identity())
    x, y = digits(5)
    train(network, nn.MSELoss(), x, torch.ones(256, 5, dtype=torch.bool), y, rate=0.3)
    x, y = digits(50)
    assert (network(x, torch.ones(256, 50, dtype=torch.bool)) - y).abs().mean() < 2  # of 225


class OddOneOut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = EquivariantLayer(2, 32), EquivariantLayer(32, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.last(self.first(x, mask).relu(), mask).squeeze(-1)


def test_equivariant_layers_find_the_outlier() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1200, 1, 2, generator=generator) + 0.2 * torch.randn(1200, 8, 2, generator=generator)
    y = torch.randint(8, (1200,), generator=generator)
    angle = 6.3 * torch.rand(1200, generator=generator)
    x[torch.arange(1200), y] += 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
    mask = torch.ones(1200, 8, dtype=torch.bool)
    with seeded(0):
        network = OddOneOut()
    train(network, nn.CrossEntropyLoss(), x[:1000], mask[:1000], y[:1000])
    answers = network(x[1000:], mask[1000:])
    assert (answers.argmax(dim=1) == y[1000:]).float().mean() > 0.95
    order = torch.randperm(8, generator=generator)
    torch.testing.assert_close(network(x[1000:, order], mask[1000:]), answers[:, order])


def test_attention_finds_the_instance_that_decides_a_bag() -> None:
    generator = torch.Generator().manual_seed(0)
    x, mask = torch.randn(400, 7, 4, generator=generator), torch.ones(400, 7, dtype=torch.bool)
    y = torch.arange(400) % 2
    x[y == 1, 3] += 3
    with seeded(0):
        pool = AttentionPool(4)
        network = DeepSets(nn.Identity(), pool, MLP([4, 16, 2]))
    train(network, nn.CrossEntropyLoss(), x[:300], mask[:300], y[:300])
    assert (network(x[300:], mask[300:]).argmax(dim=1) == y[300:]).float().mean() > 0.9
    assert (pool.weights(x[301::2], mask[301::2]).argmax(dim=1) == 3).float().mean() > 0.9


def test_sets_without_elements_are_refused() -> None:
    with pytest.raises(ValueError, match=r"set 1 has no elements"):
        pad_sets([torch.ones(2, 3), torch.ones(0, 3)])
    with pytest.raises(ValueError, match=r"there are no sets"):
        pad_sets([])
    with pytest.raises(ValueError, match=r"row 1 of the mask is false everywhere"):
        MeanPool()(torch.ones(2, 2, 3), torch.tensor([[True, True], [False, False]]))
