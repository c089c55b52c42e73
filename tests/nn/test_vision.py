from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from molnet.nn.seeding import seeded
from molnet.nn.vision import AlexNet, Inception, LeNet1, LeNet5, PolicyValueNet, ResNet
from molnet.nn.visualization import maximize_activation
from molnet.train.arrays import ArrayBatches, classification_loss, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from tests.nn.digits import digits


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_numbers_of_weights_are_those_published() -> None:
    # LeNet-5 with all 16 × 6 kernels of its second convolution, of which the paper leaves out 36.
    assert count(LeNet5()) == 156 + 2416 + 48120 + 10164 + 850
    assert count(LeNet1()) == 104 + 1212 + 1930
    # The 20-layer network of He et al. for 32 × 32 has 0.27 M.
    assert count(ResNet(3, 10, blocks=3)) == pytest.approx(0.27e6, rel=0.03)
    with pytest.raises(ValueError, match=r"network takes images of 28 × 28; found 32 × 32"):
        LeNet5()(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"needs widths and blocks; found \[\] and 2"):
        ResNet(1, 10, widths=())


def test_shapes_and_gradients_of_deep_networks() -> None:
    with seeded(0):
        nets = [AlexNet(2, 5, width=8), ResNet(2, 5, widths=(4, 8), blocks=1)]
        x = torch.rand(3, 2, 21, 19)
    for net in nets:
        assert net(x).shape == (3, 5)
        net(x).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.ndim > 1)


def test_inception_puts_its_branches_beside_each_other() -> None:
    with seeded(0):
        block = Inception(3, narrow=8, middle=9, wide=10, pooled=7).eval()
        x = torch.randn(2, 3, 6, 7)
    found = block(x)
    assert found.shape == (2, 34, 6, 7)
    # A change of one pixel reaches as far as the kernels.
    moved = x.clone()
    moved[:, :, 3, 3] += 10.0
    parts = (block(moved) - found).split([8, 9, 10, 7], dim=1)
    reached = [(part != 0).flatten(0, 1).any(dim=0).sum().item() for part in parts]
    assert reached[0] == 1
    assert 1 < reached[1] <= 9 < reached[2] <= 25
    assert 1 < reached[3] <= 9


def test_convolutions_are_equivariant_to_translations() -> None:
    with seeded(0):
        net = ResNet(1, 4, widths=(4, 8), blocks=1).eval()
        image = torch.zeros(1, 1, 48, 48)
        image[..., 20:26, 20:26] = torch.rand(6, 6)
    # The last features have half the resolution: a shift by 8 pixels is one by 4 there.
    shifted = net.features(image.roll((8, -4), (2, 3)))
    torch.testing.assert_close(shifted[..., 5:-5, 5:-5], net.features(image).roll((4, -2), (2, 3))[..., 5:-5, 5:-5])
    assert net.features(image).std() > 0
    torch.testing.assert_close(net(image.roll((8, -4), (2, 3))), net(image), atol=1e-3, rtol=1e-3)


def test_lenet_learns_digits_and_shows_what_it_looks_for() -> None:
    images, labels = digits(1500)
    with seeded(0):
        net = LeNet5()
    train, valid = ArrayBatches(images[:1000], labels[:1000], size=25), ArrayBatches(images[1000:], labels[1000:])
    history = fit(net, classification_loss, train, valid, recipe=Recipe(epochs=3, learning_rate=1e-2, ema=0))
    assert history.rows[-1]["valid_accuracy"] > 0.85
    rows = torch.arange(10)
    found = maximize_activation(lambda x: net(x)[rows, rows], torch.full((10, 1, 28, 28), 0.5), steps=20)
    assert net(found).argmax(dim=1).tolist() == rows.tolist()
    assert net(found).softmax(dim=1)[rows, rows].min() > 0.8
    assert found.min() >= 0 and found.max() <= 1
    assert all(p.grad is None for p in net.parameters())


LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@cache
def outcome(board: tuple[int, ...]) -> int:
    """Of tic-tac-toe with best play, for the player to move, whose stones are 1."""
    if any(all(board[i] == -1 for i in line) for line in LINES):
        return -1
    free = [i for i in range(9) if board[i] == 0]
    return max((-outcome(after(board, i)) for i in free), default=0)


def after(board: tuple[int, ...], move: int) -> tuple[int, ...]:
    return tuple(-(1 if i == move else stone) for i, stone in enumerate(board))


def positions(board: tuple[int, ...], found: dict[tuple[int, ...], list[int]]) -> None:
    """All positions in which something is to be decided, with their best moves."""
    if board in found or 0 not in board or any(all(board[i] == -1 for i in line) for line in LINES):
        return
    found[board] = [i for i in range(9) if board[i] == 0 and -outcome(after(board, i)) == outcome(board)]
    for move in (i for i in range(9) if board[i] == 0):
        positions(after(board, move), found)


def games() -> tuple[Tensor, Tensor, Tensor]:
    """Boards with the planes of both players, the best moves' probabilities, and outcomes."""
    found: dict[tuple[int, ...], list[int]] = {}
    positions((0,) * 9, found)
    boards = torch.tensor(list(found)).reshape(-1, 3, 3)
    policies = torch.zeros(len(found), 9)
    for row, best in zip(policies, found.values(), strict=True):
        row[best] = 1 / len(best)
    values = torch.tensor([float(outcome(board)) for board in found])
    return torch.stack([boards == 1, boards == -1], dim=1).float(), policies, values


def test_one_tower_learns_moves_and_values_of_games() -> None:
    boards, policies, values = games()
    assert len(boards) == 4520
    with seeded(0):
        net = PolicyValueNet(2, (3, 3), moves=9, channels=16, blocks=1)
    order = torch.randperm(len(boards), generator=torch.Generator().manual_seed(0))
    train, test = order[:4000], order[4000:]
    batches = [ArrayBatches(boards[rows], policies[rows], values[rows], size=50) for rows in (train, test)]
    history = fit(net, own_loss, *batches, recipe=Recipe(epochs=5, learning_rate=1e-2, ema=0))
    logits, found = net(boards[test])
    best = policies[test].gather(1, logits.argmax(dim=1, keepdim=True)) > 0
    assert best.float().mean() > 0.75
    most = (values == 1).float().mean()
    assert (found.round() == values[test]).float().mean() > most + 0.05
    row = history.rows[-1]
    assert math.isclose(row["valid_loss"], row["valid_policy"] + row["valid_value"], rel_tol=1e-5)
