from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from molnet.nn.flows import Affine, Coupling, Elementwise, Flow, RationalQuadratic
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

KINDS = [Affine(), RationalQuadratic(bins=5, bound=3.0)]


def rough(elementwise: Elementwise, features: int = 3) -> Flow:
    with seeded(0):
        flow = Flow(features, couplings=4, hidden=[16], elementwise=elementwise).double()
        for parameter in flow.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return flow


@pytest.mark.parametrize("elementwise", KINDS, ids=["affine", "spline"])
def test_there_and_back_with_the_determinants_of_the_jacobian(elementwise: Elementwise) -> None:
    flow = rough(elementwise)
    x = 2 * torch.randn((10, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, log_det = flow(x)
    assert (z - x).abs().max() > 0.3
    back, opposite = flow.inverse(z)
    torch.testing.assert_close(back, x, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(opposite, -log_det, atol=1e-8, rtol=1e-8)
    for row, expected in zip(x, log_det, strict=True):
        jacobian = torch.func.jacrev(lambda v: flow(v[None])[0][0])(row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, expected)


@settings(max_examples=30, deadline=None)
@given(st.floats(-6, 6), st.integers(0, 1000))
def test_splines_increase_and_invert_everywhere(place: float, seed: int) -> None:
    spline = RationalQuadratic(bins=4, bound=4.0)
    generator = torch.Generator().manual_seed(seed)
    parameters = 3 * torch.randn((1, 1, spline.parameters), generator=generator, dtype=torch.float64)
    x = torch.tensor([[place]], dtype=torch.float64)
    y, log_slope = spline.forward(x, parameters)
    back, opposite = spline.inverse(y, parameters)
    torch.testing.assert_close(back, x, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(opposite, -log_slope, atol=1e-5, rtol=1e-5)
    assert spline.forward(x + 1e-3, parameters)[0] > y
    if abs(place) >= 4:
        assert (y, log_slope) == (x, 0)


def test_the_slope_of_a_spline_is_continuous() -> None:
    spline = RationalQuadratic(bins=4, bound=4.0)
    parameters = torch.randn((1, 1, 11), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.linspace(-5, 5, 20001, dtype=torch.float64)[:, None].requires_grad_()
    y, logs = spline.forward(x, parameters.expand(len(x), 1, 11))
    y.sum().backward(inputs=[x])
    assert x.grad is not None
    torch.testing.assert_close(x.grad, logs.exp())
    assert logs.diff(dim=0).abs().max() < 0.3 < logs.abs().max()


@pytest.mark.parametrize("elementwise", KINDS, ids=["affine", "spline"])
def test_a_flow_begins_as_the_identity(elementwise: Elementwise) -> None:
    flow = Flow(4, couplings=3, hidden=[8], elementwise=elementwise)
    x = torch.randn((5, 4), generator=torch.Generator().manual_seed(0))
    z, log_det = flow(x)
    torch.testing.assert_close(z, x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_det, torch.zeros(5), atol=1e-5, rtol=0)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(dim=1)
    torch.testing.assert_close(flow.log_prob(x), normal, atol=1e-4, rtol=1e-4)


def rings(count: int, seed: int) -> Tensor:
    """Points around a circle of radius 1.5, with a radial standard deviation of 0.15."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    radius = 1.5 + 0.15 * torch.randn(count, generator=generator)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def test_splines_learn_a_density_whose_entropy_is_known() -> None:
    with seeded(0):
        flow = Flow(2, couplings=3, hidden=[32], elementwise=RationalQuadratic())
    recipe = Recipe(epochs=6, learning_rate=1e-2, ema=0)
    fit(flow, own_loss, ArrayBatches(rings(2000, 0), size=100), ArrayBatches(rings(500, 1), size=500), recipe=recipe)
    # −⟨ln p⟩ = ½ ln 2πe σ² + ln 2π + ⟨ln r⟩
    test = rings(2000, 2)
    entropy = (
        0.5 * math.log(2 * math.pi * math.e * 0.15**2) + math.log(2 * math.pi) + test.norm(dim=1).log().mean().item()
    )
    found = -flow.log_prob(test).mean().item()
    assert entropy - 0.05 < found < entropy + 0.4
    points, log_prob = flow.sample(2000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(flow.log_prob(points), log_prob, atol=1e-2, rtol=1e-2)
    assert points.norm(dim=1).mean().item() == pytest.approx(1.5, abs=0.1)
    assert points.norm(dim=1).std() < 0.4


def test_what_cannot_be_a_flow_is_refused() -> None:
    with pytest.raises(ValueError, match="two features and a coupling; found 1 and 2"):
        Flow(1, couplings=2, hidden=[], elementwise=Affine())
    with pytest.raises(ValueError, match="has 3 features; the data have 2"):
        rough(Affine()).log_prob(torch.zeros(1, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="keeps 2 of 2 features"):
        Coupling(torch.tensor([True, True]), [], Affine())
    with pytest.raises(ValueError, match="two bins and a positive bound; found 1 and 4.0"):
        RationalQuadratic(bins=1)
