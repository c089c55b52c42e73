"""Linear models: iris, penguins, fuel consumption, and what the degree of a polynomial does to its error."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from dl.rows import Row
from matplotlib.figure import Figure
from numpy.polynomial.legendre import legvander
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from molnet.nn.linear import FeatureFunctions, LeastSquares, bias_variance
from molnet.nn.mlp import MLP
from molnet.train.estimators import NetworkClassifier
from molnet.train.recipe import Recipe


def table(path: Path, columns: list[str], label: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns of numbers and a column of labels, of the rows that have all of them."""
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] for name in [*columns, label])]
    return np.array([[float(row[name]) for name in columns] for row in rows]), np.array([row[label] for row in rows])


def softmax_regression(X: np.ndarray, y: np.ndarray) -> str:
    recipe = Recipe(epochs=100, learning_rate=0.1, weight_decay=0.01, ema=0)
    network = NetworkClassifier(lambda inputs, outputs: MLP([inputs, outputs]), recipe=recipe, valid=0)
    parts = StratifiedKFold(10, shuffle=True, random_state=0)
    ours, theirs = (
        cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=parts).mean()
        for model in (network, LogisticRegression())
    )
    return f"{ours:.3f} (scikit-learn {theirs:.3f})"


def iris(data: Path, folder: Path) -> str:
    columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    return softmax_regression(*table(data / "dlcore/iris.csv", columns, "species"))


def penguins(data: Path, folder: Path) -> str:
    columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    return softmax_regression(*table(data / "dlcore/penguins.csv", columns, "species"))


def mpg(data: Path, folder: Path) -> str:
    columns = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year"]
    X, y = table(data / "dlcore/mpg.csv", columns, "mpg")
    squares = FeatureFunctions([lambda x: np.hstack([x, x**2]), lambda x: np.ones(len(x))])
    parts = KFold(10, shuffle=True, random_state=0)
    errors = [
        -cross_val_score(
            make_pipeline(StandardScaler(), features, model),
            X,
            y.astype(float),
            cv=parts,
            scoring="neg_root_mean_squared_error",
        ).mean()
        for features, model in (
            (FeatureFunctions([np.array, lambda x: np.ones(len(x))]), LeastSquares()),
            (squares, LeastSquares()),
            (squares, Ridge(1.0)),
        )
    ]
    return "RMSE {:.2f} linear, {:.2f} with squares, {:.2f} with ridge".format(*errors)


def degrees(data: Path, folder: Path) -> str:
    X = np.linspace(-1, 1, 40)[:, None]
    tried = range(13)
    found = [
        bias_variance(
            make_pipeline(FeatureFunctions([lambda x, d=d: legvander(x[:, 0], d)]), LeastSquares()),
            X,
            np.sin(4 * X[:, 0]),
            noise=0.5,
            samples=400,
        )
        for d in tried
    ]
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(tried, [f.bias for f in found], "o-", label="bias²")
    axes.semilogy(tried, [f.variance for f in found], "o-", label="variance")
    axes.semilogy(tried, [sum(f) for f in found], "k", label="both")
    axes.set(xlabel="degree", ylabel="mean squared error", ylim=(1e-4, 1))
    axes.legend()
    figure.savefig(folder / "bias_variance.svg")
    best = int(np.argmin([sum(f) for f in found]))
    return f"least at degree {best}: bias² {found[best].bias:.4f}, variance {found[best].variance:.4f}"


def exclusive_or(data: Path, folder: Path) -> str:
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    plain = Perceptron(tol=None).fit(X, y).score(X, y)
    bent = make_pipeline(FeatureFunctions([np.array, lambda x: x.prod(axis=1)]), Perceptron(tol=None))
    return f"{plain:.2f} of 4 corners; {bent.fit(X, y).score(X, y):.2f} with the product"


ESTIMATOR = "from molnet.train.estimators import NetworkClassifier"
FEATURES = "from molnet.nn import FeatureFunctions, LeastSquares"
ROWS = [
    Row("linear: softmax regression, iris", ESTIMATOR, "iris, 10 folds", "as scikit-learn's", iris),
    Row("linear: softmax regression, penguins", ESTIMATOR, "penguins, 10 folds", "as scikit-learn's", penguins),
    Row("linear: least squares and ridge, mpg", FEATURES, "mpg, 10 folds", "squares help", mpg),
    Row("linear: bias and variance", "from molnet.nn import bias_variance", "sin 4x", "a figure", degrees),
    Row("linear: perceptron on XOR", FEATURES, "4 corners", "fails; 1 with the product", exclusive_or),
]
