"""The radial basis is the formula, and filters are splines of it."""

from __future__ import annotations

import math

import pytest
import torch

from molnet.kernels import spline_basis
from molnet.nn.radial import SplineFilters, radial_basis
from molnet.nn.seeding import seeded

CUTOFF = 5.0


def test_the_basis_is_the_envelope_times_one_and_bessel_functions() -> None:
    r, u = 2.0, 0.4
    envelope = 1 - 10 * u**3 + 15 * u**4 - 6 * u**5
    expected = [envelope] + [envelope * math.sin(n * math.pi * u) / r for n in (1, 2, 3)]
    found = radial_basis(torch.tensor([r], dtype=torch.float64), CUTOFF, 3)
    torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float64))


def test_the_basis_is_finite_at_zero_and_zero_beyond_the_cutoff() -> None:
    start, *beyond = radial_basis(torch.tensor([0.0, 5.0, 7.3], dtype=torch.float64), CUTOFF, 2)
    assert start.tolist() == pytest.approx([1, math.pi / CUTOFF, 2 * math.pi / CUTOFF])
    assert not torch.stack(beyond).any()


def test_the_basis_ends_with_two_derivatives() -> None:
    r = torch.tensor([CUTOFF - 1e-4], dtype=torch.float64, requires_grad=True)
    values = radial_basis(r, CUTOFF, 4)
    for bound in (1e-11, 1e-7, 1e-3):
        assert values.abs().max() < bound
        (values,) = torch.autograd.grad(values.sum(), r, create_graph=True)


def test_splines_follow_the_linear_combination() -> None:
    with seeded(0):
        filters = SplineFilters(6, functions=8, knots=256, cutoff=CUTOFF).double()
    r = torch.linspace(0.5, CUTOFF, 50, dtype=torch.float64)
    control = filters().detach()
    expected = radial_basis(r, CUTOFF, 8) @ filters.weights.detach()
    found = spline_basis(r, CUTOFF, 256) @ control
    assert control.shape == (256, 6)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3 * float(expected.abs().max()))
