from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from molnet.nn.boltzmann import Gaussian
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.nn.variational import VariationalAutoencoder
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from tests.nn.digits import digits


def linear() -> tuple[VariationalAutoencoder, torch.Tensor]:
    """x = W z + ε, whose likelihood is known, and data drawn from it."""
    with seeded(0):
        module = VariationalAutoencoder(nn.Linear(3, 4), nn.Linear(2, 3), latent=2, units=Gaussian())
        x = torch.randn(2000, 2) @ module.decoder.weight.T + module.decoder.bias + torch.randn(2000, 3)
    return module, x.detach()


def test_the_bound_is_tight_for_the_exact_posterior_and_above_otherwise() -> None:
    module, x = linear()
    weight, bias = module.decoder.weight.detach(), module.decoder.bias.detach()
    covariance = weight @ weight.T + torch.eye(3)
    exact = -torch.distributions.MultivariateNormal(bias, covariance).log_prob(x).mean().item()
    module.eval()
    assert module.losses(x)["nats"].mean().item() > exact + 0.1
    # The posterior N(P Wᵀ (x − b), P), P = (1 + Wᵀ W)⁻¹, is diagonal where the columns of W are orthogonal.
    first = weight[:, 0]
    weight[:, 1] -= first * (weight[:, 1] @ first) / (first @ first)
    precision = 1 + weight.square().sum(dim=0)
    with torch.no_grad():
        module.decoder.weight.copy_(weight)
        gain = weight.T / precision[:, None]
        module.encoder.weight.copy_(torch.cat([gain, torch.zeros(2, 3)]))
        module.encoder.bias.copy_(torch.cat([-gain @ bias, -precision.log()]))
    normal = torch.distributions.MultivariateNormal(bias, weight @ weight.T + torch.eye(3))
    assert module.losses(x)["nats"].mean().item() == pytest.approx(-normal.log_prob(x).mean().item(), abs=0.05)


def test_parts_and_beta() -> None:
    module, x = linear()
    module.eval()
    parts = module.losses(x)
    torch.testing.assert_close(parts["nats"], parts["reconstruction"] + parts["divergence"])
    module.beta = 3.0
    torch.testing.assert_close(module.losses(x)["loss"], parts["reconstruction"] + 3 * parts["divergence"])
    mean, log_variance = module.encode(x)
    normals = [torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)]
    torch.testing.assert_close(parts["divergence"], torch.distributions.kl_divergence(*normals).sum(dim=1))
    module.latent = 3
    with pytest.raises(ValueError, match="the encoder gave 4 numbers; expected 2 × 3"):
        module.encode(x)


def test_digits_are_compressed_under_their_labels() -> None:
    images, labels = digits(1200)
    x, condition = images.flatten(1), nn.functional.one_hot(labels, 10).float()
    with seeded(0):
        encoder, decoder = MLP([794, 100, 8]), MLP([14, 100, 784])
    module = VariationalAutoencoder(encoder, decoder, latent=4)
    train, valid = ArrayBatches(x[:1000], condition[:1000], size=25), ArrayBatches(x[1000:], condition[1000:])
    history = fit(module, own_loss, train, valid, recipe=Recipe(epochs=5, learning_rate=3e-3, ema=0))
    rate = x[:1000].mean(dim=0).clamp(1e-3, 1 - 1e-3)
    independent = -(torch.xlogy(x[1000:], rate) + torch.xlogy(1 - x[1000:], 1 - rate)).sum(dim=1).mean().item()
    assert history.rows[-1]["valid_nats"] < independent - 25
    assert math.isclose(history.rows[-1]["valid_loss"], history.rows[-1]["valid_nats"], rel_tol=1e-5)
    # A drawn digit is nearest to the mean image of its label.
    means = torch.stack([x[:1000][labels[:1000] == digit].mean(dim=0) for digit in range(10)])
    drawn = module.sample(100, torch.Generator().manual_seed(0), condition=torch.eye(10).repeat(10, 1))
    nearest = torch.cdist(drawn, means).argmin(dim=1)
    assert (nearest == torch.arange(10).repeat(10)).float().mean() > 0.35
    assert module(x[:3], condition[:3]).shape == (3, 784)
