from __future__ import annotations

import pytest
import torch
from torch import nn

from molnet.nn.adversarial import AdversarialTraining, FastGradientSign, sign_noise
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from tests.nn.digits import digits


def test_the_attack_is_the_worst_of_its_norm_for_a_linear_classifier() -> None:
    with seeded(0):
        model, x = nn.Linear(6, 2), 0.2 + 0.6 * torch.rand(5, 6)
    labels = torch.tensor([0, 1, 0, 1, 1])
    found = FastGradientSign(0.1)(model, x, labels)
    right, wrong = model.weight[labels], model.weight[1 - labels]
    torch.testing.assert_close(found, x + 0.1 * (wrong - right).sign())
    assert model.weight.grad is None
    with torch.no_grad():
        assert torch.equal(FastGradientSign(0.1)(model, x, labels), found)
    assert FastGradientSign(1.0)(model, x, labels).unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match="from 0 to 1; found 0 to 255"):
        FastGradientSign(0.1)(model, torch.tensor([[0.0, 255, 0, 0, 0, 0]]), labels[:1])


def test_the_control_has_the_same_norm() -> None:
    x = torch.full((4, 50), 0.5)
    noise = sign_noise(x, 0.1, torch.Generator().manual_seed(0)) - x
    torch.testing.assert_close(noise.abs(), torch.full((4, 50), 0.1))
    assert abs(noise.mean().item()) < 0.02


def test_training_against_an_attack_helps() -> None:
    images, labels = digits(1300)
    found = {}
    for share in (0.0, 0.5):
        with seeded(0):
            network = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
        module = AdversarialTraining(network, FastGradientSign(0.1), share=share)
        train, test = ArrayBatches(images[:1000], labels[:1000]), ArrayBatches(images[1000:], labels[1000:])
        fit(module, own_loss, train, test, recipe=Recipe(epochs=6, learning_rate=5e-3, ema=0))
        attacked = module.attack(module, images[1000:], labels[1000:])
        control = sign_noise(images[1000:], 0.1, torch.Generator().manual_seed(0))
        found[share] = [
            (module(x).argmax(1) == labels[1000:]).float().mean() for x in (images[1000:], control, attacked)
        ]
    clean, noisy, worst = found[0.0]
    assert clean > 0.8 and noisy > 0.7 and worst < 0.3
    assert found[0.5][0] > 0.8 and found[0.5][2] > worst + 0.25
    with pytest.raises(ValueError, match="share of attacked inputs is 1.5"):
        AdversarialTraining(nn.Identity(), FastGradientSign(0.1), share=1.5)
