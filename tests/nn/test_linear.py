from __future__ import annotations

import csv

import numpy as np
import pytest
from numpy.polynomial.legendre import legvander
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from molnet.nn.linear import FeatureFunctions, LeastSquares, bias_variance
from molnet.nn.mlp import MLP
from molnet.train.estimators import NetworkClassifier
from molnet.train.recipe import Recipe
from tests.shared import shared_data

CORNERS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])


@parametrize_with_checks([FeatureFunctions(), LeastSquares()])
def test_the_conventions_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def test_functions_are_recovered_and_errors_have_the_right_size() -> None:
    generator = np.random.default_rng(0)
    X = generator.uniform(-3, 3, (200, 1))
    model = make_pipeline(FeatureFunctions([np.ones_like, np.sin, lambda x: np.hstack([x, x**2])]), LeastSquares())
    expected, pulls = np.array([1.0, 2.0, 0.0, -0.5]), []
    for _ in range(200):
        y = 1 + 2 * np.sin(X[:, 0]) - 0.5 * X[:, 0] ** 2 + 0.3 * generator.standard_normal(200)
        fit = model.fit(X, y)[-1]
        pulls.append((fit.coef_ - expected) / np.sqrt(np.diag(fit.covariance_)))
    assert fit.coef_ == pytest.approx(expected, abs=0.15)
    assert fit.noise_ == pytest.approx(0.3, rel=0.15)
    assert np.std(pulls) == pytest.approx(1, abs=0.1)
    phi = model[0].transform(X)
    assert fit.standard_error(phi)[3] == pytest.approx(np.sqrt(phi[3] @ fit.covariance_ @ phi[3]))


def test_the_shortest_of_many_solutions() -> None:
    fit = LeastSquares().fit([[1.0, 1.0], [2.0, 2.0]], [2.0, 4.0])
    assert fit.rank_ == 1
    assert fit.coef_ == pytest.approx([1, 1])


def test_functions_that_give_no_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"function 1 gave an array \(4, 2\) for 4 rows, with NaN or infinite"):
        FeatureFunctions([np.ones_like, lambda x: np.full_like(x, np.nan)]).fit_transform(CORNERS)
    with pytest.raises(ValueError, match=r"function 0 gave an array \(2,\) for 4 rows; expected"):
        FeatureFunctions([lambda x: x.sum(axis=0)]).fit_transform(CORNERS)


def test_bias_falls_and_variance_rises_with_the_degree() -> None:
    X = np.linspace(-1, 1, 40)[:, None]
    found = [
        bias_variance(
            make_pipeline(FeatureFunctions([lambda x, d=d: legvander(x[:, 0], d)]), LeastSquares()),
            X,
            np.sin(4 * X[:, 0]),
            noise=0.3,
        )
        for d in (1, 3, 9)
    ]
    assert found[0].bias > 10 * found[1].bias > 100 * found[2].bias
    # Of each coefficient, the noise determines one part in the number of rows.
    assert [f.variance for f in found] == pytest.approx([0.09 * (d + 1) / 40 for d in (1, 3, 9)], rel=0.15)


def test_no_line_parts_exclusive_or_and_a_product_does() -> None:
    y = np.array([0, 1, 1, 0])
    assert Perceptron(tol=None, max_iter=1000).fit(CORNERS, y).score(CORNERS, y) <= 0.75
    bent = make_pipeline(FeatureFunctions([np.array, lambda x: x.prod(axis=1)]), Perceptron(tol=None, max_iter=1000))
    assert bent.fit(CORNERS, y).score(CORNERS, y) == 1
    assert Perceptron(tol=None).fit(CORNERS, [0, 1, 1, 1]).score(CORNERS, [0, 1, 1, 1]) == 1


def test_softmax_regression_by_the_loop_is_scikit_learns() -> None:
    with shared_data("dlcore/iris.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    X, y = np.array([row[:4] for row in rows], dtype=float), np.array([row[4] for row in rows])
    recipe = Recipe(epochs=40, learning_rate=0.1, weight_decay=0.01, ema=0)
    ours = NetworkClassifier(lambda inputs, outputs: MLP([inputs, outputs]), recipe=recipe, valid=0)
    scores = [
        cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean()
        for model in (ours, LogisticRegression())
    ]
    assert min(scores) >= 0.95
