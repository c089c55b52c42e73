"""The operators as torch sees them: traced, compiled, exported, and no more of them run than are needed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ase.build import molecule
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck

from molnet.data.convert import to_graph
from molnet.kernels import neighborhood, operators

GRAPH = to_graph(molecule("CH3OH"), 5.0)
EDGES = GRAPH.edges


class Energy(nn.Module):
    def forward(self, positions: Tensor, x: Tensor, control: Tensor) -> Tensor:
        # What neighbor_density does, without the type checks of the tests, which can't be traced.
        vectors = positions[EDGES[1]] - positions[EDGES[0]]
        splines, first = operators.splines(vectors, 5.0, control.shape[0])
        directions = vectors / vectors.norm(dim=1, keepdim=True)
        index = operators.edge_index(EDGES, x.shape[0])
        return operators.density(splines, directions, x, control, first, EDGES, index).square().sum()


def inputs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((GRAPH.n_atoms, 3), (12, 3))
    return [GRAPH.positions, *(torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)]


def gradients(energy: Any, wanted: int = 3) -> list[Tensor]:
    leaves = [t.clone().requires_grad_() for t in inputs()]
    return list(torch.autograd.grad(energy(*leaves), leaves[:wanted]))


def calls(traced: GraphModule, name: str) -> list[tuple[Any, ...]]:
    return [node.args for node in traced.graph.nodes if name in str(node.target)]


def test_torch_s_own_checks_pass() -> None:
    vectors = GRAPH.vectors.clone().requires_grad_()
    near: Any = neighborhood(vectors, GRAPH.edges, GRAPH.n_atoms, cutoff=5.0, knots=12, l_max=1)
    tensors = [t.detach().requires_grad_() for t in (near.splines, near.harmonics, *inputs()[1:])]
    edges = (near.first, near.edges, near.index)
    grad = torch.ones((GRAPH.n_atoms, 4, 3), dtype=torch.float64, requires_grad=True)
    opcheck(operators.splines, (vectors, 5.0, 12))
    opcheck(operators.splines_backward, (tensors[0], vectors, 5.0, 12))
    opcheck(operators.edge_index, (GRAPH.edges, GRAPH.n_atoms))
    opcheck(operators.density, (*tensors, *edges))
    for with_control in (True, False):
        opcheck(operators.adjoint, (grad, *tensors, *edges, with_control))


def test_compiled_it_has_the_same_gradients() -> None:
    compiled = torch.compile(Energy(), backend="aot_eager", fullgraph=True)
    for found, expected in zip(gradients(compiled), gradients(Energy()), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("strict", [True, False])
def test_it_can_be_exported(strict: bool) -> None:
    exported = torch.export.export(Energy(), tuple(inputs()), strict=strict)
    assert calls(exported.graph_module, "molnet.density")
    torch.testing.assert_close(exported.module()(*inputs()), Energy()(*inputs()))


def test_traced_forces_leave_out_the_control_points() -> None:
    """Nobody asked for their derivative, though they may have one."""

    def forces(positions: Tensor, x: Tensor, control: Tensor) -> Tensor:
        leaves = [t.detach().requires_grad_() for t in (positions, x, control)]
        return torch.autograd.grad(Energy()(*leaves), leaves[0])[0]

    traced = make_fx(forces)(*inputs())
    assert [args[-1] for args in calls(traced, "molnet.adjoint")] == [False]
    torch.testing.assert_close(traced(*inputs()), gradients(Energy(), wanted=1)[0])


def test_a_derivative_that_was_asked_for_is_there() -> None:
    """Also of leaves, and of a leaf alone."""
    together = gradients(Energy())
    for number, expected in enumerate(together):
        leaves = [t.clone().requires_grad_() for t in inputs()]
        (alone,) = torch.autograd.grad(Energy()(*leaves), leaves[number])
        torch.testing.assert_close(alone, expected)
        leaves = [t.clone().requires_grad_() for t in inputs()]
        Energy()(*leaves).backward(inputs=[leaves[number]])
        torch.testing.assert_close(leaves[number].grad, expected)
