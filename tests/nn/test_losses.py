from __future__ import annotations

import math

import pytest
import torch

from molnet.nn.losses import Lasso, Tikhonov, hinge, multiclass_hinge, ranking
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, example_loss, penalized, regression_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def test_hinges() -> None:
    scores, labels = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([1.0, 1.0, 1.0])
    assert hinge(scores, labels).tolist() == [0, 0.5, 2]
    two = torch.stack([-scores / 2, scores / 2], dim=1)
    assert multiclass_hinge(two, torch.ones(3, dtype=torch.long)).tolist() == [0, 0.5, 2]
    with pytest.raises(ValueError, match=r"labels of -1 and 1; found \[0.0, 1.0\]"):
        hinge(scores, torch.tensor([0.0, 1.0, 1.0]))


def test_ranking_counts_the_pairs_that_differ() -> None:
    found = ranking(torch.tensor([[1.0, 0.0, 3.0], [1.0, 2.0, 3.0]]), torch.tensor([[2.0, 1.0, 1.0], [1.0, 1, 1]]))
    assert found.tolist() == pytest.approx([(math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2, 0])


def test_an_order_is_learned_from_ranks() -> None:
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(60, 5, 3, generator=generator)
    value = items @ torch.tensor([1.0, -2.0, 0.5])
    ranks = value.argsort(dim=1).argsort(dim=1).float()
    with seeded(0):
        network = torch.nn.Sequential(MLP([3, 1]), torch.nn.Flatten(1))
    batches = ArrayBatches(items, ranks, size=20)
    fit(network, example_loss(ranking), batches, batches, recipe=Recipe(epochs=30, learning_rate=0.1, ema=0))
    with torch.no_grad():
        right = network(items).argsort(dim=1).argsort(dim=1) == ranks
    assert right.float().mean() > 0.95
    with pytest.raises(ValueError, match=r"the loss gave the shape \(60, 5\) for 60 examples"):
        example_loss(lambda a, b: a - b)(network, (items, ranks))


def test_the_lasso_leaves_out_what_does_not_matter() -> None:
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    batches = ArrayBatches(x, x[:, :1] - 2 * x[:, 1:2], size=50)
    found = {}
    for penalty in (Lasso(0.2), Tikhonov(0.2)):
        with seeded(0):
            network = MLP([6, 1])
        recipe = Recipe(epochs=80, learning_rate=0.05, ema=0)
        fit(network, penalized(regression_loss, penalty), batches, batches, recipe=recipe)
        found[type(penalty)] = network.layers[0].weight.detach()[0]
    # With ⟨xx⟩ = 1 the minimum is at w − 0.1 sign w, and at 2w/(2 + 0.2).
    assert found[Lasso][:2].tolist() == pytest.approx([0.9, -1.9], abs=0.03)
    assert found[Lasso][2:].abs().max() < 0.02
    assert found[Tikhonov][:2].tolist() == pytest.approx([1 / 1.1, -2 / 1.1], abs=0.05)
