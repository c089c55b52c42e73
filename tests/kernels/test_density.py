"""The neighbour density against scipy's splines and harmonics, written-out sums, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import legval
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from molnet.data.convert import to_graph
from molnet.kernels import neighbor_density, neighborhood, spherical_harmonics, spline_basis, spline_centers

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


def inputs(l_max: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Positions, edges of a molecule, features and control points."""
    graph = to_graph(molecule("CH3OH"), CUTOFF)
    generator = torch.Generator().manual_seed(l_max)
    x = torch.randn((graph.n_atoms, 3), generator=generator, dtype=torch.float64)
    control = torch.randn((KNOTS, 3), generator=generator, dtype=torch.float64)
    return graph.positions, graph.edges, x, control


def density(positions: Tensor, edges: Tensor, x: Tensor, control: Tensor, l_max: int) -> Tensor:
    vectors = positions[edges[1]] - positions[edges[0]]
    near = neighborhood(vectors, edges, x.shape[0], cutoff=CUTOFF, knots=KNOTS, l_max=l_max)
    return neighbor_density(x, control, near)


@pytest.mark.parametrize("l_max", [0, 1, 3])
def test_a_density_is_the_sum_it_is_said_to_be(l_max: int) -> None:
    positions, edges, x, control = inputs()
    expected = torch.zeros((len(positions), (l_max + 1) ** 2, 3), dtype=torch.float64)
    for i, j in edges.T.tolist():
        way = (positions[j] - positions[i])[None]
        filters = spline_basis(way.norm(dim=1), CUTOFF, KNOTS)[0] @ control
        harmonics = spherical_harmonics(way / way.norm(), l_max)[0]
        expected[i] += harmonics[:, None] * (filters * x[j])
    torch.testing.assert_close(density(positions, edges, x, control, l_max), expected, rtol=1e-12, atol=1e-12)


def test_densities_turn_with_the_structure() -> None:
    """Vectors turn like vectors, and every Σ_m A_m² stays."""
    positions, edges, x, control = inputs()
    turn = torch.from_numpy(Rotation.random(rng=np.random.default_rng(3)).as_matrix())
    here, there = (density(p, edges, x, control, 3) for p in (positions, positions @ turn.T))
    as_vectors = [a[:, [3, 1, 2]].transpose(1, 2) for a in (here, there)]
    torch.testing.assert_close(as_vectors[1], as_vectors[0] @ turn.T, rtol=1e-10, atol=1e-10)
    for l in range(4):  # noqa: E741
        norms = [a[:, l**2 : (l + 1) ** 2].square().sum(dim=1) for a in (here, there)]
        torch.testing.assert_close(*norms, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("l_max", [0, 3])
def test_first_and_second_derivatives_are_right(l_max: int) -> None:
    positions, edges, x, control = inputs()
    near = (edges < 3).all(dim=0)
    variables = [t.clone().requires_grad_() for t in (positions[:3], x[:3, :2], control[:, :2])]

    def values(p: Tensor, x: Tensor, control: Tensor) -> Tensor:
        return density(p, edges[:, near], x, control, l_max)

    assert gradcheck(values, variables)
    assert gradgradcheck(values, variables)


def test_atoms_without_neighbors_have_no_density() -> None:
    x, control = torch.ones(3, 2), torch.ones(KNOTS, 2)
    edges = torch.zeros((2, 0), dtype=torch.long)
    near = neighborhood(torch.zeros(0, 3), edges, 3, cutoff=CUTOFF, knots=KNOTS, l_max=1)
    assert torch.equal(neighbor_density(x, control, near), torch.zeros(3, 4, 2))


def test_a_distance_that_is_not_a_number_stays_one() -> None:
    assert spline_basis(torch.tensor([torch.nan]), CUTOFF, KNOTS).isnan().any()
