from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from molnet.nn.activations import Identity, Tanh
from molnet.nn.autoencoders import Autoencoder
from molnet.nn.decomposition import TICA, Whitening, lagged
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from tests.shared import shared_data


@parametrize_with_checks([Whitening(), TICA()])
def test_the_conventions_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def test_whitened_data_are_white_and_as_near_as_can_be() -> None:
    generator = np.random.default_rng(0)
    X = generator.standard_normal((500, 3)) @ generator.standard_normal((3, 3)) + 5
    found = Whitening().fit_transform(X)
    assert np.cov(found, rowvar=False) == pytest.approx(np.eye(3), abs=1e-9)
    turned = PCA(whiten=True).fit_transform(X)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    assert np.sum((found - scaled) ** 2) < np.sum((turned - scaled) ** 2)
    flat = np.column_stack([X, X[:, 0]])
    assert np.linalg.eigvalsh(np.cov(Whitening().fit_transform(flat), rowvar=False)) == pytest.approx([0, 1, 1, 1])


def test_the_slowest_of_mixed_processes_is_found() -> None:
    generator, rates = np.random.default_rng(0), np.array([0.98, 0.5, 0.1])
    x = np.zeros((20_000, 3))
    for t in range(1, len(x)):
        x[t] = rates * x[t - 1] + np.sqrt(1 - rates**2) * generator.standard_normal(3)
    found = TICA(lag=1, components=2).fit(x @ generator.standard_normal((3, 3)))
    assert found.autocorrelations_ == pytest.approx(rates[:2], abs=0.02)
    assert found.timescales_[0] == pytest.approx(-1 / np.log(0.98), rel=0.2)


def test_pairs_never_cross_from_one_trajectory_into_another() -> None:
    first, second = lagged([np.arange(4.0)[:, None], 10 + np.arange(3.0)[:, None], np.zeros((1, 1))], 2)
    assert first.ravel().tolist() == [0, 1, 10] and second.ravel().tolist() == [2, 3, 12]
    with pytest.raises(ValueError, match="no pairs of frames 4 apart: the longest trajectory has 3"):
        lagged([np.zeros((3, 1))], 4)


def torsions() -> np.ndarray:
    """Sines and cosines of φ and ψ of alanine dipeptide, 501 frames 1 ps apart, whitened."""
    data = np.load(shared_data("mdtraj_traj/frame0_ala2_22atoms.npz"))
    angles = np.concatenate([data["phi_rad"], data["psi_rad"]], axis=1)
    return Whitening().fit_transform(np.concatenate([np.cos(angles), np.sin(angles)], axis=1))


@pytest.mark.parametrize(("widths", "activation", "least"), [([4, 1], Identity(), 0.99), ([4, 16, 1], Tanh(), 0.75)])
def test_the_time_lagged_code_is_ticas_coordinate(widths: list[int], activation, least: float) -> None:
    X = torsions()
    first, second = (torch.from_numpy(x).float() for x in lagged([X], 1))
    with seeded(0):
        module = Autoencoder(widths, activation=activation)
    # Both ways in time, as TICA averages over them.
    batches = ArrayBatches(torch.cat([first, second]), torch.cat([second, first]), size=200)
    fit(module, own_loss, batches, batches, recipe=Recipe(epochs=60, learning_rate=0.03, ema=0))
    with torch.no_grad():
        code = module.encoder(torch.from_numpy(X).float())[:, 0].numpy()
    slow = TICA(lag=1, components=1).fit_transform(X)[:, 0]
    assert abs(np.corrcoef(code, slow)[0, 1]) > least


def test_a_linear_autoencoder_finds_the_principal_plane_and_noise_is_taken_out() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(400, 2, generator=generator)
    x = hidden @ torch.randn(2, 10, generator=generator) + 0.05 * torch.randn(400, 10, generator=generator)
    x = x - x.mean(dim=0)
    with seeded(0):
        plain = Autoencoder([10, 2], activation=Identity())
        denoising = Autoencoder([10, 10], activation=Identity(), noise=1.0)
        batches = ArrayBatches(x, size=50)
        recipe = Recipe(epochs=60, learning_rate=0.05, ema=0)
        for module in (plain, denoising):
            fit(module, own_loss, batches, batches, recipe=recipe)
    pca = PCA(2).fit(x.numpy())
    best = ((pca.inverse_transform(pca.transform(x.numpy())) - x.numpy()) ** 2).mean()
    with torch.no_grad():
        assert float((plain(x) - x).square().mean()) < 2 * best < 0.01 * float(x.var())
        noisy = x + torch.randn(x.shape, generator=generator)
        assert (denoising(noisy) - x).square().mean() < 0.5 * (noisy - x).square().mean()
