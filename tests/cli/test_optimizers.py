"""`molnet fit --optimizer`: what goes with each optimizer, unless the options say otherwise."""

from __future__ import annotations

import pytest

from molnet.cli.config import FitConfig
from molnet.cli.fit import _training
from molnet.train import LBFGS, Kalman
from molnet.train.potentials import make_recipe


@pytest.mark.parametrize(
    ("name", "kind", "ema"), [("soap", str, 0.999), ("kalman", Kalman, 0.99), ("lbfgs", LBFGS, 0.0)]
)
def test_an_optimizer_brings_its_own_settings(name: str, kind: type, ema: float) -> None:
    options = {n: v for n, v in _training(FitConfig(optimizer=name)).items() if n != "batch_edges"}
    recipe = make_recipe(**options)
    assert type(recipe.optimizer) is kind
    assert recipe.ema == ema
    assert _training(FitConfig(optimizer=name, ema=0.5))["ema"] == 0.5
