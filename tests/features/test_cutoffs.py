from __future__ import annotations

import pytest
import torch

from molnet.features import (
    CosineCutoff,
    ExponentialCutoff,
    HardCutoff,
    PolynomialCutoff,
    TanhCutoff,
    UnitTanhCutoff,
)

RC = 5.0
SMOOTHNESS = [
    (CosineCutoff(), 1),
    (CosineCutoff(0.4), 1),
    (TanhCutoff(), 2),
    (UnitTanhCutoff(), 2),
    (PolynomialCutoff(1), 1),
    (PolynomialCutoff(), 2),
    (PolynomialCutoff(3), 3),
    (PolynomialCutoff(2, 0.4), 2),
]


def derivatives(function, r: float, order: int) -> list[float]:
    """f(r) and its derivatives up to the order."""
    x = torch.tensor([r], dtype=torch.float64, requires_grad=True)
    values = [function(x, RC)]
    for _ in range(order):
        (slope,) = torch.autograd.grad(values[-1].sum(), x, create_graph=True)
        values.append(slope)
    return [value.item() for value in values]


@pytest.mark.parametrize(("function", "continuous"), SMOOTHNESS, ids=str)
def test_continuous_derivatives_at_the_cutoff(function, continuous):
    inside = derivatives(function, RC - 1e-9, continuous + 1)
    assert max(map(abs, inside[:-1])) < 1e-7
    assert abs(inside[-1]) > 1e-2, "the next derivative jumps"


@pytest.mark.parametrize(("function", "continuous"), SMOOTHNESS, ids=str)
@pytest.mark.parametrize("r", [RC, RC + 0.1, 3 * RC])
def test_exactly_zero_from_the_cutoff_on(function, continuous, r):
    assert derivatives(function, r, 2)[0] == 0.0
    if r > RC:
        assert derivatives(function, r, 2) == [0.0, 0.0, 0.0]
    assert function(torch.tensor([r], dtype=torch.float32), RC).item() == 0.0


def test_values():
    x = torch.linspace(0, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(PolynomialCutoff(1)(RC * x, RC), 1 - 3 * x**2 + 2 * x**3)
    torch.testing.assert_close(PolynomialCutoff()(RC * x, RC), 1 - 10 * x**3 + 15 * x**4 - 6 * x**5)
    torch.testing.assert_close(PolynomialCutoff(3)(RC * x, RC), 1 - 35 * x**4 + 84 * x**5 - 70 * x**6 + 20 * x**7)
    torch.testing.assert_close(CosineCutoff()(RC * x, RC), 0.5 * (1 + torch.cos(torch.pi * x)))
    torch.testing.assert_close(TanhCutoff()(RC * x, RC), torch.tanh(1 - x) ** 3)
    torch.testing.assert_close(
        UnitTanhCutoff()(RC * x, RC), (torch.tanh(1 - x) / torch.tanh(torch.ones((), dtype=torch.float64))) ** 3
    )
    inside = torch.exp(1 - 1 / (1 - x**2))
    torch.testing.assert_close(ExponentialCutoff()(RC * x, RC), inside, rtol=1e-12, atol=1e-30)
    torch.testing.assert_close(HardCutoff()(RC * x, RC), (x < 1).double())


@pytest.mark.parametrize("kind", [CosineCutoff, ExponentialCutoff, lambda inner: PolynomialCutoff(3, inner)])
def test_an_inner_cutoff_stretches_the_rest(kind):
    x = torch.linspace(0, 1, 21, dtype=torch.float64)
    values = kind(0.25)(RC * x, RC)
    assert bool((values[x <= 0.25] == 1).all())
    torch.testing.assert_close(values, kind(0.0)(RC * (x - 0.25).clamp(min=0) / 0.75, RC))


def test_a_polynomial_without_a_continuous_derivative_is_refused():
    with pytest.raises(ValueError, match="forces that jump"):
        PolynomialCutoff(0)
