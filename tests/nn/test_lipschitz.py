from __future__ import annotations

import pytest
import torch

from molnet.nn.activations import Tanh
from molnet.nn.lipschitz import bound_weights, keep_bounded
from molnet.nn.mlp import MLP


def norms(network: MLP) -> list[float]:
    return [float(torch.linalg.matrix_norm(w.weight.detach(), ord=2)) for w in network.layers]


def test_only_large_weights_shrink() -> None:
    network = MLP([4, 8, 8, 1], activation=Tanh())
    with torch.no_grad():
        network.layers[0].weight.mul_(0.01)
    small = network.layers[0].weight.detach().clone()
    bound_weights(network, 0.5)
    assert torch.equal(network.layers[0].weight, small)
    assert norms(network)[1] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="-1.0; expected a positive"):
        bound_weights(network, -1.0)


def test_the_bound_holds_after_each_step() -> None:
    network = MLP([4, 8, 8, 1], activation=Tanh())
    optimizer = torch.optim.SGD(network.parameters(), 10.0)
    keep_bounded(optimizer, network, 1.5)
    x = torch.randn((32, 4), generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
        assert max(norms(network)) <= 1.5 * (1 + 1e-6)
