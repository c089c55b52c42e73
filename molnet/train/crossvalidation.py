"""k-fold cross-validation of the force-matching error, with what it must be compared with beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from molnet.data.conformations import Conformations
from molnet.evaluation import evaluate
from molnet.potential import Potential

ZERO: Final = "zero model"
NOISE: Final = "noise floor"
_FRAMES_AT_ONCE: Final = 2000


@dataclass(frozen=True)
class CrossValidation:
    """Mean square force errors, (eV/Å)² per component, of each model on each fold that it wasn't fitted to."""

    errors: Mapping[str, tuple[float, ...]]

    def mean(self, model: str) -> float:
        return float(np.mean(self.errors[model]))

    def standard_error(self, model: str) -> float:
        """Of the mean over folds."""
        return float(np.std(self.errors[model], ddof=1) / np.sqrt(len(self.errors[model])))

    def wins(self, model: str, other: str) -> int:
        """On how many folds the model's error is no larger than the other's."""
        return int(np.sum(np.array(self.errors[model]) <= np.array(self.errors[other])))


def folds(frames: int, k: int, seed: int) -> Iterator[tuple[Int[ndarray, " train"], Int[ndarray, " test"]]]:
    """Random parts of equal size: each is the test once, and the others train. ValueError for fewer than two."""
    if not 2 <= k <= frames:
        raise ValueError(
            f"{frames} frames can't be cut into {k} folds; ask for 2 folds or more, and no more than frames."
        )
    parts = np.array_split(np.random.default_rng(seed).permutation(frames), k)
    for number, test in enumerate(parts):
        yield np.sort(np.concatenate([part for other, part in enumerate(parts) if other != number])), np.sort(test)


def cross_validate(
    models: Mapping[str, Callable[[Conformations], Potential]],
    data: Conformations,
    *,
    k: int = 5,
    seed: int = 0,
    report: Callable[[str, int, float], None] | None = None,
) -> CrossValidation:
    """Fit every model on k − 1 parts of the frames, and measure the error of its forces on the part that is left.

    A model is a function that fits a potential to conformations. Beside the models stand the zero model, whose forces
    are zero, and the noise floor (`noise`) around the first model; `report(model, fold, error)` is told each error.
    """
    errors: dict[str, list[float]] = {name: [] for name in (ZERO, *models, NOISE)}
    for fold, (train, test) in enumerate(folds(len(data), k, seed)):
        held_out = data[test]
        errors[ZERO].append(float(np.mean(held_out.forces.astype(float) ** 2)))
        for name, fit in models.items():
            potential = fit(data[train])
            residual = held_out.forces - predicted_forces(potential, held_out)
            errors[name].append(float(np.mean(residual**2)))
            if name == next(iter(models)):
                errors[NOISE].append(noise(held_out, residual))
            if report:
                report(name, fold, errors[name][-1])
    return CrossValidation({name: tuple(values) for name, values in errors.items() if values})


def predicted_forces(potential: Potential, data: Conformations) -> Float[ndarray, "frames beads 3"]:
    """The forces (eV/Å) of a potential in all frames."""
    found = []
    for start in range(0, len(data), _FRAMES_AT_ONCE):
        chosen = np.arange(start, min(start + _FRAMES_AT_ONCE, len(data)))
        forces = evaluate(potential, data.batch(chosen, potential.cutoff).graph).forces
        found.append(forces.double().numpy().reshape(len(chosen), -1, 3))
    return np.concatenate(found)


def noise(data: Conformations, residual: Float[ndarray, "frames beads 3"], *, neighbors: int = 8) -> float:
    """What no function of the beads' positions can predict of the forces: an estimate of their variance, (eV/Å)².

    Beads feel fluctuating forces, whose average alone is a function of where the beads are. Two frames whose beads are
    at nearly the same places differ in their forces by twice that noise. So the half squared difference γ of the
    residual forces of near frames, turned onto each other, is averaged for the first, second, … neighbour, and its
    line against their mean square distance δ is followed to δ = 0 (the gamma test).

    `residual` is what a smooth model such as the priors leaves of the forces, so that little but noise is left.
    Source: Evans & Jones, Proc. R. Soc. Lond. A 458, 2759 (2002).
    """
    positions = data.positions.astype(float)
    features = np.stack([pdist(frame) for frame in positions])
    features /= features.std(axis=0)
    near, partners = cKDTree(features).query(features, k=neighbors + 1)
    gamma = np.zeros(neighbors)
    for p in range(neighbors):
        other = partners[:, p + 1]
        turned = _turned(residual[other], positions[other], positions)
        gamma[p] = 0.5 * np.mean((residual - turned) ** 2)
    delta = np.mean(near[:, 1:] ** 2, axis=0)
    slope, intercept = np.polyfit(delta, gamma, 1)
    return float(intercept if slope > 0 else gamma[0])


def _turned(vectors: ndarray, positions: ndarray, target: ndarray) -> Float[ndarray, "frames beads 3"]:
    """Vectors turned as brings each frame's positions closest to the target's (Kabsch)."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (positions, target))
    u, _, vh = np.linalg.svd(np.einsum("fia,fib->fab", a, b))
    handed = np.sign(np.linalg.det(u @ vh))
    u[:, :, -1] *= handed[:, None]
    return vectors @ (u @ vh)
