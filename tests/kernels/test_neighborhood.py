"""The neighbour density, both versions of it, against written-out sums, finite differences and each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.graph import Graph
from molnet.kernels import neighbor_density, neighborhood, operators, spherical_harmonics, spline_basis
from molnet.kernels.density import Reference
from molnet.kernels.neighborhood import Fused
from molnet.models import SchNet
from tests.contract import crystal, ethanol

CUTOFF, KNOTS = 5.0, 12
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


@pytest.fixture(params=["fused", "reference"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MOLNET_KERNELS", request.param)
    return request.param


def inputs(l_max: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Positions, edges of a molecule, features and control points."""
    graph = to_graph(molecule("CH3OH"), CUTOFF)
    generator = torch.Generator().manual_seed(l_max)
    x = torch.randn((graph.n_atoms, 3), generator=generator, dtype=torch.float64)
    control = torch.randn((KNOTS, 3), generator=generator, dtype=torch.float64)
    return graph.positions, graph.edges, x, control


def density(positions: Tensor, edges: Tensor, x: Tensor, control: Tensor, l_max: int) -> Tensor:
    vectors = positions[edges[1]] - positions[edges[0]]
    near = neighborhood(vectors, edges, x.shape[0], cutoff=CUTOFF, knots=control.shape[0], l_max=l_max)
    return neighbor_density(x, control, near)


@pytest.mark.parametrize("l_max", [0, 1, 3])
def test_a_density_is_the_sum_it_is_said_to_be(version: str, l_max: int) -> None:
    positions, edges, x, control = inputs()
    expected = torch.zeros((len(positions), (l_max + 1) ** 2, 3), dtype=torch.float64)
    for i, j in edges.T.tolist():
        way = (positions[j] - positions[i])[None]
        filters = spline_basis(way.norm(dim=1), CUTOFF, KNOTS)[0] @ control
        harmonics = spherical_harmonics(way / way.norm(), l_max)[0]
        expected[i] += harmonics[:, None] * (filters * x[j])
    torch.testing.assert_close(density(positions, edges, x, control, l_max), expected, rtol=1e-12, atol=1e-12)


def test_a_neighborhood_up_to_a_lower_l_has_the_first_harmonics(version: str) -> None:
    positions, edges, x, control = inputs()
    vectors = positions[edges[1]] - positions[edges[0]]
    near = neighborhood(vectors, edges, x.shape[0], cutoff=CUTOFF, knots=KNOTS, l_max=3)
    for l_max in (0, 1):
        found = neighbor_density(x, control, near.up_to(l_max))
        torch.testing.assert_close(found, density(positions, edges, x, control, l_max))


def test_densities_turn_with_the_structure(version: str) -> None:
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
def test_first_and_second_derivatives_are_right(version: str, l_max: int) -> None:
    """Also those with respect to positions twice, which are Hessians."""
    positions, edges, x, control = inputs()
    near = (edges < 3).all(dim=0)
    variables = [t.clone().requires_grad_() for t in (positions[:3], x[:3, :1], control[:8, :1])]

    def values(p: Tensor, x: Tensor, control: Tensor) -> Tensor:
        return density(p, edges[:, near], x, control, l_max)

    assert gradcheck(values, variables)
    assert gradgradcheck(values, variables)


def test_atoms_without_neighbors_have_no_density(version: str) -> None:
    x, control = torch.ones(3, 2), torch.ones(KNOTS, 2)
    edges = torch.zeros((2, 0), dtype=torch.long)
    near = neighborhood(torch.zeros(0, 3), edges, 3, cutoff=CUTOFF, knots=KNOTS, l_max=1)
    assert torch.equal(neighbor_density(x, control, near), torch.zeros(3, 4, 2))


@pytest.mark.parametrize("l_max", [0, 2])
def test_what_is_not_a_number_stays_so_and_spoils_only_its_own_sums(version: str, l_max: int) -> None:
    positions, edges, x, control = inputs()
    edges = edges[:, (edges != 5).all(dim=0) | (edges == 4).any(dim=0)]
    positions[5, 0] = torch.nan
    positions.requires_grad_()
    found = density(positions, edges, x, control, l_max)
    assert found[[4, 5]].isnan().all(dim=2).any(dim=1).all() and found[:4].isfinite().all()
    (gradient,) = torch.autograd.grad(found.sum(), positions)
    assert gradient[[4, 5]].isnan().all() and gradient[:4].isfinite().all()


def test_atoms_in_one_place_have_a_density_and_no_force_between_them(version: str) -> None:
    x, control, edges = torch.ones(2, 1), torch.ones(KNOTS, 1), torch.tensor([[0, 1], [1, 0]])
    positions = torch.zeros(2, 3, requires_grad=True)
    found = density(positions, edges, x, control, 0)
    assert found.flatten().tolist() == pytest.approx([5 / 6 + 1 / 6] * 2)
    assert not torch.autograd.grad(found.sum(), positions)[0].any()


# The fused version against the reference


def everything(make: Any, leaves: list[Tensor], edges: Tensor, weights: list[Tensor], **options: Any) -> list[Tensor]:
    """The density, its derivatives, and the derivatives of a random combination of these."""
    vectors, x, control = leaves
    near = make(vectors, edges, x.shape[0], knots=control.shape[0], cutoff=CUTOFF, **options)
    value = near.density(x, control)
    first = torch.autograd.grad(value, leaves, weights[0], create_graph=True)
    combined = sum((w * d).sum() for w, d in zip(weights[2:], first, strict=True)) + (weights[1] * value).sum()
    return [value, *first, *torch.autograd.grad(combined, leaves)]


def assert_exact(
    n_atoms: int, edges: Tensor, *, channels: int, knots: int, l_max: int, dtype: torch.dtype, seed: int = 0
) -> None:
    """Fused results are those of the reference, run in double precision on the same numbers."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        # Every other column, so that rows aren't contiguous.
        return torch.randn((*shape[:-1], 2 * shape[-1]), generator=generator, dtype=dtype)[..., ::2]

    vectors = random(edges.shape[1], 3)
    lengths = CUTOFF * (0.05 + 1.2 * torch.rand((edges.shape[1], 1), generator=generator, dtype=dtype))
    vectors = vectors / vectors.norm(dim=1, keepdim=True) * lengths
    leaves = [vectors, random(n_atoms, channels), random(knots, channels)]
    shape = (n_atoms, (l_max + 1) ** 2, channels)
    weights = [random(*shape), random(*shape), *(random(*t.shape) for t in leaves)]
    results = []
    for make, kind in ((Fused.of, dtype), (Reference.of, torch.float64)):
        variables = [t.to(kind).requires_grad_() for t in leaves]
        results.append(everything(make, variables, edges, [w.to(kind) for w in weights], l_max=l_max))
    for found, expected in zip(*results, strict=True):
        assert found.dtype == dtype and found.shape == expected.shape
        # Terms are of order one, and their rounding is too, also where they cancel.
        scale = max(0.1, float(expected.detach().abs().max())) if expected.numel() else 0.0
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@settings(deadline=None, max_examples=40)
@given(
    n_atoms=st.integers(1, 9),
    n_edges=st.integers(0, 60),
    channels=st.integers(1, 35),
    knots=st.integers(1, 40),
    l_max=st.integers(0, 3),
    dtype=st.sampled_from(list(TOLERANCE)),
    seed=st.integers(0, 10**6),
)
def test_fused_is_exact(n_atoms: int, n_edges: int, seed: int, **options: Any) -> None:
    """On any list of edges sorted by center: one-sided, repeated, from an atom to itself, or none."""
    pairs = np.random.default_rng(seed).integers(0, n_atoms, (2, n_edges))
    edges = torch.from_numpy(pairs[:, np.argsort(pairs[0], kind="stable")])
    assert_exact(n_atoms, edges, seed=seed, **options)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fused_is_exact_for_an_atom_with_very_many_neighbors(dtype: torch.dtype) -> None:
    others = torch.arange(1, 3001)
    edges = torch.stack([torch.cat([torch.zeros_like(others), others]), torch.cat([others, torch.zeros_like(others)])])
    assert_exact(3001, edges, channels=8, knots=20, l_max=1, dtype=dtype)


@pytest.mark.parametrize("n_parts", [2, 5])
def test_threads_that_share_the_work_change_nothing(n_parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "parts", lambda products: n_parts)
    pairs = np.random.default_rng(0).integers(0, 30, (2, 400))
    edges = torch.from_numpy(pairs[:, np.argsort(pairs[0], kind="stable")])
    assert_exact(30, edges, channels=7, knots=20, l_max=2, dtype=torch.float64)
    assert_exact(1, edges[:, :0], channels=7, knots=20, l_max=2, dtype=torch.float64)


def graphs() -> list[Graph]:
    return [to_graph(ethanol(), 4.0), to_graph(crystal(), 4.5)]


def trained_on_forces(model: SchNet, graph: Graph) -> list[Tensor]:
    """Forces and stress, and the gradients of a loss on forces."""
    found = evaluate(model, graph, differentiable=True)
    loss = (found.forces - 1).square().sum() + found.energy.sum() + found.stress.nan_to_num().square().sum()
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)
    return [found.energy.detach(), found.forces.detach(), found.stress.detach(), *gradients]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_schnet_s_forces_and_gradients_are_those_of_the_reference(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SchNet([1, 6, 8], 4.0, channels=16, interactions=2, gaussians=20, knots=48, scale=3.0)
    for graph in graphs():
        fused = trained_on_forces(model.to(dtype), graph)
        monkeypatch.setenv("MOLNET_KERNELS", "reference")
        reference = trained_on_forces(model.double(), graph)
        monkeypatch.delenv("MOLNET_KERNELS")
        for found, expected in zip(fused, reference, strict=True):
            scale = float(expected.nan_to_num().abs().max())
            tolerance = {torch.float32: 1e-4, torch.float64: 1e-11}[dtype] * scale
            torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=tolerance, equal_nan=True)


# What is chosen, and what is refused


def test_the_environment_chooses_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(dtype: torch.dtype = torch.float32, device: str = "cpu") -> type:
        vectors, edges = (
            torch.ones(1, 3, dtype=dtype, device=device),
            torch.zeros(2, 1, dtype=torch.long, device=device),
        )
        return type(neighborhood(vectors, edges, 1, cutoff=CUTOFF, knots=KNOTS))

    assert kind() is kind(torch.float64) is Fused
    assert kind(torch.bfloat16) is kind(device="meta") is Reference
    monkeypatch.setenv("MOLNET_KERNELS", "reference")
    assert kind() is Reference
    monkeypatch.setenv("MOLNET_KERNELS", "fast")
    with pytest.raises(ValueError, match="MOLNET_KERNELS is 'fast'; expected one of fused, reference"):
        kind()


@pytest.mark.parametrize("edges", [[[1, 0], [0, 1]], [[0, 2], [1, 0]], [[0, 0], [1, -1]]])
def test_edges_that_are_unsorted_or_name_no_atom_are_refused(edges: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"edge 1 is \[.*expected numbers of atoms from 0 to 1, and edges sorted"):
        neighborhood(torch.ones(2, 3), torch.tensor(edges), 2, cutoff=CUTOFF, knots=KNOTS)


def test_tensors_that_do_not_fit_are_refused() -> None:
    near = neighborhood(torch.ones(1, 3), torch.zeros((2, 1), dtype=torch.long), 2, cutoff=CUTOFF, knots=KNOTS)
    x, control = torch.ones(2, 3), torch.ones(KNOTS, 3)
    for wrong in ((x[:1], control), (x, control[1:])):
        with pytest.raises(ValueError, match="neighborhood of 2 atoms and 12 knots"):
            neighbor_density(*wrong, near)
    with pytest.raises(ValueError, match="expected one dtype"):
        neighbor_density(x, control.double(), near)


def test_a_third_derivative_is_refused_with_a_way_out() -> None:
    positions, edges, x, control = inputs()
    derivative = density(positions.requires_grad_(), edges, x, control, 1).square().sum()
    for _ in range(2):
        derivative = torch.autograd.grad(derivative, positions, create_graph=True)[0].square().sum()
    with pytest.raises(NotImplementedError, match="MOLNET_KERNELS=reference"):
        torch.autograd.grad(derivative, positions)


def test_torch_s_threads_stay_as_they_are() -> None:
    before = torch.get_num_threads()
    evaluate(SchNet([1, 6, 8], 4.0), replace(graphs()[0]))
    assert torch.get_num_threads() == before
