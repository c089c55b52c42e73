"""Moments of powers on the sphere: against integrals known otherwise, and both versions against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import Legendre
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from molnet.kernels import spherical_harmonics
from molnet.kernels.sphere import moments_reference, quadrature, sphere_moments
from tests.kernels.test_coupling import turning


def functions(atoms: int = 3, channels: int = 2) -> Tensor:
    return torch.randn((16, atoms, channels), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("order", range(1, 6))
def test_powers_of_a_legendre_polynomial(degree: int, order: int) -> None:
    """f = P_l(Ω · u) + ½: the moments are ½ ∫ fⁿ dt and 3u · ½ ∫ fⁿ t dt."""
    u = torch.tensor([[0.6, 0.0, -0.8]], dtype=torch.float64)
    f = torch.zeros(16, 1, 1, dtype=torch.float64)
    block = slice(degree**2, (degree + 1) ** 2)
    f[block, 0, 0] = spherical_harmonics(u, 3)[0, block]
    f[0] += 0.5
    power = (Legendre.basis(degree) + 0.5) ** order
    integrals = [float(p.integ()(1) - p.integ()(-1)) / 2 for p in (power, 3 * power * Legendre.basis(1))]
    found = sphere_moments(f, order=order, components=4)[0, :, -1, 0]
    expected = torch.cat([torch.tensor(integrals[:1], dtype=u.dtype), integrals[1] * u[0, [1, 2, 0]]])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_squares_are_the_power_spectrum() -> None:
    f = functions()
    widths = torch.tensor([1.0] + [3.0] * 3 + [5.0] * 5 + [7.0] * 7, dtype=torch.float64)
    expected = (f**2 / widths.view(-1, 1, 1)).sum(0)
    torch.testing.assert_close(sphere_moments(f, order=2, components=1)[:, 0, 1], expected)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_moments_turn_with_their_functions(order: int) -> None:
    f = functions()
    for sign in (1, -1):
        turn = sign * Rotation.random(rng=np.random.default_rng(order)).as_matrix()
        D = torch.block_diag(*(turning(degree, turn) for degree in range(4)))
        here = sphere_moments(f, order=order, components=4)
        there = sphere_moments(torch.tensordot(D, f, 1), order=order, components=4)
        torch.testing.assert_close(there, torch.einsum("lm,imnc->ilnc", D[:4, :4], here), rtol=0, atol=1e-11)


@pytest.mark.parametrize("components", [1, 4])
@pytest.mark.parametrize("channels", [1, 5, 16])
def test_the_loops_are_the_reference(components: int, channels: int) -> None:
    f = functions(4, channels)
    for order in (1, 2, 3, 4):
        found = sphere_moments(f, order=order, components=components)
        torch.testing.assert_close(found, moments_reference(f, order, components), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("components", [1, 4])
def test_first_and_second_derivatives_are_right(components: int) -> None:
    f = functions(2, 1).requires_grad_()
    assert gradcheck(lambda x: sphere_moments(x, order=3, components=components), f)
    assert gradgradcheck(lambda x: sphere_moments(x, order=3, components=components), f)


def test_points_are_half_a_sphere() -> None:
    for order in range(1, 11):
        Y, weights = quadrature(order)
        assert float(weights.sum()) == pytest.approx(1)
        assert (Y[:, None, 1:4] + Y[None, :, 1:4]).norm(dim=2).min() > 1e-6


@pytest.mark.parametrize(("order", "components"), [(0, 1), (11, 1), (2, 3)])
def test_other_sizes_are_refused(order: int, components: int) -> None:
    with pytest.raises(ValueError, match="expected 1 or 4 components"):
        sphere_moments(functions(), order=order, components=components)
