from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from molnet.nn.activations import Logistic, ReLU, Tanh
from molnet.nn.mlp import MLP
from molnet.nn.optimizers import (
    NaturalGradient,
    categorical,
    gaussian,
    gradient_norms,
    initialize,
    ravine,
    saddle,
    trajectory,
)
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss
from molnet.train.loop import fit
from molnet.train.recipe import Constant, Recipe


def test_natural_steps_ignore_the_scale_of_inputs() -> None:
    """On a linear model the Fisher information is E[x xᵀ], and one natural step solves least squares."""
    x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([1.0, 100.0, 0.01])
    weight = torch.tensor([[1.0, 0.02, -300.0]], dtype=torch.float64)
    module = nn.Linear(3, 1).double()
    optimizer = NaturalGradient(module, gaussian, lr=1.0, damping=1e-18)
    (0.5 * (module(x) - x @ weight.T - 1).square().mean()).backward()
    before = module.weight.detach().clone()
    optimizer.step()
    # E[g²] is 1 within the noise of 2,000 samples.
    moved = (module.weight.detach() - before) / (weight - before)
    torch.testing.assert_close(moved, torch.ones_like(moved), atol=0.1, rtol=0)


def test_the_fisher_information_of_classes_is_that_of_the_model() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0]], dtype=torch.float64).repeat(20_000, 1)
    module = nn.Linear(3, 3, bias=False).double()
    nn.init.eye_(module.weight)
    optimizer = NaturalGradient(module, categorical)
    module(logits)
    p = logits[0].softmax(dim=0)
    torch.testing.assert_close(optimizer._means[module][1], torch.diag(p) - torch.outer(p, p), atol=0.01, rtol=0)


def test_natural_gradients_train_in_the_loop_in_fewer_steps() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(512, 10, generator=generator) * torch.logspace(-1, 1, 10)
    y = (x[:, 0] * 10 + x[:, 9] / 10 > 0).long()
    batches = ArrayBatches(x, y, size=128)
    recipe = Recipe(epochs=15, ema=0.5, clip_norm=None, schedule=Constant())
    losses = {}
    for name in ("natural", "plain"):
        with seeded(0):
            module = MLP([10, 16, 2], activation=Tanh())
        if name == "natural":
            optimizer: torch.optim.Optimizer = NaturalGradient(module, categorical, lr=0.1, damping=1e-3)
        else:
            optimizer = torch.optim.SGD(module.parameters(), 0.3)
        history = fit(module, classification_loss, batches, batches, recipe=recipe, optimizer=optimizer)
        losses[name] = history.rows[-1]["valid_loss"]
    assert losses["natural"] < 0.3 < 0.45 < losses["plain"]


def test_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="linear layers only; Sequential has other parameters"):
        NaturalGradient(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), gaussian)


def test_momentum_and_scaling_get_along_the_ravine_and_off_the_saddle() -> None:
    start = torch.tensor([5.0, 1.0])
    plain = trajectory(ravine, start, partial(torch.optim.SGD, lr=0.035), steps=60)
    heavy = trajectory(ravine, start, partial(torch.optim.SGD, lr=0.035, momentum=0.7), steps=60)
    assert plain.shape == (61, 2)
    # Plain descent shrinks x by 1 − lr and y by 1 − 50 lr each step.
    torch.testing.assert_close(plain[60], start * torch.tensor([0.965**60, 0.75**60]), atol=1e-5, rtol=1e-4)
    assert ravine(heavy[-1]) < 0.01 * ravine(plain[-1])
    near = torch.tensor([1.0, 1e-3])
    slow = trajectory(saddle, near, partial(torch.optim.SGD, lr=0.02), steps=60)
    fast = trajectory(saddle, near, partial(torch.optim.Adam, lr=0.02), steps=60)
    assert slow[-1, 1] < 0.05 < 1 < fast[-1, 1]


def test_gradients_vanish_with_logistic_units_and_not_with_hes_weights() -> None:
    norms = {}
    for name, activation, draw in (
        ("logistic", Logistic(), nn.init.xavier_normal_),
        ("he", ReLU(), partial(nn.init.kaiming_normal_, nonlinearity="relu")),
    ):
        with seeded(0):
            network, x = MLP([32] * 21, activation=activation), torch.randn(64, 32)
            initialize(network, draw)
        norms[name] = gradient_norms(network, network(x).square().mean())
    assert norms["logistic"][0] < 1e-6 * norms["logistic"][-1]
    assert 0.05 < norms["he"][0] / norms["he"][-1] < 20


def test_orthogonal_weights_keep_lengths() -> None:
    with seeded(0):
        network, x = nn.Sequential(*(nn.Linear(8, 8) for _ in range(30))), torch.randn(5, 8)
        initialize(network, nn.init.orthogonal_)
    torch.testing.assert_close(network(x).norm(dim=1), x.norm(dim=1), rtol=1e-4, atol=0)
