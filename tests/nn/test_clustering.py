from __future__ import annotations

import math

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from molnet.nn.clustering import MixtureVAE
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def test_the_divergence_from_a_single_gaussian_is_the_known_one() -> None:
    with seeded(0):
        module = MixtureVAE([3, 2], clusters=2)
        with torch.no_grad():
            module.centers.zero_()
            x = torch.randn(1, 3).expand(20_000, 3)
            mean, log_scale = module.encoder(x[:1]).chunk(2, dim=1)
            found = module.losses(x)["divergence"].mean()
    expected = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
    assert found.item() == pytest.approx(expected.item(), abs=0.02)


def test_digits_fall_into_clusters() -> None:
    X, y = load_digits(n_class=4, return_X_y=True)
    x = torch.from_numpy(X / 16).float()
    batches = ArrayBatches(x, size=64)
    with seeded(0):
        module = MixtureVAE([64, 64, 4], clusters=4)
        module.prior_weight = 0.3
        fit(module, own_loss, batches, batches, recipe=Recipe(epochs=20, learning_rate=3e-3, ema=0))
        module.start(x)
        module.prior_weight = 1.0
        fit(module, own_loss, batches, batches, recipe=Recipe(epochs=20, learning_rate=3e-3, ema=0))
    with torch.no_grad():
        found = module.responsibilities(x)
    plain = KMeans(4, n_init=5, random_state=0).fit_predict(X)
    assert adjusted_rand_score(y, found.argmax(dim=1)) > 0.05 + adjusted_rand_score(y, plain)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(x)))


def test_samples_of_a_cluster_belong_to_it() -> None:
    with seeded(0):
        module = MixtureVAE([2, 2], clusters=3)
    with torch.no_grad():
        for network in (module.encoder, module.decoder):
            network.layers[0].weight.copy_(torch.eye(2).repeat(2, 1)[: len(network.layers[0].weight)])
        module.centers.copy_(torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]]))
        module.log_weights.copy_(torch.tensor([0.5, 0.25, 0.25]).log())
    generator = torch.Generator().manual_seed(0)
    drawn = module.sample(2000, generator, cluster=1)
    assert (module.responsibilities(drawn).argmax(dim=1) == 1).float().mean() > 0.99
    torch.testing.assert_close(drawn.mean(dim=0), module.centers[1].detach(), atol=0.1, rtol=0)
    found = module.responsibilities(module.sample(2000, generator)).argmax(dim=1)
    torch.testing.assert_close(found.bincount() / 2000, torch.tensor([0.5, 0.25, 0.25]), atol=0.04, rtol=0)


def test_densities_are_normalized() -> None:
    with seeded(1):
        module = MixtureVAE([3, 1], clusters=3)
    z = torch.linspace(-12, 12, 4001)[:, None]
    with torch.no_grad():
        total = module.joint(z).logsumexp(dim=1).exp().sum() * 24 / 4000
    assert total.item() == pytest.approx(1, abs=1e-3)
    assert math.isfinite(module.losses(torch.randn(5, 3))["loss"].mean().item())
    with pytest.raises(ValueError, match="found 1 clusters"):
        MixtureVAE([3, 1], clusters=1)
