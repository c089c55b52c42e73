"""The Kalman filter is exact where a model is linear, learns a potential in a few epochs, and resumes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from molnet.features import G2, SymmetryFunctions
from molnet.models import BPNN
from molnet.train import Huber, Loss, fit
from molnet.train.kalman import Kalman
from molnet.train.loop import Mean
from molnet.train.loop import fit as run_loop
from molnet.train.optimizers import LBFGS
from molnet.train.recipe import Constant, Recipe
from tests.train.test_potentials import TRAIN, VALID


class Lines:
    """Points on a plane, with noise, a batch of four at a time."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.7
        self.y += 0.1 * torch.randn(40, generator=generator, dtype=torch.float64)

    def __len__(self) -> int:
        return 10

    def epoch(self, number: int) -> Any:
        return zip(self.x.split(4), self.y.split(4), strict=True)


class MeanSquare:
    def __call__(self, module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        return self.measured(module, batch)[0]

    def measured(self, module: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[dict[str, Mean], list[Tensor]]:
        errors = module(batch[0]).squeeze(1) - batch[1]
        return {"loss": Mean(errors.detach().square().sum(), len(errors))}, [errors / len(errors) ** 0.5]


def test_for_a_linear_model_one_pass_is_the_least_squares_solution() -> None:
    data, module = Lines(), nn.Linear(3, 1, dtype=torch.float64)
    settings = Kalman(components=None, covariance=1e6, noise=1.0, memory=1.0)
    recipe = Recipe(epochs=1, ema=0.0, schedule=Constant(), optimizer=settings)
    run_loop(module, MeanSquare(), data, data, recipe=recipe)
    design = np.c_[data.x.numpy(), np.ones(40)]
    expected = np.linalg.lstsq(design, data.y.numpy())[0]
    found = torch.cat([module.weight[0], module.bias]).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def network(seed: int = 0) -> BPNN:
    made = BPNN(SymmetryFunctions([29], [G2(3.5, (2.0,), (1.5, 2.0, 2.5, 3.0))]), hidden=(8,), seed=seed)
    made.standardize(TRAIN)
    return made


@pytest.mark.parametrize("components", [5, None])
def test_a_few_epochs_are_worth_many_of_gradients(components: int | None) -> None:
    by_gradients = fit(network(), TRAIN, VALID, epochs=30, learning_rate=1e-2, ema=0.0)
    filtered = fit(network(), TRAIN, VALID, epochs=5, ema=0.0, optimizer=Kalman(components=components))
    assert min(row["valid_loss"] for row in filtered.rows) < min(row["valid_loss"] for row in by_gradients.rows)


def test_each_network_has_its_own_covariance() -> None:
    two = BPNN(SymmetryFunctions([29, 79], [G2(3.5, (2.0,), (1.5, 2.5))]), hidden=((4,), (3,)))
    optimizer = Kalman().build(two)
    sizes = [len(state["covariance"]) for state in optimizer.state.values()]
    assert sizes == [4 * 5 + 5, 4 * 3 + 3 + 3 + 1]


def test_a_resumed_run_takes_the_same_course(tmp_path: Path) -> None:
    whole, cut = network(), network()
    options: dict[str, Any] = {"optimizer": Kalman(components=4), "schedule": Constant(), "batch_edges": 200}
    fit(whole, TRAIN, VALID, epochs=4, folder=tmp_path / "whole", **options)
    fit(cut, TRAIN, VALID, epochs=2, folder=tmp_path / "cut", **options)
    cut = network(seed=1)
    fit(cut, TRAIN, VALID, epochs=4, folder=tmp_path / "cut", resume=True, **options)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), cut.state_dict().values(), strict=True))


def test_line_searches_on_all_data_at_once() -> None:
    history = fit(network(), TRAIN, VALID, epochs=4, ema=0.0, batch_edges=10**9, optimizer=LBFGS())
    losses = [row["train_loss"] for row in history.rows]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.05 * losses[0]


def test_what_a_filter_cannot_do_is_said() -> None:
    with pytest.raises(ValueError, match="memory is 1.5; expected a factor"):
        Kalman(memory=1.5)
    with pytest.raises(ValueError, match="noise is 0; expected a positive"):
        Kalman(noise=0)
    with pytest.raises(ValueError, match="squares are needed"):
        fit(network(), TRAIN, VALID, epochs=1, loss=Loss(error=Huber(0.1)), optimizer=Kalman())
    with pytest.raises(ValueError, match="needs a loss of squared errors"):
        run_loop(nn.Linear(3, 1), lambda m, b: {}, Lines(), Lines(), recipe=Recipe(epochs=1, optimizer=Kalman()))
