from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from molnet.nn.belief import DeepBelief
from molnet.nn.boltzmann import AnnealedImportanceSampling, Binary, Gaussian, RestrictedBoltzmann
from molnet.nn.noise import Noise
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, classification_loss, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from tests.nn.digits import digits

UNITS = [Binary(), Gaussian()]


def machine(units: Binary | Gaussian, visible: int = 5, hidden: int = 4) -> RestrictedBoltzmann:
    made = RestrictedBoltzmann(visible, hidden, units=units)
    with seeded(1):
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return made.double()


def states(count: int) -> Tensor:
    return torch.tensor(list(product([0.0, 1.0], repeat=count)), dtype=torch.float64)


def energies(rbm: RestrictedBoltzmann, v: Tensor, h: Tensor) -> Tensor:
    """E(v, h) of all pairs."""
    own = rbm.units.energy(v, rbm.visible_bias)[:, None]
    return own - h @ rbm.hidden_bias - v @ rbm.weight @ h.T


def log_partition(rbm: RestrictedBoltzmann) -> float:
    """ln Z = ln Σ_h exp(b · h) Σ_v exp(−E₀(v) + v W h), by enumeration of h."""
    h = states(len(rbm.hidden_bias))
    fields = h @ rbm.weight.T + rbm.visible_bias
    if isinstance(rbm.units, Binary):
        inner = fields.exp().log1p().sum(dim=1)
    else:
        square = 0.5 * (fields.square().sum(dim=1) - rbm.visible_bias.square().sum())
        inner = square + 0.5 * fields.shape[1] * math.log(2 * math.pi)
    return (h @ rbm.hidden_bias + inner).logsumexp(dim=0).item()


@pytest.mark.parametrize("units", UNITS, ids=["binary", "gaussian"])
def test_free_energy_sums_over_the_hidden_units(units: Binary | Gaussian) -> None:
    rbm = machine(units)
    v = torch.rand((6, 5), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = energies(rbm, v, states(4))
    torch.testing.assert_close(rbm.free_energy(v), -(-pairs).logsumexp(dim=1))
    torch.testing.assert_close(rbm(v), (-pairs).softmax(dim=1) @ states(4))


@pytest.mark.parametrize("units", UNITS, ids=["binary", "gaussian"])
def test_annealed_importance_sampling_finds_the_partition_function(units: Binary | Gaussian) -> None:
    rbm = machine(units)
    sampling = AnnealedImportanceSampling(temperatures=200, runs=300)
    for base in (None, torch.full((5,), 0.3)):
        found = sampling(rbm, torch.Generator().manual_seed(0), base=base)
        assert 0.001 < found.error < 0.1
        assert abs(found.value - log_partition(rbm)) < 4 * found.error


def test_data_that_do_not_fit_are_refused() -> None:
    rbm = RestrictedBoltzmann(5, 4)
    with pytest.raises(ValueError, match="numbers from 0 to 1; found 0 to 255. Scale the data"):
        rbm.losses(torch.tensor([[0.0, 255, 0, 0, 0]]))
    with pytest.raises(ValueError, match="numbers from 0 to 1; found nan"):
        rbm.losses(torch.tensor([[0.0, torch.nan, 0, 0, 0]]))
    with pytest.raises(ValueError, match="5 visible units; the data have 6"):
        rbm(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="steps=0, chains=0"):
        RestrictedBoltzmann(3, 2, steps=0)


def test_chains_reach_the_distribution() -> None:
    rbm = machine(Binary())
    v = states(5)
    expected = (-rbm.free_energy(v) - log_partition(rbm)).exp()
    assert expected.sum().item() == pytest.approx(1)
    start = torch.zeros(20000, 5, dtype=torch.float64)
    ends = rbm.gibbs(start, torch.Generator().manual_seed(0), steps=20)
    counts = torch.bincount((ends @ 2.0 ** torch.arange(4, -1, -1, dtype=torch.float64)).long(), minlength=32)
    assert (counts / 20000 - expected).abs().max() < 0.01


def test_the_loss_has_the_gradient_of_contrastive_divergence() -> None:
    rbm = machine(Binary())
    v = torch.bernoulli(torch.full((8, 5), 0.4, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
    generator = Noise(0)()
    end = rbm.gibbs(v, generator, steps=1)
    rbm.losses(v)["loss"].mean().backward()
    positive, negative = v.T @ rbm(v) / 8, end.T @ rbm(end) / 8
    assert rbm.weight.grad is not None
    torch.testing.assert_close(rbm.weight.grad, negative - positive)


@pytest.mark.parametrize("chains", [0, 100])
def test_training_finds_a_small_distribution(chains: int) -> None:
    """Two patterns and their noisy copies: the exact likelihood rises close to the data's own entropy."""
    generator = torch.Generator().manual_seed(0)
    pattern = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    data = pattern[torch.randint(0, 2, (1000,), generator=generator)]
    data = torch.where(torch.rand(data.shape, generator=generator) < 0.1, 1 - data, data)
    rbm = RestrictedBoltzmann(6, 3, chains=chains, steps=2)
    recipe = Recipe(epochs=8, learning_rate=0.05, ema=0)
    fit(rbm, own_loss, ArrayBatches(data, size=25), ArrayBatches(data[:200]), recipe=recipe)
    likelihood = (-rbm.free_energy(data)).mean().item() - log_partition(rbm.double())
    codes = torch.bincount((data @ 2.0 ** torch.arange(6)).long(), minlength=64) / 1000
    entropy = -torch.special.xlogy(codes, codes).sum().item()
    assert entropy < -likelihood < entropy + 0.2
    assert rbm.chains.shape == (chains, 6)


def test_noise_goes_on_where_it_was_and_stands_still_in_validation() -> None:
    noise, other = Noise(3), Noise(3)
    first, second = (torch.rand(3, generator=noise()) for _ in range(2))
    assert not torch.equal(first, second)
    other.load_state_dict(noise.state_dict())
    assert torch.equal(torch.rand(3, generator=noise()), torch.rand(3, generator=other()))
    noise.eval()
    assert torch.equal(torch.rand(3, generator=noise()), torch.rand(3, generator=noise()))


def test_a_belief_network_unfolds_into_classifier_and_autoencoder() -> None:
    images, labels = digits(1200)
    pixels, short = images.flatten(1), Recipe(epochs=5, learning_rate=1e-2, ema=0)
    network = DeepBelief([784, 100, 60])
    for level, rbm in enumerate(network.machines):
        data = network.features(pixels, level)
        rbm.start_from(data[:1000])
        fit(rbm, own_loss, ArrayBatches(data[:1000], size=25), ArrayBatches(data[1000:]), recipe=short)
    auto = network.autoencoder()
    torch.testing.assert_close(auto.encoder(pixels).sigmoid(), network.features(pixels, 2))
    mean = (pixels[1000:] - pixels[:1000].mean(dim=0)).square().sum(dim=1).mean()
    assert auto.losses(pixels[1000:])["squared_error"].mean() < 0.95 * mean
    classifier = network.classifier(10)
    train, valid = ArrayBatches(pixels[:1000], labels[:1000], size=25), ArrayBatches(pixels[1000:], labels[1000:])
    tune = Recipe(epochs=8, learning_rate=1e-2, ema=0)
    history = fit(classifier, classification_loss, train, valid, recipe=tune)
    assert history.rows[-1]["valid_accuracy"] > 0.75
    dreams = network.sample(pixels[:3], torch.Generator().manual_seed(0), steps=2)
    assert dreams.shape == (3, 784) and dreams.min() >= 0 and dreams.max() <= 1
    with pytest.raises(ValueError, match=r"two widths or more; found \[4\]"):
        DeepBelief([4])
