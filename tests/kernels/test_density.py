"""Splines and harmonics against scipy's, and their derivatives against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import legval
from scipy.interpolate import BSpline
from scipy.special import sph_harm_y
from torch import Tensor

from molnet.kernels import spherical_harmonics, spline_basis, spline_centers

CUTOFF, KNOTS = 5.0, 12


def directions(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn((n, 3), generator=generator, dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


def derivatives(r: Tensor) -> list[Tensor]:
    """Values and two derivatives, by autograd, of a spline with random control points."""
    control = torch.randn(KNOTS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    r = r.clone().requires_grad_()
    values = [spline_basis(r, CUTOFF, KNOTS) @ control]
    for _ in range(2):
        values.append(torch.autograd.grad(values[-1].sum(), r, create_graph=True)[0])
    return [v.detach() for v in values]


@settings(deadline=None)
@given(st.floats(0, CUTOFF), st.integers(1, 200))
def test_splines_are_those_of_scipy(r: float, knots: int) -> None:
    h = CUTOFF / knots
    # B_k ends at (k + 1) h and begins four intervals before.
    expected = [BSpline.basis_element((k + np.arange(-3, 2)) * h, extrapolate=False)(r) for k in range(knots)]
    found = spline_basis(torch.tensor([r], dtype=torch.float64), CUTOFF, knots)[0]
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1e-12)


def test_splines_add_up_to_one_in_the_interior() -> None:
    r = torch.linspace(0, CUTOFF * (KNOTS - 3) / KNOTS, 500, dtype=torch.float64)
    torch.testing.assert_close(spline_basis(r, CUTOFF, KNOTS).sum(dim=1), torch.ones_like(r), rtol=0, atol=1e-13)


def test_a_spline_is_largest_at_its_center() -> None:
    centers = spline_centers(CUTOFF, KNOTS)
    assert centers[0] < 0 and centers[1] == 0
    basis = spline_basis(centers[1:], CUTOFF, KNOTS)
    torch.testing.assert_close(basis.diagonal(offset=1), torch.full((KNOTS - 1,), 2 / 3, dtype=torch.float64))
    assert basis.argmax(dim=1).tolist() == list(range(1, KNOTS))


def test_filters_are_twice_continuously_differentiable() -> None:
    """Values and derivatives on both sides of a knot differ by no more than the way between them explains."""
    knots = torch.arange(1, KNOTS, dtype=torch.float64) * CUTOFF / KNOTS
    for gap, bound in ((1e-4, 5e-2), (1e-6, 5e-4)):
        for below, above in zip(derivatives(knots - gap), derivatives(knots + gap), strict=True):
            assert float((above - below).abs().max()) < bound


def test_derivatives_are_those_of_finite_differences() -> None:
    r, h = torch.linspace(0.05, CUTOFF - 0.05, 96, dtype=torch.float64), 1e-5
    here, down, up = derivatives(r), derivatives(r - h), derivatives(r + h)
    for order in (0, 1):
        numeric = (up[order] - down[order]) / (2 * h)
        torch.testing.assert_close(here[order + 1], numeric, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_filters_end_at_the_cutoff_with_two_derivatives(dtype: torch.dtype) -> None:
    r = torch.tensor([CUTOFF, CUTOFF + 1e-5, CUTOFF * 1.7, 1e3], dtype=dtype, requires_grad=True)
    total = spline_basis(r, CUTOFF, KNOTS).sum(dim=1)
    (first,) = torch.autograd.grad(total.sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), r)
    for value in (total, first, second):
        assert torch.equal(value.detach(), torch.zeros(4, dtype=dtype))
    before = derivatives(torch.tensor([CUTOFF - 1e-7], dtype=torch.float64))
    assert [float(v.abs()) < bound for v, bound in zip(before, (1e-19, 1e-12, 1e-5), strict=True)] == [True] * 3


def test_harmonics_obey_the_addition_theorem() -> None:
    a, b = directions(50), directions(50, seed=1)
    products = spherical_harmonics(a, 3) * spherical_harmonics(b, 3)
    for l in range(4):  # noqa: E741
        expected = legval((a * b).sum(dim=1).numpy(), np.eye(4)[l])
        np.testing.assert_allclose(products[:, l**2 : (l + 1) ** 2].sum(dim=1), expected, atol=1e-13)


def test_harmonics_are_those_of_scipy_up_to_norm_and_phase() -> None:
    unit = directions(40)
    found, (x, y, z) = spherical_harmonics(unit, 3).numpy(), unit.numpy().T
    for l in range(4):  # noqa: E741
        for m in range(-l, l + 1):
            values = sph_harm_y(l, abs(m), np.arccos(z), np.arctan2(y, x))
            real = values.real if m >= 0 else values.imag
            # Condon and Shortley's sign is left out, and √2 makes real functions of ±m.
            norm = (4 * np.pi / (2 * l + 1)) ** 0.5 * (-1) ** m * (2**0.5 if m else 1)
            np.testing.assert_allclose(found[:, l * l + l + m], norm * real, atol=1e-13, err_msg=f"{l} {m}")


def test_lower_harmonics_come_first_and_too_high_ones_are_refused() -> None:
    unit = directions(5)
    for l_max in range(3):
        assert torch.equal(spherical_harmonics(unit, l_max), spherical_harmonics(unit, 3)[:, : (l_max + 1) ** 2])
    assert spherical_harmonics(unit, 1)[:, 1:].tolist() == unit[:, [1, 2, 0]].tolist()
    with pytest.raises(ValueError, match="l_max = 4 was asked for"):
        spherical_harmonics(unit, 4)


def test_a_distance_that_is_not_a_number_stays_one() -> None:
    assert spline_basis(torch.tensor([torch.nan]), CUTOFF, KNOTS).isnan().any()
