from __future__ import annotations

import pytest
import torch
from torch.nn.functional import silu

from molnet.nn.activations import Activation, Logistic, ReLU, Softsign, Tanh
from molnet.nn.mlp import MLP, GroupedMLP, ResidualMLP
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss, regression_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

WIDTHS = [[4, 8, 2], [4, 3, 5, 2], [4, 2]]


@pytest.fixture
def networks() -> GroupedMLP:
    with seeded(0):
        made = GroupedMLP(WIDTHS, activation=Tanh()).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter)
    return made


def test_each_row_passes_the_network_of_its_group(networks: GroupedMLP) -> None:
    x = torch.randn((7, 4), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    group = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    for row, g, found in zip(x, group.tolist(), networks(x, group), strict=True):
        layers = networks.networks[g].layers
        assert [layers[0].in_features, *(layer.out_features for layer in layers)] == WIDTHS[g]
        for layer in layers[:-1]:
            row = torch.tanh(layer.weight @ row + layer.bias)
        torch.testing.assert_close(found, layers[-1].weight @ row + layers[-1].bias)


def test_first_and_second_derivatives(networks: GroupedMLP) -> None:
    x = torch.randn((5, 4), generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    group = torch.tensor([2, 0, 0, 2, 0])
    assert torch.autograd.gradcheck(lambda x: networks(x, group), (x,))
    assert torch.autograd.gradgradcheck(lambda x: networks(x, group), (x,))


def test_groups_without_rows_cost_nothing(networks: GroupedMLP) -> None:
    networks(torch.ones((3, 4), dtype=torch.float64), torch.tensor([2, 0, 2])).sum().backward()
    assert [any(p.grad is not None for p in network.parameters()) for network in networks.networks] == [1, 0, 1]


def test_no_rows(networks: GroupedMLP) -> None:
    found = networks(torch.zeros((0, 4), dtype=torch.float64), torch.zeros(0, dtype=torch.long))
    assert found.shape == (0, 2)


def test_outputs_of_different_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"outputs of one width; found \[2, 1\]"):
        GroupedMLP([[3, 2], [3, 4, 1]])


def test_one_network_for_any_batch_shape() -> None:
    with seeded(0):
        network, x = MLP([3, 5, 2]), torch.randn(2, 4, 3)
    assert network(x).shape == (2, 4, 2)
    torch.testing.assert_close(network(x)[1, 2], network(x[1, 2]))
    first, last = network.layers
    torch.testing.assert_close(network(x), last(silu(first(x))))


def test_the_output_of_a_wide_network_has_the_size_of_its_input() -> None:
    with seeded(1):
        network, x = MLP([200, 200], activation=Tanh()), torch.randn(500, 200)
    assert 0.9 < network(x).std().item() < 1.1


def test_a_single_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"widths of its input and output; found \[3\]"):
        MLP([3])


@pytest.mark.parametrize("norm", [torch.nn.LayerNorm, torch.nn.BatchNorm1d])
def test_norms_stand_before_the_activation_and_dropout_after(norm: type[torch.nn.Module]) -> None:
    with seeded(0):
        network, x = MLP([3, 50, 2], activation=Tanh(), norm=norm, dropout=0.4), torch.randn(20, 3)
        first, last = network.layers
        dropped = network(x)
    network.eval()
    torch.testing.assert_close(network(x), last(network.norms[0](first(x)).tanh()))
    assert not torch.allclose(network(x), dropped)
    assert set(MLP([3, 5, 2]).state_dict()) == {f"layers.{n}.{p}" for n in (0, 1) for p in ("weight", "bias")}


@pytest.mark.parametrize("activation", [Logistic(), Softsign(), ReLU()], ids=str)
def test_a_hidden_layer_learns_exclusive_or(activation: Activation) -> None:
    x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
    with seeded(0):
        network = MLP([2, 16, 2], activation=activation)
    batches = ArrayBatches(x, y)
    history = fit(network, classification_loss, batches, batches, recipe=Recipe(epochs=160, learning_rate=0.05, ema=0))
    assert history.rows[-1]["valid_accuracy"] == 1


def test_forty_layers_learn_with_residuals_and_not_without() -> None:
    x = torch.linspace(-1, 1, 64)[:, None]
    batches, recipe = ArrayBatches(x, (4 * x).sin(), size=16), Recipe(epochs=25, learning_rate=3e-3, ema=0)
    with seeded(0):
        plain = MLP([1, *[16] * 40, 1], activation=Logistic())
        residual = ResidualMLP((1, 16, 1), blocks=20, activation=Logistic())
    start = residual(x)
    torch.testing.assert_close(start, residual.last(residual.first(x)))
    histories = [fit(n, regression_loss, batches, batches, recipe=recipe) for n in (plain, residual)]
    losses = [min(row["valid_loss"] for row in history.rows) for history in histories]
    assert losses[1] < 0.1 < 0.4 < losses[0]
