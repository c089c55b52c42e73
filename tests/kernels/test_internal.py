"""Internal coordinates: the fused loops are the plain torch, with their derivatives."""

from __future__ import annotations

import pytest
import torch

from molnet.kernels import internal
from molnet.kernels.internal import InternalCoordinates, reference

PAIRS, ANGLES, DIHEDRALS = [[0, 1], [4, 2], [0, 5]], [[0, 1, 2], [5, 3, 4]], [[0, 1, 2, 3], [5, 2, 4, 1]]
TERMS = tuple(map(torch.tensor, (PAIRS, ANGLES, DIHEDRALS)))


def positions(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn((4, 6, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loops_give_what_the_reference_gives(dtype: torch.dtype) -> None:
    made, x = InternalCoordinates(*TERMS), positions(dtype)
    found = made(x)
    assert found.shape == (4, made.size) and found.dtype == dtype
    torch.testing.assert_close(found, reference(x, *TERMS))


def test_first_and_second_derivatives() -> None:
    x = positions()[:2].requires_grad_()
    assert torch.autograd.gradcheck(lambda y: internal.values(y, *TERMS), (x,))
    assert torch.autograd.gradgradcheck(lambda y: internal.values(y, *TERMS), (x,))


def test_a_third_derivative_of_the_loops_is_refused() -> None:
    x, g = positions().requires_grad_(), torch.ones((4, 9), dtype=torch.float64).requires_grad_()
    (along,) = torch.autograd.grad(internal.pullback(g, x, *TERMS).square().sum(), g, create_graph=True)
    with pytest.raises(NotImplementedError, match="MOLNET_KERNELS=reference"):
        along.sum().backward()


def test_atoms_on_a_line_have_no_direction_and_no_nan() -> None:
    x = torch.arange(4.0, dtype=torch.float64).view(1, 4, 1).repeat(1, 1, 3).requires_grad_()
    made = InternalCoordinates(TERMS[0][:0], torch.tensor([[0, 1, 2]]), torch.tensor([[0, 1, 2, 3]]))
    found = made(x)
    found.sum().backward()
    assert found[0, 0].item() == pytest.approx(torch.pi) and not x.grad.any()


def test_numbers_of_atoms_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 5 in structures of 5 atoms"):
        InternalCoordinates(*TERMS)(positions()[:, :5])


def test_a_structure_without_terms_has_no_coordinates() -> None:
    made = InternalCoordinates(*(terms[:0] for terms in TERMS))
    assert made(positions()).shape == (4, 0)
