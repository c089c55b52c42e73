"""Tests of ridge regression from sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import LinAlgError
from sklearn.linear_model import Ridge

from molnet.nn.ridge import Sums, cross_validated, ridge

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 6))
Y = X @ [1.0, -2.0, 0.5, 0.0, 3.0, 1.0] + 0.3 * RNG.normal(size=40)
PENALTIES = (1e-6, 1e-2, 0.3)


def test_ridge_is_that_of_columns_of_length_one() -> None:
    size = np.linalg.norm(X, axis=0)
    reference = Ridge(alpha=0.3, fit_intercept=False).fit(X / size, Y).coef_ / size
    np.testing.assert_allclose(ridge(Sums.of(X, Y), 0.3), reference, rtol=1e-9)


def test_a_column_of_zeros_gets_the_coefficient_zero() -> None:
    found = ridge(Sums.of(np.column_stack([X, np.zeros(40)]), Y), 1e-3)
    assert found[6] == 0
    np.testing.assert_allclose(found[:6], ridge(Sums.of(X, Y), 1e-3))


def test_squared_errors_come_from_sums() -> None:
    c = RNG.normal(size=6)
    assert Sums.of(X, Y).squared_error(c) == pytest.approx(np.sum((X @ c - Y) ** 2))


def test_left_out_errors_are_those_of_fits_without_each_fold() -> None:
    groups = np.arange(40) % 8
    parts = [(X[groups == g], Y[groups == g]) for g in range(8)]
    folds = [[Sums.of(*part)] for part in parts]
    expected = {}
    for penalty in PENALTIES:
        errors = [X[groups == g] @ ridge(Sums.of(X[groups != g], Y[groups != g]), penalty) for g in range(8)]
        residuals = np.concatenate([found - Y[groups == g] for g, found in enumerate(errors)])
        expected[penalty] = float(np.sqrt(np.mean(residuals**2)))
    choice = cross_validated(folds, [(1.0,)], PENALTIES)
    best = min(expected, key=expected.__getitem__)
    assert choice.penalty == best
    assert choice.errors[0] == pytest.approx(expected[best])


def test_the_weight_of_a_kind_is_chosen_by_percent_not_by_unit() -> None:
    second = RNG.normal(size=(40, 6)), RNG.normal(size=40)
    groups = np.arange(40) % 4
    folds = [[Sums.of(A[groups == g], y[groups == g]) for A, y in ((X, Y), second)] for g in range(4)]
    scaled = [[first, other.weighted(1e3)] for first, other in folds]
    weights = [(1.0, 1.0), (30.0, 1.0)]
    here = cross_validated(folds, weights, PENALTIES)
    there = cross_validated(scaled, [(a, 1e-3 * b) for a, b in weights], PENALTIES)
    assert (here.penalty, here.weights[0]) == (there.penalty, there.weights[0])
    assert there.errors[1] == pytest.approx(1e3 * here.errors[1])


def test_what_no_penalty_makes_solvable_is_said() -> None:
    same = np.column_stack([X[:, :1], -X[:, :1]])
    folds = [[Sums.of(same[:20], Y[:20])], [Sums.of(same[20:], Y[20:])]]
    with pytest.raises(LinAlgError, match="no penalty up to 0 makes"):
        cross_validated(folds, [(1.0,)], [0.0])
