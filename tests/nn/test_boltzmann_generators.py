from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.nn.boltzmann_generators import BoltzmannGenerator, Weighted
from molnet.nn.flows import Affine, Flow, RationalQuadratic
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

Points = Float[Tensor, "batch 2"]


def double_well(x: Points) -> Float[Tensor, " batch"]:
    """Two minima along the first coordinate, the left one 5 kT deeper, with a barrier of 11 kT above it."""
    return 0.25 * x[:, 0] ** 4 - 3 * x[:, 0] ** 2 + x[:, 0] + 0.5 * x[:, 1] ** 2


def generator(energy: Callable[[Tensor], Tensor] = double_well, **options: float) -> BoltzmannGenerator:
    with seeded(0):
        flow = Flow(2, couplings=4, hidden=[32], elementwise=RationalQuadratic(bins=8, bound=5.0))
    return BoltzmannGenerator(flow, energy, **options)


def test_the_difference_of_two_wells_is_that_of_the_quadrature() -> None:
    # As many examples of each well, as two short simulations would give: their ratio says nothing.
    examples = torch.randn((1000, 2), generator=torch.Generator().manual_seed(0))
    examples[:, 0] = 0.35 * examples[:, 0] + 2.4 * torch.tensor([1.0, -1.0]).repeat(500)
    model = generator(share=0.5)
    recipe = Recipe(epochs=8, learning_rate=1e-2, ema=0)
    fit(model, own_loss, ArrayBatches(examples, size=100), ArrayBatches(examples[:200], size=200), recipe=recipe)
    found = model.sample(20_000, torch.Generator().manual_seed(1))

    grid = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    density = torch.exp(-double_well(torch.stack([grid, torch.zeros_like(grid)], dim=1)))
    expected = -math.log(density[grid > 0].sum() / density[grid < 0].sum())
    difference = found.difference(found.points[:, 0] < 0, found.points[:, 0] > 0)
    assert expected > 4 and difference.error < 0.1
    assert difference.value == pytest.approx(expected, abs=0.3)
    whole = -math.log(density.sum() * 0.01) - 0.5 * math.log(2 * math.pi)
    assert found.free_energy().value == pytest.approx(whole, abs=0.1)
    assert found.effective > 0.3

    edges = torch.linspace(-3.2, 3.2, 33)
    profile, middles = found.profile(found.points[:, 0], edges), 0.5 * (edges[1:] + edges[:-1])
    exact = double_well(torch.stack([middles, torch.zeros_like(middles)], dim=1))
    near = exact - exact.min() < 6
    torch.testing.assert_close(profile[near], (exact - exact.min())[near].double(), rtol=0, atol=0.3)


def test_training_needs_no_examples_where_it_has_one_well() -> None:
    def bowl(x: Points) -> Float[Tensor, " batch"]:
        return 2 * (x - 1).square().sum(dim=1)

    with seeded(0):
        model = BoltzmannGenerator(Flow(2, couplings=2, hidden=[8], elementwise=Affine()), bowl, share=1.0)
    anything = ArrayBatches(torch.zeros(200, 2), size=100)
    fit(model, own_loss, anything, anything, recipe=Recipe(epochs=40, learning_rate=3e-2, ema=0))
    found = model.sample(2000, torch.Generator().manual_seed(0))
    assert found.effective > 0.5
    assert found.free_energy().value == pytest.approx(-math.log(math.pi / 2), abs=0.05)
    assert found.resample(2000, torch.Generator().manual_seed(1)).mean(dim=0).tolist() == pytest.approx(
        [1, 1], abs=0.05
    )


def test_weights_by_hand() -> None:
    weighted = Weighted(torch.arange(4.0)[:, None], torch.tensor([1.0, 3.0, 0.0, 4.0]).double().log())
    assert weighted.weights.tolist() == pytest.approx([0.125, 0.375, 0.0, 0.5])
    assert weighted.effective == pytest.approx(64 / 26 / 4)
    assert weighted.free_energy().value == pytest.approx(-math.log(2))
    first = weighted.points[:, 0] < 2
    assert weighted.difference(first, ~first).value == pytest.approx(0.0, abs=1e-12)
    profile = weighted.profile(weighted.points[:, 0], torch.tensor([-0.5, 0.5, 2.5, 3.5]))
    assert profile.tolist() == pytest.approx([math.log(4), math.log(0.5 / 0.1875), 0.0])
    assert weighted.resample(50, torch.Generator().manual_seed(0)).unique().tolist() == [0.0, 1.0, 3.0]


def test_errors_are_those_of_repeated_samples() -> None:
    def estimates(seed: int) -> tuple[float, float, float]:
        x = torch.randn((400, 1), generator=torch.Generator().manual_seed(seed))
        found = Weighted(x, 0.5 * x[:, 0].double())
        difference = found.difference(x[:, 0] < 0, x[:, 0] > 0)
        return difference.value, difference.error, found.free_energy().value

    values, errors, whole = torch.tensor([estimates(seed) for seed in range(300)]).T
    assert values.std().item() == pytest.approx(errors.mean().item(), rel=0.15)
    assert whole.mean().item() == pytest.approx(-0.125, abs=0.01)


def test_an_energy_that_is_a_module_is_not_trained() -> None:
    class Well(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depth = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.depth * x.square().sum(dim=1)

    model = generator(Well())
    assert {id(p) for p in model.parameters()} == {id(p) for p in model.flow.parameters()}


def test_high_energies_are_softened_in_the_loss_only() -> None:
    x = torch.zeros(4, 2)
    plain, soft = generator(lambda x: 1000 + x[:, 0]), generator(lambda x: 1000 + x[:, 0], ceiling=10.0)
    assert plain.losses(x)["energy"].min() > 900 and soft.losses(x)["energy"].max() < 50
    assert soft.sample(5, torch.Generator().manual_seed(0)).log_weights.max() < -900


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="in the loss is 1.5"):
        generator(share=1.5)
    with pytest.raises(ValueError, match=r"shape \(3, 1\) for 3 points"):
        generator(lambda x: x[:, :1]).energy(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="5 of 5 points have a weight that is NaN"):
        generator(lambda x: x[:, 0] * math.nan).sample(5, torch.Generator())
    with pytest.raises(ValueError, match="none of 5 points has a finite energy"):
        generator(lambda x: torch.full_like(x[:, 0], math.inf)).sample(5, torch.Generator())
    weighted, nothing = Weighted(torch.zeros(2, 1), torch.zeros(2)), torch.tensor([False, False])
    with pytest.raises(ValueError, match="have 0 and 2 points"):
        weighted.difference(nothing, ~nothing)
