"""Harmonics of edges as one operator: those of the reference, and their derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from molnet.kernels import spherical_harmonics
from molnet.kernels.harmonics import edge_harmonics


def vectors(n: int) -> Tensor:
    return 2 * torch.randn((n, 3), generator=torch.Generator().manual_seed(n), dtype=torch.float64)


@pytest.mark.parametrize("l_max", [1, 2, 3])
def test_they_are_those_of_directions(l_max: int) -> None:
    v = vectors(20)
    expected = spherical_harmonics(v / v.norm(dim=1, keepdim=True), l_max)[:, 1:]
    torch.testing.assert_close(edge_harmonics(v, l_max), expected, rtol=0, atol=1e-14)


def test_first_and_second_derivatives_are_right() -> None:
    v = vectors(3).requires_grad_()
    assert gradcheck(lambda x: edge_harmonics(x, 3), v)
    assert gradgradcheck(lambda x: edge_harmonics(x, 3), v)


def test_an_edge_without_direction_gives_nan() -> None:
    assert edge_harmonics(torch.zeros((1, 3)), 1).isnan().all()
