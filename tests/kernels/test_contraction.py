"""Forces from derivatives of features that are at hand: the sums as they are written, there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from molnet.kernels.contraction import Rows, forces_of

ATOMS, FEATURES = 5, 7


@pytest.fixture
def rows() -> Rows:
    """Two structures of 2 and 3 atoms, whose rows stand in another order than the atoms."""
    rng = np.random.default_rng(0)
    first = np.array([6, 8, 0, 3, 5])
    last = np.array([8, 9, 3, 5, 6])
    moved = np.array([0, 1, 2, 1, 0, 2, 0, 1, 1], dtype=np.int32)
    return Rows(rng.normal(size=(9, 3, FEATURES)), moved, first, last, np.array([0, 0, 2, 2, 2]), [0, 2, 5])


def written(slopes: torch.Tensor, rows: Rows) -> torch.Tensor:
    forces = torch.zeros(ATOMS, 3, dtype=torch.float64)
    for i in range(ATOMS):
        for row in range(rows.first[i], rows.last[i]):
            k = rows.base[i] + rows.moved[row]
            forces[k] = forces[k] - torch.from_numpy(rows.jacobian[row]) @ slopes[i]
    return forces


def test_sums_and_their_derivative(rows: Rows) -> None:
    slopes = torch.randn(ATOMS, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slopes.requires_grad_()
    forces = forces_of(slopes, rows)
    torch.testing.assert_close(forces, written(slopes, rows))
    assert torch.autograd.gradcheck(lambda x: forces_of(x, rows), slopes)


def test_all_directions_at_once(rows: Rows) -> None:
    slopes = torch.ones(ATOMS, FEATURES, dtype=torch.float64, requires_grad=True)
    forces = forces_of(slopes, rows)
    directions = torch.eye(3 * ATOMS, dtype=torch.float64).unflatten(1, (ATOMS, 3))
    (found,) = torch.func.vmap(lambda d: torch.autograd.grad(forces, slopes, d, retain_graph=True))(directions)
    expected = torch.autograd.functional.jacobian(lambda x: written(x, rows), slopes.detach())
    torch.testing.assert_close(found, expected.flatten(0, 1))
