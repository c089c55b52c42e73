"""The loop trains, stops, averages, keeps the best weights, and leaves everything else alone."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor, nn

from molnet.train import state
from molnet.train.log import Display
from molnet.train.loop import Mean, NonFinite, fit
from molnet.train.recipe import Constant, Cosine, Plateau, Recipe

FAST = Recipe(epochs=5, learning_rate=1e-2, ema=0.9)


class Data:
    """Points of y = Σ sin x; the last batch is smaller, and the order is a function of the epoch's number."""

    def __init__(self, points: int = 70, seed: int = 0) -> None:
        self.x = torch.randn(points, 3, generator=torch.Generator().manual_seed(seed))
        self.y = self.x.sin().sum(1, keepdim=True)

    def __len__(self) -> int:
        return math.ceil(len(self.x) / 16)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(number))
        for part in order.split(16):
            yield self.x[part], self.y[part]


def net(seed: int = 0) -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return module


def squares(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
    x, y = batch
    error = module(x) - y
    return {"loss": Mean((error**2).sum(), len(x)), "mae": Mean(error.abs().sum(), len(x))}


def forces(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
    """The gradient with respect to the inputs is fitted to that of Σ sin x."""
    x = batch[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    return {"loss": Mean(((gradient - x.detach().cos()) ** 2).sum(), x.numel())}


class Calls:
    """`squares`, with something done at chosen calls during training."""

    def __init__(self, **at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        self.calls += module.training
        for action, call in self.at.items():
            if module.training and call == self.calls:
                getattr(self, action)()
        return squares(module, batch)

    def ctrl_c(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    second = ctrl_c

    def stop(self) -> None:
        raise KeyboardInterrupt

    def wait(self) -> None:
        time.sleep(0.3)


def test_a_plain_module_learns() -> None:
    history = fit(net(), squares, Data(300), Data(50, seed=1), recipe=replace(FAST, epochs=30))
    assert history.rows[-1]["valid_mae"] < 0.2 * history.rows[0]["valid_mae"]
    assert [row["epoch"] for row in history.rows] == list(range(1, 31))
    assert history.stopped == "epochs"
    assert json.loads(json.dumps(asdict(history))) == asdict(history)


def test_a_loss_of_input_gradients_learns() -> None:
    history = fit(net(), forces, Data(300), Data(50, seed=1), recipe=replace(FAST, epochs=20))
    assert history.rows[-1]["valid_loss"] < 0.3 * history.rows[0]["valid_loss"]


def test_means_over_unequal_batches_are_exact() -> None:
    module, valid = net(), Data(50, seed=1)
    history = fit(module, squares, Data(), valid, recipe=replace(FAST, learning_rate=1e-12, epochs=1))
    error = (module(valid.x) - valid.y).detach().double().abs().mean()
    assert history.rows[0]["valid_mae"] == pytest.approx(float(error), rel=1e-6)


def test_sums_over_batches_are_float64() -> None:
    """After 10⁸ the ones of all other batches would be lost in float32."""
    totals = iter([1e8] + [1.0] * 4)

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        total = next(totals) if not module.training else 1.0
        return {**squares(module, batch), "one": Mean(torch.tensor(total), 1)}

    history = fit(net(), loss, Data(16), Data(), recipe=replace(FAST, epochs=1))
    assert history.rows[0]["valid_one"] == (1e8 + 4) / 5


class Stages:
    """`squares`, and from half of the run on ten times that; notes which was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, float]] = []

    def during(self, progress: float) -> Callable[..., dict[str, Mean]]:
        factor = 10.0 if progress >= 0.5 else 1.0

        def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
            self.asked.append((module.training, factor))
            return {name: Mean(factor * mean.total, mean.count) for name, mean in squares(module, batch).items()}

        return loss


def test_a_loss_in_stages_trains_with_each_and_validates_with_the_last() -> None:
    loss, data = Stages(), Data(32)
    module = net()
    history = fit(module, loss, data, Data(16), recipe=replace(FAST, epochs=3))
    assert [factor for training, factor in loss.asked if training] == [1.0, 1.0, 1.0, 10.0, 10.0, 10.0]
    assert [factor for training, factor in loss.asked if not training] == [10.0] * 3
    best = squares(module, (Data(16).x, Data(16).y))["loss"]
    assert 10 * float(best.total.detach()) / 16 == pytest.approx(min(row["valid_loss"] for row in history.rows))


def test_a_loss_in_stages_needs_an_end_of_the_run() -> None:
    with pytest.raises(ValueError, match="the recipe has no end: give epochs or minutes"):
        fit(net(), Stages(), Data(), Data(), recipe=Recipe(epochs=None, patience=2, schedule=Constant()))


def test_the_best_weights_are_in_the_module_at_the_end() -> None:
    """Every epoch lowers the weight by 0.1; the validation wants −0.31."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)

    def loss(module: nn.Module, batch: object) -> dict[str, Mean]:
        weight = module.weight.sum()
        return {"loss": Mean(weight if module.training else (weight + 0.31) ** 2, 1)}

    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    recipe = Recipe(epochs=6, ema=0.0, schedule=Constant())
    history = fit(module, loss, Data(16), Data(16), recipe=recipe, optimizer=optimizer)
    assert history.best_epoch == 3 and len(history.rows) == 6
    assert float(module.weight.detach()) == pytest.approx(-0.3)


def test_modes_gradients_and_global_state_are_left_as_they_should_be() -> None:
    def world() -> list[object]:
        numbers = [torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()]
        return [*numbers, torch.get_rng_state().tolist(), signal.getsignal(signal.SIGINT)]

    module, before = net(), world()
    module[0].weight.requires_grad_(False)
    frozen = module[0].weight.clone()
    fit(module, squares, Data(), Data(), recipe=FAST)
    assert world() == before
    assert not any(m.training for m in module.modules())
    assert [p.requires_grad for p in module.parameters()] == [False, True, True, True]
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(module[0].weight, frozen)


def test_a_module_keeps_its_dtype() -> None:
    module = nn.Linear(3, 1, dtype=torch.float64)

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        return squares(module, (batch[0].double(), batch[1].double()))

    fit(module, loss, Data(), Data(), recipe=FAST)
    assert {value.dtype for value in module.state_dict().values()} == {torch.float64}


def test_validation_uses_averaged_weights_and_current_buffers() -> None:
    """The objective is the sum of the weights: a step is −lr, and the average follows 9/10 of it."""
    module = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Linear(3, 1, bias=False))
    start = module[1].weight.detach().clone()
    seen: dict[str, Tensor] = {}

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        module(batch[0])
        assert module[1].weight.requires_grad == module.training
        if not module.training:
            seen.update({name: value.clone() for name, value in module.state_dict().items()})
        return {"loss": Mean(module[1].weight.sum(), 1)}

    data = Data(16)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    fit(module, loss, data, data, recipe=Recipe(epochs=1, schedule=Constant()), optimizer=optimizer)
    assert torch.allclose(seen["1.weight"], start - 0.9 * 0.1)
    assert torch.allclose(seen["0.running_mean"], 0.1 * data.x.mean(0), atol=1e-6)


def test_gradients_are_clipped() -> None:
    module = nn.Linear(3, 1, bias=False)
    start = module.weight.detach().clone()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    recipe = Recipe(epochs=1, ema=0.0, clip_norm=1e-3, schedule=Constant())
    fit(module, squares, Data(16), Data(16), recipe=recipe, optimizer=optimizer)
    assert float((module.weight.detach() - start).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_a_given_optimizer_keeps_its_own_rates_and_the_schedule_multiplies_them() -> None:
    module, schedule = net(), Cosine(0.0, 0.5)
    groups = [{"params": [p], "lr": 0.1 * (n + 1)} for n, p in enumerate(module.parameters())]
    optimizer, recipe = torch.optim.SGD(groups), replace(FAST, schedule=schedule)
    history = fit(module, squares, Data(16), Data(16), recipe=recipe, optimizer=optimizer)
    assert [row["lr"] for row in history.rows] == pytest.approx([0.1 * schedule(k / 5, []) for k in range(5)])
    assert optimizer.param_groups[3]["lr"] == pytest.approx(4 * optimizer.param_groups[0]["lr"])


def test_early_stopping() -> None:
    recipe = Recipe(epochs=None, patience=3, learning_rate=1e-30, ema=0.0, schedule=Constant())
    history = fit(net(), squares, Data(), Data(), recipe=recipe)
    assert (history.stopped, len(history.rows), history.best_epoch) == ("patience", 4, 1)


def test_minutes_end_the_run_within_an_epoch_and_anneal_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which a step takes 1 s and a validation 10 s: the 48th second falls into the fourth epoch."""
    clock = [0.0]
    monkeypatch.setattr(state, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        clock[0] += 1 if module.training else 10
        return squares(module, batch)

    recipe = Recipe(epochs=None, minutes=48 / 60, ema=0.0)
    history = fit(net(), loss, Data(), Data(16), recipe=recipe)
    assert history.stopped == "minutes"
    assert [row["seconds"] for row in history.rows] == [15, 30, 45, 58]
    assert history.rows[-1]["lr"] == pytest.approx(1e-3 * Cosine()(47 / 48, []))


@pytest.mark.parametrize("place", ["loss", "gradient", "validation loss"])
def test_a_number_that_is_not_finite_stops_with_its_batch(place: str) -> None:
    module = net()
    data, valid, seen = Data(), Data(20), []

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        means = squares(module, batch)
        here = module.training != (place == "validation loss")
        seen.extend([batch] if here else [])
        if here and (len(seen) == 2):
            root = (0 * means["loss"].total).sqrt() if place == "gradient" else math.nan
            means["loss"] = Mean(means["loss"].total + root, means["loss"].count)
        return means

    with pytest.raises(NonFinite, match=f"the {place} is not finite in epoch 1") as error:
        fit(module, loss, data, valid, recipe=FAST)
    assert error.value.batch is seen[-1] and len(seen) == 2
    assert (error.value.epoch, error.value.step) == (1, len(data) if place == "validation loss" else 1)
    assert all(torch.isfinite(p).all() and p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("action", ["ctrl_c", "stop"])
def test_ctrl_c_ends_the_run_and_returns(action: str) -> None:
    module = net()
    history = fit(module, Calls(**{action: 12}), Data(), Data(), recipe=FAST)
    assert (history.stopped, len(history.rows)) == ("interrupted", 2)
    assert not module.training


def test_a_second_ctrl_c_raises() -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(net(), Calls(ctrl_c=7, second=7), Data(), Data(), recipe=FAST)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ValueError, match="train has 0 and valid has 5"):
        fit(net(), squares, Data(0), Data())
    with pytest.raises(ValueError, match="Tanh has no parameter that requires a gradient"):
        fit(nn.Tanh(), squares, Data(), Data())


def test_plateau_waits_and_multiplies() -> None:
    schedule = Plateau(factor=0.5, patience=2, threshold=0.1)
    losses = [1.0, 0.5, 0.49, 0.48, 0.47, 0.46, 0.3, 0.3, 0.3]
    scales = [schedule(0.0, losses[:n]) for n in range(len(losses) + 1)]
    assert scales == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


@given(st.lists(st.floats(-1e3, 1e3)), st.integers(1, 5))
def test_plateau_reduces_no_more_than_patience_allows(losses: list[float], patience: int) -> None:
    scale = Plateau(0.5, patience)(0.0, losses)
    assert 0.5 ** (max(0, len(losses) - 1) // patience) <= scale <= 1
    assert Plateau(0.5, patience, 0.0)(0.0, sorted(set(losses), reverse=True)) == 1


@given(st.floats(0, 1), st.floats(0, 0.9), st.floats(0, 1))
def test_cosine_stays_between_its_floor_and_one(progress: float, warmup: float, floor: float) -> None:
    schedule = Cosine(warmup, floor)
    assert floor - 1e-12 <= schedule(progress, []) <= 1 + 1e-12
    assert schedule(warmup, []) == pytest.approx(1)
    assert schedule(1.0, []) == pytest.approx(floor)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0; expected positive, or None"),
        ({"ema": 1.0}, "ema is 1.0; expected 0 "),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; expected positive"),
        ({"epochs": None}, "Cosine anneals to the end of the run, and this recipe has none"),
    ],
)
def test_a_recipe_out_of_range_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe(**values)


def test_a_recipe_is_plain_json() -> None:
    recipe = Recipe(schedule=Plateau(0.1, 7))
    assert json.loads(json.dumps(recipe.to_json()))["schedule"] == {
        "name": "Plateau",
        "factor": 0.1,
        "patience": 7,
        "threshold": 1e-4,
    }


@pytest.mark.parametrize("terminal", [True, False])
def test_the_display_shows_plain_lines_in_a_file_and_a_bar_in_a_terminal(terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, soft_wrap=True, highlight=False)
    row = {"epoch": 1, "seconds": 61.0, "lr": 1e-3, "valid_loss": 0.25}
    with Display(console) as display:
        display.epoch(row, best=True)
        display.update(0.5, 2, {"lr": 1e-3, "train_loss": 0.5})
        assert not display.due
        display.end([row], 1, "epochs")
    assert ("\x1b" in text.getvalue()) == terminal
    assert text.getvalue().count("epoch     1  0:01:01") == 1 + terminal
    assert "epoch 2" in text.getvalue() and "valid_loss 0.25" in text.getvalue()
