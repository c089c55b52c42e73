from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from molnet.train.arrays import NO_LABEL, ArrayBatches, WarmUp, classification_loss, own_loss, regression_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def test_epochs_shuffle_and_validation_does_not() -> None:
    x = np.arange(10)
    batches = ArrayBatches(x, -x, size=4, seed=3)
    assert len(batches) == 3
    assert [a.tolist() for a, _ in batches.epoch(0)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    orders = {}
    for number in (1, 2):
        parts = list(batches.epoch(number))
        assert all(torch.equal(a, -b) for a, b in parts)
        orders[number] = torch.cat([a for a, _ in parts]).tolist()
        assert sorted(orders[number]) == x.tolist()
        assert torch.cat([a for a, _ in batches.epoch(number)]).tolist() == orders[number]
    assert orders[1] != orders[2]
    assert torch.cat(list(ArrayBatches(x, size=4, seed=4).epoch(1))).tolist() != orders[1]


def test_arrays_that_make_no_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one length, with rows; found \[\(3,\), \(2, 1\)\]"):
        ArrayBatches(torch.ones(3), torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"found \[\(0, 3\)\]"):
        ArrayBatches(torch.ones(0, 3))
    with pytest.raises(ValueError, match=r"found \[\]"):
        ArrayBatches()
    with pytest.raises(ValueError, match=r"array 0 of 1 has NaN or infinite numbers in 1 rows, first in row 2"):
        ArrayBatches(torch.tensor([[1.0, 2.0], [1.0, 2.0], [math.nan, math.inf]]))
    with pytest.raises(ValueError, match="batches of 0 rows"):
        ArrayBatches(torch.ones(3), size=0)


def test_cross_entropy_leaves_out_places_without_label() -> None:
    logits = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])
    labels = torch.tensor([[0, 0, NO_LABEL]])
    found = classification_loss(nn.Identity(), (logits, labels))
    expected = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(3))
    assert found["loss"].total.item() == pytest.approx(expected)
    assert (found["accuracy"].total.item(), found["accuracy"].count, found["loss"].count) == (1, 2, 2)
    with pytest.raises(ValueError, match=r"logits have the shape \(1, 3, 2\) and labels \(3,\)"):
        classification_loss(nn.Identity(), (logits, labels[0]))


def test_squared_errors_never_broadcast() -> None:
    found = regression_loss(nn.Identity(), (torch.tensor([[1.0], [4.0]]), torch.tensor([[0.0], [2.0]])))
    assert (found["loss"].total.item(), found["mae"].total.item(), found["loss"].count) == (5, 3, 2)
    with pytest.raises(ValueError, match=r"\(2, 1\) and targets \(2,\)"):
        regression_loss(nn.Identity(), (torch.ones(2, 1), torch.ones(2)))


class Center(nn.Module):
    """The point of least mean squared distance: the mean."""

    def __init__(self, *, reduced: bool = False) -> None:
        super().__init__()
        self.point, self.reduced = nn.Parameter(torch.zeros(2)), reduced

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        distances = (batch - self.point).square().sum(1)
        return {"loss": distances.mean() if self.reduced else distances}


def test_a_module_with_its_own_loss_is_trained() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([1.0, -2.0])
    module, batches = Center(), ArrayBatches(x, size=50)
    fit(module, own_loss, batches, batches, recipe=Recipe(epochs=100, learning_rate=0.1, ema=0))
    torch.testing.assert_close(module.point.detach(), x.mean(0), atol=0.01, rtol=0)
    with pytest.raises(ValueError, match=r"Center.losses gave \{'loss': \(\)\}; expected one number an example"):
        own_loss(Center(reduced=True), x)


class TwoParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        parts = {"near": (self.weight * batch - 1).square(), "far": self.weight.square().expand(len(batch))}
        return {"loss": parts["near"] + 2 * parts["far"], **parts}


def test_a_part_of_the_loss_enters_gradually() -> None:
    loss, module, batch = WarmUp("far", until=0.5, weight=2.0), TwoParts(), torch.ones(4)
    for progress, expected in ((0.0, 4.0), (0.25, 4 + 9.0), (0.5, 4 + 18.0), (0.9, 4 + 18.0)):
        total, count = loss.during(progress)(module, batch)["loss"]
        assert total.item() / count == pytest.approx(expected)
    batches = ArrayBatches(batch)
    history = fit(module, loss, batches, batches, recipe=Recipe(epochs=200, learning_rate=0.1, ema=0))
    row = history.rows[0]
    assert row["valid_loss"] == pytest.approx(row["valid_near"] + 2 * row["valid_far"])
    # (w − 1)² + 2w² is least at w = 1/3.
    assert module.weight.item() == pytest.approx(1 / 3, abs=0.05)
    with pytest.raises(ValueError, match="the far is warmed up until 0 of a run"):
        WarmUp("far", until=0)
