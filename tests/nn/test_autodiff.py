"""Forward and reverse mode give the same derivatives, in as many passes as docs/nn/autodiff.md says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.func import jvp, vjp

# torch.func.jvp itself scripts its decompositions.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def z(x: Tensor) -> Tensor:
    return x[0].sin() + x[0] * x[1]


def log_product(x: Tensor) -> Tensor:
    return (x[0] * x[1]).log()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (z, lambda a, b: (math.cos(a) + b, a)),
        (log_product, lambda a, b: (1 / a, 1 / b)),
    ],
)
def test_both_modes_are_the_derivative(function, expected) -> None:
    x = torch.tensor([0.7, 2.5], dtype=torch.float64)
    forward = [jvp(function, (x,), (direction,))[1] for direction in torch.eye(2, dtype=x.dtype)]
    _, back = vjp(function, x)
    (reverse,) = back(torch.tensor(1.0, dtype=x.dtype))
    assert torch.stack(forward).tolist() == pytest.approx(expected(0.7, 2.5), rel=1e-14)
    assert reverse.tolist() == pytest.approx(expected(0.7, 2.5), rel=1e-14)


def passes(inputs: int, outputs: int) -> tuple[int, int]:
    """So many calls of jvp and of vjp fill the Jacobian of a function; both fill it alike."""
    weight = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def function(x: Tensor) -> Tensor:
        return (weight @ x).tanh()

    x = torch.linspace(-1, 1, inputs, dtype=torch.float64)
    columns = [jvp(function, (x,), (e,))[1] for e in torch.eye(inputs, dtype=x.dtype)]
    _, back = vjp(function, x)
    rows = [back(e)[0] for e in torch.eye(outputs, dtype=x.dtype)]
    torch.testing.assert_close(torch.stack(columns, dim=1), torch.stack(rows))
    return len(columns), len(rows)


def test_one_pass_an_input_or_one_an_output() -> None:
    assert passes(5, 1) == (5, 1)
    assert passes(1, 5) == (1, 5)
