"""Without labels: codes and clusters of digits, and the slow coordinate and states of alanine dipeptide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from deeptime.markov.msm import MaximumLikelihoodMSM
from dl.mnist import draw
from dl.rows import Row
from dl.search import digits
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix

from molnet.nn.activations import Identity, ReLU, Tanh
from molnet.nn.autoencoders import Autoencoder
from molnet.nn.clustering import MixtureVAE
from molnet.nn.decomposition import TICA, Whitening, lagged
from molnet.nn.seeding import seeded
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

RECIPE = Recipe(epochs=12, learning_rate=1e-3, ema=0.99)


def parts(x: torch.Tensor) -> tuple[ArrayBatches, ArrayBatches]:
    """Nine of ten rows to train on, and every tenth to choose the epoch with."""
    held = torch.arange(len(x)) % 10 == 0
    return ArrayBatches(x[~held], size=100), ArrayBatches(x[held], size=500)


def codes(data: Path, folder: Path) -> str:
    """The error of 2 numbers an image, and of 30 with noise to take out, on the 2,000, by PCA and by autoencoders."""
    train, test = (torch.from_numpy(part[0]).float() for part in digits(data))
    noisy = test + 0.5 * torch.randn(test.shape, generator=torch.Generator().manual_seed(0))
    (batches, valid), found = parts(train), []
    figure = Figure(figsize=(8, 4), layout="constrained")
    for axes, (code, noise) in zip(figure.subplots(1, 2), ((2, 0.0), (30, 0.5)), strict=True):
        pca = PCA(code).fit(train.numpy())
        with seeded(0):
            module = Autoencoder([784, 512, 128, code], activation=ReLU(), noise=noise)
            fit(module, own_loss, batches, valid, recipe=replace(RECIPE, epochs=25))
        given = noisy if noise else test
        linear = pca.inverse_transform(pca.transform(given.numpy()))
        with torch.no_grad():
            deep = module(given).numpy()
        errors = [float(((x - test.numpy()) ** 2).mean()) for x in (linear, deep)]
        found.append(f"{code} numbers{', noisy' if noise else ''}: PCA {errors[0]:.4f}, deep {errors[1]:.4f}")
        shown = np.concatenate([np.hstack(x[:8].reshape(8, 28, 28)) for x in (given.numpy(), linear, deep)])
        axes.imshow(shown, cmap="gray_r", vmin=0, vmax=1)
        axes.set(title=found[-1], xticks=[], yticks=[14, 42, 70], yticklabels=["given", "PCA", "deep"])
    figure.savefig(folder / "codes.png", dpi=80)
    return "; ".join(found)


def matched(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The accuracy of clusters, each taken for the class that makes the sum best."""
    table = confusion_matrix(labels, clusters)
    return float(table[linear_sum_assignment(-table)].sum() / len(labels))


def clusters(data: Path, folder: Path) -> str:
    (X, _), (X_test, y_test) = digits(data)
    plain = matched(y_test, KMeans(10, n_init=5, random_state=0).fit(X).predict(X_test))
    x, test = torch.from_numpy(X).float(), torch.from_numpy(X_test).float()
    batches, valid = parts(x)
    with seeded(0):
        module = MixtureVAE([784, 512, 128, 10], clusters=10, activation=ReLU())
        module.prior_weight = 0.3
        fit(module, own_loss, batches, valid, recipe=RECIPE)
        module.start(x)
        module.prior_weight = 1.0
        fit(module, own_loss, batches, valid, recipe=RECIPE)
    with torch.no_grad():
        mixture = matched(y_test, module.responsibilities(test).argmax(dim=1).numpy())
    generator = torch.Generator().manual_seed(0)
    rows = [module.sample(12, generator, cluster=cluster) for cluster in range(10)]
    draw(rows, [f"cluster {cluster}" for cluster in range(10)], folder / "clusters.png")
    return f"accuracy on the 2,000: k-means {plain:.3f}, mixture {mixture:.3f}"


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def slow(data: Path, folder: Path) -> str:
    file = np.load(data / "mdtraj_traj/frame0_ala2_22atoms.npz")
    angles = np.concatenate([file["phi_rad"], file["psi_rad"]], axis=1)
    X = Whitening().fit_transform(np.concatenate([np.cos(angles), np.sin(angles)], axis=1))
    first, second = (torch.from_numpy(x).float() for x in lagged([X], 1))
    batches = ArrayBatches(torch.cat([first, second]), torch.cat([second, first]), size=100)
    tica = TICA(lag=1, components=1).fit(X)
    reference, found = tica.transform(X)[:, 0], []
    figure = Figure(figsize=(9, 3), layout="constrained")
    panels = figure.subplots(1, 3)
    made = (("TICA", None), ("linear", ([4, 1], Identity())), ("tanh", ([4, 32, 32, 1], Tanh())))
    for axes, (name, arguments) in zip(panels, made, strict=True):
        values = reference
        if arguments:
            with seeded(0):
                module = Autoencoder(arguments[0], activation=arguments[1])
                fit(module, own_loss, batches, batches, recipe=Recipe(epochs=200, learning_rate=5e-3, ema=0))
            with torch.no_grad():
                values = module.encoder(torch.from_numpy(X).float())[:, 0].numpy()
        agreement, memory = abs(correlation(values, reference)), correlation(values[:-1], values[1:])
        found.append(f"{name} |r| {agreement:.3f}, autocorrelation {memory:.3f}")
        axes.scatter(*np.degrees(angles).T, c=values * np.sign(values @ reference), s=6, cmap="coolwarm")
        axes.set(xlabel="φ / °", ylabel="ψ / °", title=name)
    figure.savefig(folder / "slow.png", dpi=90)
    states = KMeans(20, n_init=5, random_state=0).fit_predict(X)
    model = MaximumLikelihoodMSM(lagtime=5).fit_fetch(states)
    times = model.timescales(1)[0], TICA(lag=5, components=1).fit(X).timescales_[0]
    return f"{'; '.join(found)}; slowest process {times[0]:.1f} ps by a Markov model, {times[1]:.1f} ps by TICA"


MNIST = "MNIST test file, 8,000/2,000"
ROWS = [
    Row("unsupervised: codes of digits", "from molnet.nn import Autoencoder", MNIST, "below PCA", codes),
    Row(
        "unsupervised: clusters of digits",
        "from molnet.nn import MixtureVAE",
        MNIST,
        "above k-means",
        clusters,
    ),
    Row(
        "unsupervised: slow coordinate",
        "from molnet.nn import TICA, lagged",
        "alanine dipeptide, 501 frames",
        "TICA and the autoencoder agree",
        slow,
    ),
]
