from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from molnet.nn.activations import Tanh
from molnet.nn.mlp import MLP
from molnet.train.estimators import NetworkClassifier, NetworkRegressor
from molnet.train.recipe import Recipe

FAST = Recipe(epochs=8, learning_rate=0.03, ema=0, clip_norm=None)


def small(inputs: int, outputs: int) -> nn.Module:
    return MLP([inputs, 12, outputs], activation=Tanh()).double()


@parametrize_with_checks([NetworkClassifier(small, recipe=FAST), NetworkRegressor(small, recipe=FAST)])
def test_the_conventions_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def test_moons_are_told_apart_and_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    X, y = make_moons(300, noise=0.1, random_state=0)
    names = np.array(["lower", "upper"])[y]
    before = torch.random.get_rng_state()
    model = NetworkClassifier(small, recipe=Recipe(epochs=60, learning_rate=0.05, ema=0)).fit(X[:200], names[:200])
    assert model.score(X[200:], names[200:]) >= 0.97
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_a_search_over_recipes_keeps_the_given_module() -> None:
    X = np.random.default_rng(0).uniform(-2, 2, (60, 1))
    module = small(1, 2)
    first = module.layers[0].weight.detach().clone()
    estimator = NetworkRegressor(module, recipe=FAST, valid=0)
    recipes = [Recipe(epochs=1, learning_rate=1e-5), Recipe(epochs=60, learning_rate=0.03, ema=0)]
    search = GridSearchCV(estimator, {"recipe": recipes}, cv=2).fit(X[::-1], np.hstack([X, X**2])[::-1])
    assert search.best_params_ == {"recipe": recipes[1]}
    assert search.predict(X).shape == (60, 2)
    assert torch.equal(module.layers[0].weight, first)
    assert clone(estimator).get_params()["recipe"] == FAST


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="the labels have one class, 3; a classifier needs two"):
        NetworkClassifier(small).fit(np.ones((4, 2)), [3, 3, 3, 3])
    with pytest.raises(ValueError, match="valid is 1; expected the fraction"):
        NetworkClassifier(small, valid=1).fit(np.ones((4, 2)), [3, 3, 4, 4])
