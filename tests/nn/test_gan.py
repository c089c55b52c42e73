from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from molnet.nn.activations import ReLU
from molnet.nn.gan import (
    AdversarialNetworks,
    Game,
    ImageCritic,
    ImageGenerator,
    NonSaturating,
    Wasserstein,
    energy_distance,
    frechet_distance,
    gradient_penalty,
)
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

ANGLES = torch.arange(8) * math.pi / 4
CENTERS = 2 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def play(
    module: AdversarialNetworks, x: torch.Tensor, *, rates: tuple[float, float], epochs: int, size: int = 100
) -> None:
    players = zip((module.generator, module.critic), rates, strict=True)
    groups = [{"params": list(player.parameters()), "lr": rate} for player, rate in players]
    optimizer = torch.optim.Adam(groups, betas=(0.5, 0.9), fused=True)
    batches = ArrayBatches(x, size=size), ArrayBatches(x[::4], size=1000)
    fit(module, own_loss, *batches, recipe=Recipe(epochs=epochs, clip_norm=None, ema=0.98), optimizer=optimizer)


def small(game: Game, *, critic_steps: int = 1, seed: int = 0) -> AdversarialNetworks:
    with seeded(seed):
        networks = MLP([2, 8, 3]), MLP([3, 8, 1])
    return AdversarialNetworks(*networks, latent=2, game=game, critic_steps=critic_steps)


def points(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(8, (count,), generator=generator)
    return CENTERS[chosen] + 0.05 * torch.randn((count, 2), generator=generator)


def test_a_generator_learns_the_moments_of_a_distribution() -> None:
    with seeded(0):
        module = AdversarialNetworks(MLP([1, 16, 1]), MLP([1, 32, 32, 1]), latent=1)
    x = 2 + 0.5 * torch.randn((2000, 1), generator=torch.Generator().manual_seed(0))
    play(module, x, rates=(3e-3, 6e-3), epochs=20)
    drawn = module.sample(5000, torch.Generator().manual_seed(1))
    assert drawn.mean().item() == pytest.approx(2, abs=0.15)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.1)


def test_a_wasserstein_generator_covers_all_eight_centers() -> None:
    with seeded(0):
        networks = MLP([2, 64, 64, 2], activation=ReLU()), MLP([2, 64, 64, 64, 1], activation=ReLU())
    module = AdversarialNetworks(*networks, latent=2, game=Wasserstein(0.03))
    play(module, points(4000, 0), rates=(2e-3, 6e-3), epochs=25)
    distance, nearest = torch.cdist(module.sample(4000, torch.Generator().manual_seed(0)), CENTERS).min(dim=1)
    near = distance < 0.25
    # Of points anywhere on the circle, a third is so near to a center.
    assert near.float().mean() > 0.45
    assert torch.bincount(nearest[near], minlength=8).min() > 0.03 * 4000


def test_the_penalty_and_its_derivatives_are_those_of_finite_differences() -> None:
    with seeded(0):
        critic = MLP([3, 5, 1]).double()
        x, y = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    t = torch.rand((4, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    between, step = t * x + (1 - t) * y, 1e-5
    slopes = [(critic(between + step * e) - critic(between - step * e)) / (2 * step) for e in torch.eye(3).double()]
    expected = (torch.cat(slopes, dim=1).norm(dim=1) - 1).square()
    found = gradient_penalty(critic, x, y, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-6)

    def of_weight(weight: torch.Tensor) -> torch.Tensor:
        moved = MLP([3, 5, 1]).double()
        moved.load_state_dict(critic.state_dict())
        del moved.layers[0].weight
        moved.layers[0].weight = weight
        return gradient_penalty(moved, x, y, torch.Generator().manual_seed(0)).sum()

    weight = critic.layers[0].weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(of_weight, (weight,))


@pytest.mark.parametrize("game", [NonSaturating(), Wasserstein(2.0)])
def test_each_player_follows_its_own_loss(game: Game) -> None:
    module, x = small(game), torch.randn((6, 3), generator=torch.Generator().manual_seed(0))
    own_loss(module, x)["loss"].total.backward()
    found = {name: parameter.grad for name, parameter in module.named_parameters()}
    for player in ("critic", "generator"):
        again = small(game)
        again.losses(x)[player].sum().backward()
        for name, parameter in again.named_parameters():
            if name.startswith(player):
                torch.testing.assert_close(found[name], parameter.grad)
            else:
                assert parameter.grad is None


def test_the_generator_waits_for_the_critic() -> None:
    module, moved = small(Wasserstein(), critic_steps=3), []
    optimizer = torch.optim.Adam(module.parameters())
    x = torch.randn((6, 3), generator=torch.Generator().manual_seed(0))
    for _ in range(6):
        before = [parameter.clone() for parameter in module.generator.parameters()]
        optimizer.zero_grad()
        module.losses(x)["loss"].mean().backward()
        optimizer.step()
        after = module.generator.parameters()
        moved.append(any(not torch.equal(a, b) for a, b in zip(after, before, strict=True)))
    assert moved == [False, False, True] * 2


def test_the_energy_distance_of_normal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn((3000, 1), generator=generator), torch.randn((3000, 1), generator=generator)
    assert abs(energy_distance(x, y).mean().item()) < 0.01
    # ⟨|x − y|⟩ of a normal difference with mean 1 and variance 2, and twice 2/√π.
    apart = 2 / math.sqrt(math.pi) * math.exp(-1 / 4) + math.erf(1 / 2)
    assert energy_distance(x, y + 1).mean().item() == pytest.approx(2 * apart - 4 / math.sqrt(math.pi), abs=0.05)
    with pytest.raises(ValueError, match="needs two rows"):
        energy_distance(x[:1], y[:1])


def test_the_frechet_distance_of_known_gaussians() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2000, 3), generator=generator)
    turn = torch.linalg.qr(torch.randn((3, 3), generator=generator))[0]
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(x, x + 2) == pytest.approx(12, rel=1e-5)
    assert frechet_distance(x @ turn, 3 * x @ turn) == pytest.approx(
        4 * (x.var(dim=0).sum() + x.mean(dim=0).square().sum()).item(), rel=1e-4
    )


def test_networks_of_images_learn_where_the_light_is() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(600, 1, 8, 8)
    images[:300, :, :4] = 1
    images[300:, :, 4:] = 1
    images = (images - 0.1 * torch.rand(images.shape, generator=generator)).abs()
    with seeded(0):
        networks = ImageGenerator(4, 1, 8, width=8), ImageCritic(1, 8, width=8)
    module = AdversarialNetworks(*networks, latent=4)
    play(module, images, rates=(5e-3, 2e-3), epochs=12, size=25)
    drawn = module.sample(200, generator)
    upper, lower = drawn[:, 0, :4].mean(dim=(1, 2)), drawn[:, 0, 4:].mean(dim=(1, 2))
    assert ((upper - lower).abs() > 0.7).float().mean() > 0.8
    assert 0.1 < (upper > lower).float().mean() < 0.9


def test_errors_say_what_does_not_fit() -> None:
    x = torch.randn(4, 3)
    with pytest.raises(ValueError, match=r"samples have the shape \(3,\); the data have \(2,\)"):
        small(NonSaturating()).losses(x[:, :2])
    with pytest.raises(ValueError, match=r"the critic gave the shape \(4, 3\) for 4 examples"):
        AdversarialNetworks(nn.Linear(2, 3), nn.Linear(3, 3), latent=2).losses(x)
    with pytest.raises(ValueError, match="found 2 latent variables and 0 critic steps"):
        small(NonSaturating(), critic_steps=0)
    with pytest.raises(ValueError, match="needs a critic without batch norm"):
        gradient_penalty(ImageCritic(1, 8), torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8), torch.Generator())
    with pytest.raises(ValueError, match="images of 30 pixels"):
        ImageGenerator(4, 1, 30)
