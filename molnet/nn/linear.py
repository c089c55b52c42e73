"""Least squares on functions of the data, with the errors of what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data


class FeatureFunctions(TransformerMixin, BaseEstimator):
    """Functions of the rows X [rows, columns] side by side: φ₁(X), φ₂(X) …, each [rows] or [rows, features].

    Without functions, the columns themselves. Raises ValueError where a function gives another number of rows, or
    numbers that aren't finite.
    """

    def __init__(self, functions: Any = ()) -> None:
        self.functions = functions

    def fit(self, X: Any, y: Any = None) -> FeatureFunctions:
        """Only looks at the number of columns."""
        validate_data(self, X, dtype=np.float64)
        return self

    def transform(self, X: Any) -> Float[ndarray, "rows features"]:
        """The features of each row."""
        check_is_fitted(self, "n_features_in_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        functions: Sequence[Callable[[ndarray], ndarray]] = self.functions or [np.array]
        found = [np.asarray(function(X), dtype=float) for function in functions]
        for number, values in enumerate(found):
            if len(values) != len(X) or not np.isfinite(values).all():
                raise ValueError(
                    f"feature function {number} gave an array {values.shape} for {len(X)} rows"
                    f"{'' if np.isfinite(values).all() else ', with NaN or infinite numbers'}; "
                    "expected one finite row a row."
                )
        return np.column_stack(found)


class LeastSquares(RegressorMixin, BaseEstimator):
    """c = argmin ‖X c − y‖², and of several such c the shortest, with the standard errors that the residuals imply.

    Columns are used as they are: a constant is one of them (see FeatureFunctions). Learned: `coef_` [columns], `rank_`,
    `noise_` (the standard deviation of residuals, over rows − rank degrees of freedom; NaN without any), and
    `covariance_` = noise² (XᵀX)⁺ of the coefficients.
    Source: Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, section 3.2.
    """

    def fit(self, X: Any, y: Any) -> LeastSquares:
        """Solve for the coefficients by a singular value decomposition."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        inverse = np.linalg.pinv(X, rcond=max(X.shape) * np.finfo(float).eps)
        self.rank_ = int(np.linalg.matrix_rank(X))
        self.coef_ = inverse @ y
        free = len(X) - self.rank_
        self.noise_ = float(np.sqrt(np.sum((y - X @ self.coef_) ** 2) / free)) if free else float("nan")
        self.covariance_ = self.noise_**2 * inverse @ inverse.T
        return self

    def predict(self, X: Any) -> Float[ndarray, " rows"]:
        """X c."""
        check_is_fitted(self)
        found: ndarray = validate_data(self, X, reset=False, dtype=np.float64) @ self.coef_
        return found

    def standard_error(self, X: Any) -> Float[ndarray, " rows"]:
        """The standard deviation of X c over repeated experiments; that of new measurements adds `noise_`²."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.sqrt(np.einsum("ni,ij,nj->n", X, self.covariance_, X))


class BiasVariance(NamedTuple):
    """The mean squared error of a fit without the noise of new measurements, in its two parts."""

    bias: float
    variance: float


def bias_variance(
    estimator: Any,
    X: Float[ndarray, "rows columns"],
    truth: Float[ndarray, " rows"],
    *,
    noise: float,
    samples: int = 100,
    seed: int = 0,
) -> BiasVariance:
    """Squared bias and variance of an estimator, by fits to the true values with fresh Gaussian noise each time.

        bias² = ⟨(E[f̂(x)] − f(x))²⟩,    variance = ⟨E[(f̂(x) − E[f̂(x)])²]⟩

    with the averages ⟨ ⟩ over rows. Source: Hastie, Tibshirani & Friedman, section 7.3.
    """
    generator = np.random.default_rng(seed)
    fits = [
        clone(estimator).fit(X, truth + noise * generator.standard_normal(len(truth))).predict(X)
        for _ in range(samples)
    ]
    return BiasVariance(float(np.mean((np.mean(fits, axis=0) - truth) ** 2)), float(np.mean(np.var(fits, axis=0))))
