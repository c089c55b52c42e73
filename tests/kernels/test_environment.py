"""Sums over neighbours and pairs of these: the fused loops against the reference, derivatives, threads and tracing."""

from __future__ import annotations

from dataclasses import replace
from math import cos, sin
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck

from molnet.kernels import EncodedTerms, PlainEnvironments, Terms, encoded, environment_operators, environment_sums
from molnet.kernels.environment import environment_reference
from molnet.kernels.terms import decoded

CUTOFF = 4.0
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}
G45 = ((1.0, 0.0, 1.0), (-1.0, 0.0, 2.5), (1.0, 0.0, 4.0))
ANI = tuple((cos(angle), sin(angle), 14.1) for angle in (0.4, 1.2, 2.6))
LEGENDRE = ((0.5, 1.0, 0.0, 0.0), (0.1, -0.3, 0.7, -0.2))
ANGLES = ((-1.5, 1.5), (0.5, 2.9))
WEIGHTS = (1.0, 6.0, 8.0, 3.0, 2.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
WINDOWS = Terms.windows(((-4.0, 4.0), (1.0, 3.0)), core=3, bend=0.0)
BENT = Terms.windows(((-4.0, 4.0), (1.0, 3.0)), core=2, bend=1.0)
BLOCKS = {
    "gaussians": Terms.gaussians(CUTOFF, (0.0, 12.5), tuple(0.2 * k for k in range(11)), weight=0.25),
    "waves": Terms.waves(CUTOFF, (0.0, 1.0, 7.5)),
    "G4": Terms.pairs(CUTOFF, (0.01, 0.3), (0.0,), G45, shape=(1.0, 2.0, 0.5, 1.0)),
    "shifted G4": replace(Terms.pairs(CUTOFF, (0.1,), (0.0, 1.5), G45, shape=(1.0, 2.0, 0.5, 1.0)), centers=(0,)),
    "some G4": Terms.pairs(CUTOFF, (0.01, 0.3), (0.0,), G45, shape=(1.0, 2.0, 0.5, 1.0)).select((4, 2, 0)),
    "weighted G4": replace(Terms.pairs(CUTOFF, (0.1,), (0.5,), G45, shape=(1.0, 2.0, 0.5, 1.0)), weights=WEIGHTS),
    "weighted gaussians": replace(Terms.gaussians(CUTOFF, (1.0,), (1.0, 2.0)), weights=WEIGHTS),
    "windows": WINDOWS,
    "bent windows": replace(Terms.windows(((-3.0, 3.0), (0.5, 3.9)), core=2, bend=1.0), centers=(0,), neighbors=(0,)),
    "arcs": Terms.arcs(WINDOWS, ANGLES, third=0.0),
    "narrow arcs": replace(Terms.arcs(WINDOWS, ANGLES, third=1.0).select((2, 0, 1)), weights=WEIGHTS),
    "arcs of two": replace(Terms.arcs(BENT, ANGLES, third=1.0), neighbors=(0, 0)),
    "G5": Terms.pairs(0.8 * CUTOFF, (0.1,), (0.0, 1.5), G45, shape=(1.0, 2.0, 0.5, 0.0)),
    "ANI": Terms.pairs(CUTOFF, (8.0,), (0.9, 1.7), ANI, shape=(0.95, 1.0, 0.0, 0.0)),
    "bells": Terms.bells(CUTOFF, (2.0, 9.0), (0.0, 1.2, 3.1)),
    "densities": Terms.densities(CUTOFF, (0.5, 2.0), (0.0, 1.2), LEGENDRE),
}


def random_edges(n_atoms: int, n_edges: int, seed: int) -> Tensor:
    """One-sided, repeated, or from an atom to itself, but sorted by center."""
    pairs = np.random.default_rng(seed).integers(0, n_atoms, (2, n_edges))
    return torch.from_numpy(pairs[:, np.argsort(pairs[0], kind="stable")])


def random_vectors(n_edges: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Up to a little beyond the cutoff; every other column of a tensor, so that rows aren't contiguous."""
    vectors = torch.randn((n_edges, 6), generator=generator, dtype=torch.float64)[:, ::2]
    lengths = CUTOFF * (0.2 + torch.rand((n_edges, 1), generator=generator, dtype=torch.float64))
    return (vectors / vectors.norm(dim=1, keepdim=True) * lengths).to(dtype)


def everything(function: Any, vectors: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """The sums, their derivatives, and all derivatives of a random combination of these."""
    vectors, weight = vectors.clone().requires_grad_(), weights[0].clone().requires_grad_()
    values = function(vectors)
    (first,) = torch.autograd.grad((values * weight).sum(), vectors, create_graph=True)
    second = torch.autograd.grad((first * weights[1]).sum(), (weight, vectors))
    return [values, first, *second]


def assert_exact(
    edges: Tensor, elements: Tensor, *, blocks: list[Terms], envelope: int, n_elements: int, dtype: torch.dtype
) -> None:
    """Fused results are those of the reference, run in double precision on the same numbers."""
    generator = torch.Generator().manual_seed(edges.shape[1])
    vectors = random_vectors(edges.shape[1], dtype, generator)
    terms = encoded(blocks, envelope, n_elements, inner=0.2)
    shapes = ((len(elements), terms.n_features), vectors.shape)
    weights = [torch.randn((a, 2 * b), generator=generator, dtype=dtype)[:, ::2] for a, b in shapes]

    def fused(v: Tensor) -> Tensor:
        return environment_sums(v, edges, elements, terms)

    def reference(v: Tensor) -> Tensor:
        # Terms have the precision of the vectors.
        rounded = terms.numbers.to(dtype).double()
        return environment_reference(v, edges, elements, *decoded(rounded))

    found = everything(fused, vectors, weights)
    expected = everything(reference, vectors.double(), [w.double() for w in weights])
    for number, (mine, right) in enumerate(zip(found, expected, strict=True)):
        assert mine.dtype == dtype and mine.shape == right.shape
        scale = float(right.detach().abs().max()) if right.numel() else 0.0
        # Near the cutoff all is small, and a rounding of r/cutoff is not.
        scale = max(scale, 0.1)
        # Second derivatives with respect to vectors are the reference's own, in single precision.
        tolerance = TOLERANCE[dtype] * scale * (10 if number == 3 else 1)
        torch.testing.assert_close(mine.double(), right, rtol=0, atol=tolerance)


@settings(deadline=None, max_examples=40)
@given(
    n_atoms=st.integers(1, 6),
    n_edges=st.integers(0, 40),
    n_elements=st.integers(1, 4),
    blocks=st.lists(st.sampled_from(list(BLOCKS)), min_size=1, max_size=3),
    envelope=st.integers(-4, 3),
    dtype=st.sampled_from(list(TOLERANCE)),
    seed=st.integers(0, 10**6),
)
def test_fused_is_exact(
    n_atoms: int, n_edges: int, n_elements: int, blocks: list[str], seed: int, **options: Any
) -> None:
    elements = torch.from_numpy(np.random.default_rng(seed).integers(0, n_elements, n_atoms))
    chosen = [BLOCKS[name] for name in blocks]
    edges = random_edges(n_atoms, n_edges, seed)
    assert_exact(edges, elements, blocks=chosen, n_elements=n_elements, **options)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fused_is_exact_for_an_atom_with_very_many_neighbors_of_many_elements(dtype: torch.dtype) -> None:
    """Among them more pairs of one element than are laid out at once."""
    others = torch.arange(1, 301)
    edges = torch.stack([torch.zeros_like(others), others])
    elements = torch.where(torch.arange(301) < 150, 5, torch.arange(301) % 12)
    blocks = [BLOCKS[name] for name in ("gaussians", "G4", "densities")]
    assert_exact(edges, elements, blocks=blocks, envelope=2, n_elements=12, dtype=dtype)


def small(name: str = "") -> tuple[Tensor, Tensor, Tensor, EncodedTerms]:
    edges, elements = random_edges(3, 9, 1), torch.tensor([0, 1, 0])
    blocks = [BLOCKS[name]] if name else list(BLOCKS.values())
    vectors = random_vectors(9, torch.float64, torch.Generator().manual_seed(3))
    return vectors, edges, elements, encoded(blocks, 2, 2)


@pytest.mark.parametrize("name", BLOCKS)
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    vectors, *rest = small(name)
    vectors.requires_grad_()
    assert gradcheck(lambda v: environment_sums(v, *rest), vectors)
    assert gradgradcheck(lambda v: environment_sums(v, *rest).tanh(), vectors)


def test_terms_are_read_as_they_were_written() -> None:
    blocks = list(BLOCKS.values())
    assert decoded(encoded(blocks, -1, 12, inner=0.25).numbers) == (blocks, (-1, 0.25), 12)


@pytest.mark.parametrize("n_parts", [2, 5])
def test_threads_that_share_the_work_change_nothing(n_parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_operators, "parts", lambda products: n_parts)
    elements = torch.arange(30) % 3
    for n_edges in (0, 200):
        blocks = [BLOCKS[name] for name in ("waves", "ANI")]
        edges = random_edges(30, n_edges, 0)
        assert_exact(edges, elements, blocks=blocks, envelope=0, n_elements=3, dtype=torch.float64)


def test_without_torch_around_them_they_are_the_same() -> None:
    vectors, edges, elements, terms = small()
    plain = PlainEnvironments(edges, elements, terms)
    for number in range(2):
        moved = (vectors + 0.1 * number).contiguous().requires_grad_()
        expected = environment_sums(moved, edges, elements, terms)
        values, pullback = plain(moved.detach().numpy())
        assert np.array_equal(values, expected.detach().numpy())
        gradient = torch.autograd.grad(expected.square().sum(), moved)[0]
        np.testing.assert_allclose(pullback(2 * values), gradient.numpy(), rtol=1e-13, atol=1e-13)


def test_atoms_and_edges_that_see_nothing_have_zeros() -> None:
    _, _, elements, terms = small()
    vectors, edges = torch.full((2, 3), 9.0), torch.tensor([[0, 1], [1, 0]])
    values, pullback = PlainEnvironments(edges, elements, terms)(vectors.numpy())
    assert not values.any() and not pullback(np.ones_like(values)).any()


def test_what_is_not_a_number_stays_so_and_spoils_only_its_own_sums() -> None:
    vectors, edges, elements, terms = small()
    vectors[-1, 0] = torch.nan
    broken, vectors = edges[0] == edges[0, -1], vectors.requires_grad_()
    for function in (environment_sums, lambda *a: environment_reference(*a[:-1], *decoded(a[-1].numbers))):
        values = function(vectors, edges, elements, terms)
        (gradient,) = torch.autograd.grad(values.sum(), vectors)
        assert values[edges[0, -1]].isnan().any() and gradient[-1].isnan().any()
        assert values[: edges[0, -1]].isfinite().all() and gradient[~broken].isfinite().all()


@pytest.mark.parametrize(
    ("edges", "elements"),
    [([[1, 0], [0, 1]], [0, 0]), ([[0, 2], [1, 0]], [0, 0]), ([[0, 0], [1, -1]], [0, 0]), ([[0, 1], [1, 0]], [2, 0])],
)
def test_edges_that_are_unsorted_or_name_no_atom_or_element_are_refused(
    edges: list[list[int]], elements: list[int]
) -> None:
    with pytest.raises(ValueError, match=r"edge 1 is \[.*numbers of atoms from 0 to 1 with elements from 0 to 1, and"):
        environment_sums(torch.ones(2, 3), torch.tensor(edges), torch.tensor(elements), small()[3])


def test_another_number_of_vectors_than_of_edges_is_refused() -> None:
    vectors, edges, elements, terms = small()
    with pytest.raises(ValueError, match="there are 8 vectors for 9 edges"):
        PlainEnvironments(edges, elements, terms)(vectors[1:].contiguous().numpy())


def test_the_environment_chooses_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = small()
    assert "Differentiable" in type(environment_sums(inputs[0].requires_grad_(), *inputs[1:]).grad_fn).__name__
    monkeypatch.setenv("MOLNET_KERNELS", "reference")
    assert "Differentiable" not in type(environment_sums(*inputs).grad_fn).__name__


def test_third_derivatives_are_refused_or_right() -> None:
    vectors, *rest = small()
    vectors.requires_grad_()
    weight = torch.ones((3, rest[-1].n_features), dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad((environment_sums(vectors, *rest) * weight).sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), weight, create_graph=True)
    with pytest.raises(NotImplementedError, match="MOLNET_KERNELS=reference"):
        torch.autograd.grad(second.sum(), vectors)


def test_torch_s_own_checks_pass_and_it_is_traced_as_one_node() -> None:
    vectors, edges, elements, terms = small()
    inputs = (edges, elements, environment_operators.environment_index(edges, elements, 2), terms.numbers)
    opcheck(environment_operators.environment_index, (edges, elements, 2))
    vectors = vectors.contiguous().requires_grad_()
    opcheck(environment_operators.sums, (vectors, *inputs, terms.n_features))
    grad = torch.ones((3, terms.n_features), dtype=torch.float64, requires_grad=True)
    opcheck(environment_operators.gradients, (grad, vectors.detach(), *inputs))

    def forces(v: Tensor) -> Tensor:
        v = v.detach().requires_grad_()
        values = environment_operators.sums(v, *inputs, terms.n_features)
        return torch.autograd.grad(values.square().sum(), v)[0]

    traced = make_fx(forces)(vectors)
    names = [str(node.target) for node in traced.graph.nodes]
    assert sum("environment" in name for name in names) == 2
    torch.testing.assert_close(traced(vectors), forces(vectors))
