"""Folds, the errors of models whose error is known, and the noise that nobody can predict."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.graph import Graph
from molnet.potential import Potential
from molnet.train.crossvalidation import NOISE, ZERO, cross_validate, folds, noise, predicted_forces

MOLECULE = Molecule.bonded(["A", "B", "C"], [12.0, 12.0, 12.0], bonds=[(0, 1), (1, 2)])


class Springs(Potential):
    """½ k (r − 1.5 Å)² for each bond."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k = torch.nn.Parameter(torch.tensor(k, dtype=torch.float64))

    def forward(self, graph: Graph) -> torch.Tensor:
        i, j = graph.bonds
        r = (graph.positions[j] - graph.positions[i]).norm(dim=1)
        return torch.zeros_like(graph.positions[:, 0]).index_add(0, i, 0.5 * self.k * (r - 1.5) ** 2)


def data(frames: int, sigma: float) -> Conformations:
    """Springs of 10 eV/Å² whose forces have noise of that size, with every frame turned another way."""
    rng = np.random.default_rng(0)
    positions = np.array([[0.0, 0, 0], [1.5, 0, 0], [2.2, 1.3, 0]]) + 0.08 * rng.normal(size=(frames, 3, 3))
    positions = np.einsum("fab,fib->fia", Rotation.random(frames, rng=rng).as_matrix(), positions)
    quiet = Conformations(MOLECULE, positions, np.zeros_like(positions), 300.0)
    forces = predicted_forces(Springs(10.0), quiet) + sigma * rng.normal(size=positions.shape)
    return Conformations(MOLECULE, positions, forces, 300.0)


def test_folds_share_the_frames_among_them() -> None:
    found = list(folds(23, 5, 0))
    assert sorted(np.concatenate([test for _, test in found])) == list(range(23))
    assert all(sorted([*train, *test]) == list(range(23)) for train, test in found)
    with pytest.raises(ValueError, match="3 frames can't be cut into 5"):
        list(folds(3, 5, 0))


def test_errors_are_those_of_the_models() -> None:
    sigma, told = 0.3, []
    samples = data(3000, sigma)
    models = {"right": lambda _: Springs(10.0), "wrong": lambda _: Springs(2.0)}
    found = cross_validate(models, samples, k=4, report=lambda *each: told.append(each))
    assert found.mean("right") == pytest.approx(sigma**2, rel=0.03)
    assert found.mean(ZERO) == pytest.approx(np.mean(samples.forces**2), rel=1e-3)
    assert found.mean("right") < found.mean("wrong") < found.mean(ZERO)
    assert found.wins("right", "wrong") == 4 and found.wins("wrong", "right") == 0
    assert [(name, fold) for name, fold, _ in told[:3]] == [("right", 0), ("wrong", 0), ("right", 1)]
    assert 0 < found.standard_error("right") < 0.1 * sigma**2


def test_models_are_fitted_to_the_other_folds_only() -> None:
    samples, seen = data(50, 0.1), []

    def fit(train: Conformations) -> Potential:
        seen.append(train)
        return Springs(1.0)

    cross_validate({"model": fit}, samples, k=5)
    assert [len(train) for train in seen] == [40] * 5
    together = np.concatenate([train.positions for train in seen])
    assert all((together == frame).all(axis=(1, 2)).sum() == 4 for frame in samples.positions)


@pytest.mark.parametrize("sigma", [0.2, 0.6])
def test_the_noise_floor_is_that_of_the_data(sigma: float) -> None:
    samples = data(4000, sigma)
    residual = samples.forces - predicted_forces(Springs(9.0), samples)
    assert noise(samples, residual) == pytest.approx(sigma**2, rel=0.06)
    found = cross_validate({"right": lambda _: Springs(10.0)}, samples, k=2)
    assert found.mean(NOISE) == pytest.approx(sigma**2, rel=0.08)
