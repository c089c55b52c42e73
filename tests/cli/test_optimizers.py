"""What `molnet fit` takes where options are left open: what was measured for the model, or goes with the optimizer."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from molnet.cli.config import FitConfig
from molnet.cli.fit import OWN, _training, completed
from molnet.train import LBFGS, Kalman
from molnet.train.potentials import make_recipe

RECIPES = Path(__file__).parents[2] / "benchmarks" / "recipes"


@pytest.mark.parametrize(
    ("name", "kind", "ema"), [("soap", str, 0.999), ("kalman", Kalman, 0.99), ("lbfgs", LBFGS, 0.0)]
)
def test_an_optimizer_brings_its_own_settings(name: str, kind: type, ema: float) -> None:
    options = {n: v for n, v in _training(completed(FitConfig(optimizer=name))).items() if n != "batch_edges"}
    recipe = make_recipe(**options)
    assert type(recipe.optimizer) is kind
    assert recipe.ema == ema
    assert completed(FitConfig(optimizer=name, ema=0.5)).ema == 0.5


@pytest.mark.parametrize("model", ["painn", "acenet"])
def test_a_model_is_trained_as_its_recipe_says(model: str) -> None:
    recipe = tomllib.loads((RECIPES / f"acac_{model}.toml").read_text())["training"]
    found = completed(FitConfig(model=model))
    assert {name: getattr(found, name) for name in OWN[model]} == {name: recipe[name] for name in OWN[model]}


def test_with_another_optimizer_the_models_own_settings_do_not_count() -> None:
    found = completed(FitConfig(model="acenet", optimizer="adamw", clip_norm=3.0))
    assert (found.optimizer, found.learning_rate, found.clip_norm, found.ema) == ("adamw", 1e-3, 3.0, 0.999)


def test_schnet_has_the_usual_settings() -> None:
    found = completed(FitConfig(learning_rate=2e-3))
    assert (found.optimizer, found.learning_rate, found.weight_decay, found.clip_norm) == ("adamw", 2e-3, 0.0, 10.0)
