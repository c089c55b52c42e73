"""Ridge regression from sums over groups of rows, which cross-validation needs to be read only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import LinAlgError, cho_factor, cho_solve


@dataclass(frozen=True)
class Sums:
    """What least squares need to know of rows X and targets y: XᵀX, Xᵀy, yᵀy and the number of rows."""

    gram: Float[ndarray, "columns columns"]
    moments: Float[ndarray, " columns"]
    square: float
    rows: int

    @classmethod
    def zero(cls, columns: int) -> Sums:
        return cls(np.zeros((columns, columns)), np.zeros(columns), 0.0, 0)

    @classmethod
    def of(cls, X: Float[ndarray, "rows columns"], y: Float[ndarray, " rows"]) -> Sums:
        return cls(X.T @ X, X.T @ y, float(y @ y), len(y))

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.gram + other.gram, self.moments + other.moments, self.square + other.square, self.rows + other.rows
        )

    def weighted(self, weight: float) -> Sums:
        """The sums of rows and targets that are multiplied by a weight."""
        return Sums(weight**2 * self.gram, weight**2 * self.moments, weight**2 * self.square, self.rows)

    def without(self, other: Sums) -> Sums:
        """What is left when the rows of the other are taken out."""
        return self + Sums(-other.gram, -other.moments, -other.square, -other.rows)

    def squared_error(self, coefficients: Float[ndarray, " columns"]) -> float:
        """‖X c − y‖² = cᵀXᵀX c − 2 cᵀXᵀy + yᵀy."""
        c = coefficients
        return max(0.0, float(c @ self.gram @ c - 2 * c @ self.moments) + self.square)


def ridge(sums: Sums, penalty: float) -> Float[ndarray, " columns"]:
    """c = argmin ‖X c − y‖² + penalty ‖D c‖², where D² is the diagonal of XᵀX: no unit of a column matters.

    Columns of nothing but zeros get the coefficient zero. Raises LinAlgError where rounding leaves no solution; a
    larger penalty has one.
    Source: Hoerl & Kennard, Technometrics 12, 55 (1970).
    """
    size = np.sqrt(np.diag(sums.gram))
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    matrix = sums.gram * inverse * inverse[:, None]
    np.fill_diagonal(matrix, 1 + penalty)
    return inverse * cho_solve(cho_factor(matrix, overwrite_a=True, check_finite=True), inverse * sums.moments)


@dataclass(frozen=True)
class Choice:
    """A penalty and weights of the kinds of rows, and the root mean square errors of rows that were left out."""

    penalty: float
    weights: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def score(self) -> float:
        """Σ log error over the kinds of rows: what counts is by how many percent an error falls, in any unit."""
        return sum(log(max(error, 1e-300)) for error in self.errors)


def cross_validated(
    folds: Sequence[Sequence[Sums]], weights: Sequence[tuple[float, ...]], penalties: Sequence[float]
) -> Choice:
    """The choice with the lowest score, where each fold was predicted from all the others.

    `folds` holds the sums of each kind of rows (energies, forces …) of each group that is left out in its turn; all of
    them were read once, and each fold costs one Cholesky factorization for each choice. One fold a group is
    leave-one-out. Raises LinAlgError where no penalty is large enough.
    """
    best: Choice | None = None
    for weight in weights:
        totals = [_total(kinds, weight) for kinds in folds]
        whole = _sum(totals)
        for penalty in penalties:
            found = _left_out(folds, whole, totals, penalty)
            choice = Choice(penalty, weight, found)
            if max(found) < inf and (best is None or choice.score < best.score):
                best = choice
    if best is None:
        raise LinAlgError(f"no penalty up to {max(penalties):g} makes the normal equations solvable.")
    return best


def _left_out(
    folds: Sequence[Sequence[Sums]], whole: Sums, totals: Sequence[Sums], penalty: float
) -> tuple[float, ...]:
    errors, rows = np.zeros(len(folds[0])), np.zeros(len(folds[0]))
    for kinds, mine in zip(folds, totals, strict=True):
        try:
            coefficients = ridge(whole.without(mine), penalty)
        except LinAlgError:
            return (inf,)
        errors += [kind.squared_error(coefficients) for kind in kinds]
        rows += [kind.rows for kind in kinds]
    return tuple(float(x) for x in np.sqrt(errors[rows > 0] / rows[rows > 0]))


def _total(kinds: Sequence[Sums], weights: Sequence[float]) -> Sums:
    return _sum([kind.weighted(weight) for kind, weight in zip(kinds, weights, strict=True)])


def _sum(parts: Sequence[Sums]) -> Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
