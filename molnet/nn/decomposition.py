"""Linear transformations that data choose themselves; scikit-learn has PCA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, no_type_check

import deeptime.decomposition
import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class Whitening(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """(x − ⟨x⟩) C^(−1/2) with the covariance C: unit covariance, and as near to the data as that allows.

    Directions whose variance is below `floor` times the largest one's are taken out. Learned: `mean_` [columns] and
    `matrix_` [columns, columns]. (PCA(whiten=True) gives the same, turned to the principal axes.)
    Source: Kessy, Lewin & Strimmer, American Statistician 72, 309 (2018).
    """

    floor: float

    @no_type_check  # scikit-learn's rule: constructors take anything
    def __init__(self, floor: float = 1e-12) -> None:
        self.floor = floor

    def fit(self, X: Any, y: Any = None) -> Whitening:
        """Find the mean and covariance."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self.mean_ = X.mean(axis=0)
        values, axes = np.linalg.eigh(np.atleast_2d(np.cov(X, rowvar=False)))
        kept = values > self.floor * values.max()
        self.matrix_ = axes[:, kept] / np.sqrt(values[kept]) @ axes[:, kept].T
        return self

    def transform(self, X: Any) -> Float[ndarray, "rows columns"]:
        """Whitened rows."""
        check_is_fitted(self)
        found: ndarray = (validate_data(self, X, reset=False, dtype=np.float64) - self.mean_) @ self.matrix_
        return found


class TICA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The linear coordinates of a time series X [frames, columns] of largest autocorrelation, the slowest, by deeptime.

    C(τ) u = λ C(0) u; each coordinate has the variance one and the implied timescale −τ/ln|λ|. Rows are in the order of
    time; for several trajectories, deeptime's own estimator. Learned: `model_` (deeptime's), `autocorrelations_` and
    `timescales_` in frames. Raises ValueError for fewer frames than the lag needs.
    Source: Pérez-Hernández et al., J. Chem. Phys. 139, 015102 (2013).
    """

    lag: int
    components: int

    @no_type_check
    def __init__(self, lag: int = 1, components: int = 2) -> None:
        self.lag = lag
        self.components = components

    def fit(self, X: Any, y: Any = None) -> TICA:
        """Find the coordinates."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        first, second = lagged([X], self.lag)
        estimator = deeptime.decomposition.TICA(lagtime=self.lag, dim=min(self.components, X.shape[1]))
        self.model_ = estimator.fit((first, second)).fetch_model()
        self._n_features_out = self.model_.output_dimension
        self.autocorrelations_ = self.model_.singular_values[: self._n_features_out]
        self.timescales_ = self.model_.timescales()
        return self

    def transform(self, X: Any) -> Float[ndarray, "frames components"]:
        """The coordinates of frames."""
        check_is_fitted(self)
        found: ndarray = self.model_.transform(validate_data(self, X, reset=False, dtype=np.float64))
        return found


def lagged(
    trajectories: Sequence[Float[ndarray, "_ columns"]], lag: int
) -> tuple[Float[ndarray, "pairs columns"], Float[ndarray, "pairs columns"]]:
    """All frames that have a later one by `lag` frames in the same trajectory, and those later ones.

    Raises ValueError for a lag below one, or where no trajectory is longer than it.
    """
    long = [frames for frames in trajectories if len(frames) > lag]
    if lag < 1 or not long:
        longest = max(map(len, trajectories), default=0)
        raise ValueError(
            f"no pairs of frames {lag} apart: the longest trajectory has {longest} frames, n_samples={longest}."
        )
    return np.concatenate([x[:-lag] for x in long]), np.concatenate([x[lag:] for x in long])
