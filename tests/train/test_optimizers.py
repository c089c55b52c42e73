"""The default optimizer: what decays, and what doesn't."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from molnet.train.optimizers import adamw, trainable
from molnet.train.recipe import Recipe

RECIPE = Recipe(learning_rate=0.1, weight_decay=0.5)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 4)
        self.layer, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)
        self.convolution, self.scale = nn.Conv1d(4, 4, 3), nn.Parameter(torch.ones(()))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def test_only_weights_that_mix_features_decay() -> None:
    """Without a gradient's push, a step of AdamW multiplies what decays by 1 − lr·decay."""
    module = Network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer = adamw(module, RECIPE)
    for parameter in trainable(module):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"layer.weight", "convolution.weight"}
    torch.testing.assert_close(module.layer.weight.detach(), 0.95 * before["layer.weight"])


def test_every_parameter_is_trained_once() -> None:
    module = Network()
    found = [id(p) for group in adamw(module, RECIPE).param_groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in trainable(module))
    assert all(group["lr"] == 0.1 for group in adamw(module, RECIPE).param_groups)


def test_a_group_without_parameters_is_left_out() -> None:
    assert len(adamw(nn.Linear(2, 2, bias=False), RECIPE).param_groups) == 1
    with pytest.raises(ValueError, match="Tanh has no parameter that requires a gradient"):
        adamw(nn.Tanh(), RECIPE)
