"""Networks as scikit-learn's estimators: they fit into its pipelines, searches and cross-validation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final, no_type_check

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss, regression_loss, to_tensor
from molnet.train.log import quiet
from molnet.train.loop import Loss, fit
from molnet.train.recipe import Recipe

_ROWS_AT_ONCE: Final = 4096

Made = nn.Module | Callable[[int, int], nn.Module]
"""A module, or a function that makes one from the numbers of inputs (columns, or channels) and outputs."""


class _Network(BaseEstimator):
    """What the two estimators share; see them."""

    module: Made
    loss: Loss | None
    recipe: Recipe | None
    size: int
    valid: float
    seed: int
    _usual_loss: Loss

    @no_type_check  # scikit-learn's rule: constructors take anything, and fit complains
    def __init__(
        self,
        module: Made,
        *,
        loss: Loss | None = None,
        recipe: Recipe | None = None,
        size: int = 32,
        valid: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.module = module
        self.loss = loss
        self.recipe = recipe
        self.size = size
        self.valid = valid
        self.seed = seed

    def _fit(self, X: np.ndarray, y: Tensor, outputs: int) -> None:
        if not 0 <= self.valid < 1:
            raise ValueError(f"valid is {self.valid}; expected the fraction of rows to validate with, below 1.")
        with seeded(self.seed), quiet():
            make = self.module
            self.module_ = copy.deepcopy(make) if isinstance(make, nn.Module) else make(X.shape[1], outputs)
            x = self._inputs(X)
            y = y.to(x.dtype) if y.is_floating_point() else y
            order = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(x)))
            held = int(self.valid * len(x))
            train, valid = (
                ArrayBatches(x[rows], y[rows], size=self.size, seed=self.seed)
                for rows in (order[held:], order[:held] if held else order)
            )
            self.history_ = fit(
                self.module_, self.loss or self._usual_loss, train, valid, recipe=self.recipe or Recipe()
            )
        if self.history_.stopped == "interrupted":
            # The loop takes the first Ctrl-C for itself; whoever fits this estimator many times needs it, too.
            raise KeyboardInterrupt

    def _inputs(self, X: np.ndarray) -> Tensor:
        like = next(self.module_.parameters())
        return to_tensor(X).to(like.device, like.dtype)

    def _outputs(self, X: Any) -> Tensor:
        check_is_fitted(self)
        x = self._inputs(validate_data(self, X, reset=False, allow_nd=True, dtype=np.float64))
        self.module_.eval()
        with torch.inference_mode():
            return torch.cat([self.module_(rows) for rows in x.split(_ROWS_AT_ONCE)]).cpu()


class NetworkClassifier(ClassifierMixin, _Network):
    """A network that turns rows X into logits of classes, trained by the loop with cross-entropy or another loss.

    `module` is one with as many outputs as there are classes (a copy of it is trained), or a function that makes it
    from the numbers of inputs and outputs. A fraction `valid` of the rows, drawn by the seed, chooses the epoch whose
    weights are kept; where it comes to less than a row, the training rows do. X may have more than two dimensions, as
    images have. Learned: `module_`, `classes_`, `history_`.
    Raises ValueError for NaN, a single class, and shapes that don't fit.
    """

    _usual_loss = staticmethod(classification_loss)

    def fit(self, X: Any, y: Any) -> NetworkClassifier:
        """Train on rows X and their labels y."""
        X, y = validate_data(self, X, y, allow_nd=True, dtype=np.float64)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(f"the labels have one class, {self.classes_[0]}; a classifier needs two or more.")
        self._fit(X, to_tensor(encoder.transform(y)), len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities [rows, classes] of each class, in the order of `classes_`."""
        found: np.ndarray = self._outputs(X).softmax(dim=-1).numpy()
        return found

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        best = self.predict_proba(X).argmax(axis=-1)
        found: np.ndarray = self.classes_[best]
        return found


class NetworkRegressor(RegressorMixin, _Network):
    """A network that turns rows X into numbers y [rows] or [rows, outputs], trained by the loop with squared errors.

    Its arguments are those of `NetworkClassifier`. Targets are taken as they are: give those far from the order of
    one through scikit-learn's TransformedTargetRegressor. Learned: `module_`, `history_`.
    Raises ValueError for NaN and shapes that don't fit.
    """

    _usual_loss = staticmethod(regression_loss)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> NetworkRegressor:
        """Train on rows X and their numbers y."""
        X, y = validate_data(self, X, y, allow_nd=True, dtype=np.float64, multi_output=True, y_numeric=True)
        self._shape = np.shape(y)[1:]
        targets = to_tensor(np.reshape(y, (len(y), -1))).double()
        self._fit(X, targets, targets.shape[1])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each row, in the shape that they had in training."""
        outputs = self._outputs(X)
        return outputs.reshape(len(outputs), *self._shape).numpy()
