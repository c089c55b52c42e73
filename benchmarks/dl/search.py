"""Validation and search: settings of a classifier of digits, a learning curve, early stopping, double descent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from dl.rows import Row
from matplotlib.figure import Figure
from sklearn.model_selection import StratifiedKFold, cross_val_score, learning_curve

from molnet.nn.activations import ReLU
from molnet.nn.mlp import MLP
from molnet.train.estimators import NetworkClassifier
from molnet.train.recipe import Recipe
from molnet.train.search import Integers, LogUniform, Parzen, Random, Settings, Uniform, double_descent, search

FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)
RECIPE = Recipe(epochs=15, learning_rate=3e-3, ema=0)


def digits(data: Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """MNIST's test file, split into 8,000 and 2,000 images of 784 numbers in [0, 1]."""
    file = np.load(data / "dlcore/mnist_t10k.npz")
    images, labels = file["images"].reshape(len(file["images"]), -1) / 255, file["labels"].astype(int)
    train, test = file["split_train"], file["split_test"]
    return (images[train], labels[train]), (images[test], labels[test])


def classifier(width: int, recipe: Recipe, dropout: float = 0.0) -> NetworkClassifier:
    def make(inputs: int, outputs: int) -> MLP:
        return MLP([inputs, width, outputs], activation=ReLU(), dropout=dropout)

    return NetworkClassifier(make, recipe=recipe, size=64)


def samplers(data: Path, folder: Path) -> str:
    (X, y), _ = digits(data)
    space = {"rate": LogUniform(1e-5, 0.3), "width": Integers(2, 64), "dropout": Uniform(0, 0.8)}

    def objective(settings: Settings) -> float:
        recipe = replace(RECIPE, epochs=5, learning_rate=settings["rate"])
        model = classifier(settings["width"], recipe, settings["dropout"]).fit(X[:1000], y[:1000])
        return 1 - float(model.score(X[1000:2000], y[1000:2000]))

    errors = {
        name: [search(objective, space, trials=25, sampler=sampler, seed=seed)[0].loss for seed in range(3)]
        for name, sampler in (("random", Random()), ("Parzen", Parzen()))
    }
    return ", ".join(f"{name} {np.mean(found):.3f}" for name, found in errors.items())


def learning(data: Path, folder: Path) -> str:
    (X, y), _ = digits(data)
    counts, train, test = learning_curve(
        classifier(128, RECIPE), X, y, cv=FOLDS, train_sizes=[100, 300, 1000, 3000, 6400], shuffle=True, random_state=0
    )
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    axes.loglog(counts, 1 - train.mean(axis=1), "o-", label="training")
    axes.loglog(counts, 1 - test.mean(axis=1), "o-", label="held out, 5 folds")
    axes.set(xlabel="images", ylabel="error rate", ylim=(3e-4, 1))
    axes.legend()
    figure.savefig(folder / "learning_curve.svg")
    return ", ".join(f"{n}: {1 - error:.3f}" for n, error in zip(counts, test.mean(axis=1), strict=True))


def folds(data: Path, folder: Path) -> str:
    (X, y), test = digits(data)
    early = classifier(128, replace(RECIPE, epochs=60, patience=5))
    scores = cross_val_score(early, X, y, cv=FOLDS)
    early.fit(X, y)
    return (
        f"5 folds {scores.mean():.4f} ± {scores.std(ddof=1) / 5**0.5:.4f}, the 2,000 {early.score(*test):.4f}, "
        f"stopped ({early.history_.stopped}) after {len(early.history_.rows)} epochs, best {early.history_.best_epoch}"
    )


def descent(data: Path, folder: Path) -> str:
    (X, y), (X_test, y_test) = digits(data)
    counts = [10, 30, 100, 200, 300, 350, 380, 400, 420, 450, 500, 700, 1000, 2000, 4000]
    curve = double_descent((X[:400], y[:400] % 2 * 2.0 - 1), (X_test, y_test % 2 * 2.0 - 1), counts=counts)
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    axes.loglog(counts, curve.test, "o-", label="test")
    axes.loglog(counts, np.maximum(curve.train, 1e-4), "o-", label="training")
    axes.axvline(400, color="0.6", linewidth=0.8)
    axes.set(xlabel="random features (400 images)", ylabel="mean squared error", ylim=(1e-2, None))
    axes.legend()
    figure.savefig(folder / "double_descent.svg")
    return ", ".join(f"{n}: {curve.test[counts.index(n)]:.2f}" for n in (100, 400, 4000))


SEARCH = "from molnet.train.search import search, Random, Parzen"
ESTIMATOR = "from molnet.train.estimators import NetworkClassifier"
MNIST = "MNIST test file, 8,000/2,000"
ROWS = [
    Row("search: random and Parzen, error of 25 trials", SEARCH, "1,000 + 1,000 of MNIST", "Parzen lower", samplers),
    Row("search: learning curve, errors", ESTIMATOR, MNIST, "a figure", learning),
    Row("search: folds and early stopping", ESTIMATOR, MNIST, "below its limit of epochs", folds),
    Row("search: double descent", "from molnet.train.search import double_descent", "400 of MNIST", "a peak", descent),
]
