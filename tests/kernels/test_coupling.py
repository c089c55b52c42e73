"""Clebsch–Gordan coefficients by rotations, and sparse maps against matrices."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.autograd import gradcheck

from molnet.kernels import spherical_harmonics
from molnet.kernels.coupling import clebsch_gordan, map_components

TRIPLES = [t for t in product(range(4), repeat=3) if sum(t) % 2 == 0]
TRIANGLES = [(a, b, c) for a, b, c in TRIPLES if abs(a - b) <= c <= a + b]


def turning(degree: int, turn: np.ndarray) -> Tensor:
    """The matrix by which harmonics of a degree change when their direction is turned."""
    rng = np.random.default_rng(degree)
    directions = rng.normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    block = slice(degree**2, (degree + 1) ** 2)
    here, there = (spherical_harmonics(torch.from_numpy(d), 3)[:, block] for d in (directions, directions @ turn.T))
    return torch.linalg.lstsq(here, there).solution.T


@pytest.mark.parametrize("degrees", TRIANGLES)
def test_products_turn_like_harmonics(degrees: tuple[int, int, int]) -> None:
    C = clebsch_gordan(*degrees)
    rng = np.random.default_rng(1)
    a, b = (torch.from_numpy(rng.normal(size=2 * degree + 1)) for degree in degrees[:2])
    for sign in (1, -1):
        turn = sign * Rotation.random(rng=rng).as_matrix()
        D = [turning(degree, turn) for degree in degrees]
        turned = torch.einsum("abc,a,b->c", C, D[0] @ a, D[1] @ b)
        torch.testing.assert_close(turned, D[2] @ torch.einsum("abc,a,b->c", C, a, b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("degrees", TRIPLES)
def test_they_are_normed_or_zero(degrees: tuple[int, int, int]) -> None:
    C, there = clebsch_gordan(*degrees), degrees in TRIANGLES
    norms = C.square().sum((0, 1))
    torch.testing.assert_close(norms, torch.full_like(norms, float(there)), rtol=0, atol=1e-12)


def test_odd_sums_are_refused() -> None:
    with pytest.raises(ValueError, match="1, 1 and 1 have an odd sum"):
        clebsch_gordan(1, 1, 1)


@pytest.mark.parametrize("version", ["fused", "reference"])
def test_a_map_is_its_matrix(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLNET_KERNELS", version)
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn((5, 3), generator=generator, dtype=torch.float64)
    matrix[torch.rand((5, 3), generator=generator) < 0.5] = 0
    entries, weights = matrix.nonzero().T.contiguous(), matrix[matrix != 0]
    x = torch.randn((4, 3, 2), generator=generator, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(map_components(x, entries, weights, 5), matrix @ x)
    assert gradcheck(lambda x: map_components(x, entries, weights, 5), x)
