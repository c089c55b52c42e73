from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear, silu

from molnet.nn.mlp import MLP, GroupedMLP
from molnet.nn.seeding import seeded


def test_each_row_passes_the_network_of_its_group():
    with seeded(0):
        networks = GroupedMLP(3, [4, 8, 2], activation=torch.tanh)
        for bias in networks.biases:
            torch.nn.init.normal_(bias)
        x = torch.randn(7, 4)
    group = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    for row, g, result in zip(x, group, networks(x, group), strict=True):
        (w1, w2), (b1, b2) = networks.weights, networks.biases
        hidden = torch.tanh(linear(row, w1[g].T, b1[g, 0]))
        torch.testing.assert_close(result, linear(hidden, w2[g].T, b2[g, 0]))


def test_one_network_for_any_batch_shape():
    with seeded(0):
        network, x = MLP([3, 5, 2]), torch.randn(2, 4, 3)
    assert network(x).shape == (2, 4, 2)
    assert network(x[0, 0]).shape == (2,)
    w, b = network.network.weights, network.network.biases
    expected = silu(x @ w[0][0] + b[0][0]) @ w[1][0] + b[1][0]
    torch.testing.assert_close(network(x), expected)


def test_no_rows():
    assert GroupedMLP(2, [3, 1])(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).shape == (0, 1)


def test_the_output_of_a_wide_network_has_the_size_of_its_input():
    with seeded(1):
        network, x = MLP([200, 200], activation=torch.tanh), torch.randn(500, 200)
    assert 0.9 < network(x).std().item() < 1.1


def test_a_single_width_is_refused():
    with pytest.raises(ValueError, match=r"widths of its input and output; found \[3\]"):
        MLP([3])
