"""Searches for good settings, at random or guided by what was found so far, and the curve of double descent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy import ndarray

from molnet.nn.linear import LeastSquares

Settings = dict[str, Any]


@dataclass(frozen=True)
class Uniform:
    """Numbers from low to high."""

    low: float
    high: float


@dataclass(frozen=True)
class LogUniform:
    """Positive numbers from low to high, every factor as likely as any other."""

    low: float
    high: float


@dataclass(frozen=True)
class Integers:
    """Integers from low to high, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """One of some values: numbers, strings or None."""

    values: tuple[Any, ...]


Space = Mapping[str, Uniform | LogUniform | Integers | Choice]


class Trial(NamedTuple):
    """Settings that were tried, and the loss that they gave."""

    settings: Settings
    loss: float


@runtime_checkable
class Sampler(Protocol):
    """Chooses what to try next. `propose` is told all trials so far."""

    def propose(self, space: Space, trials: Sequence[Trial], generator: np.random.Generator) -> Settings: ...


@dataclass(frozen=True)
class Random:
    """Draws each setting by itself, whatever was found. Bergstra & Bengio, JMLR 13, 281 (2012)."""

    def propose(self, space: Space, trials: Sequence[Trial], generator: np.random.Generator) -> Settings:
        return {name: _draw(range_, generator) for name, range_ in space.items()}


@dataclass(frozen=True)
class Parzen:
    """Prefers settings near good ones: by the ratio of the densities of good and bad trials, setting by setting.

    optuna's tree-structured Parzen estimator, after `startup` random trials; needs molnet's extra `search`.
    Source: Bergstra et al., NeurIPS 2011.
    """

    startup: int = 10

    def propose(self, space: Space, trials: Sequence[Trial], generator: np.random.Generator) -> Settings:
        if len(trials) < self.startup:
            return Random().propose(space, trials, generator)
        optuna = _optuna()
        sampler = optuna.samplers.TPESampler(seed=int(generator.integers(2**31)), n_startup_trials=0)
        study = _silent_study(optuna, sampler)
        ranges = {name: _distribution(optuna, range_) for name, range_ in space.items()}
        made = [
            optuna.trial.create_trial(params=dict(t.settings), distributions=ranges, value=t.loss)
            for t in trials
            if np.isfinite(t.loss)
        ]
        study.add_trials(made)
        found: Settings = study.ask(ranges).params
        return found


def search(
    objective: Callable[[Settings], float],
    space: Space,
    *,
    trials: int,
    sampler: Sampler = Random(),
    seed: int = 0,
) -> list[Trial]:
    """Tries settings from a space and returns all trials, the lowest loss first.

    The objective is a loss on data that weren't trained on; NaN and infinity count as the worst. Raises ValueError for
    an empty space, a range without numbers, or no trials, and ImportError where a sampler's package is missing.
    """
    if not space or trials < 1:
        raise ValueError(f"a search needs settings and trials; found {len(space)} settings and {trials} trials.")
    for name, range_ in space.items():
        _check(name, range_)
    generator, found = np.random.default_rng(seed), list[Trial]()
    for _ in range(trials):
        settings = sampler.propose(space, tuple(found), generator)
        found.append(Trial(settings, float(objective(settings))))
    return sorted(found, key=lambda trial: trial.loss if np.isfinite(trial.loss) else np.inf)


class Curve(NamedTuple):
    """Mean squared errors by the number of something."""

    counts: tuple[int, ...]
    train: tuple[float, ...]
    test: tuple[float, ...]


def double_descent(
    train: tuple[ndarray, ndarray], test: tuple[ndarray, ndarray], *, counts: Sequence[int], seed: int = 0
) -> Curve:
    """Mean squared errors of least squares on random ReLU features max(0, X w + b), by the number of features.

    With fewer features than rows, it is the usual best fit; with more, the shortest of the fits that pass through all
    points. The test error peaks where the numbers are equal, and falls again. Weights are drawn from N(0, 1/columns).
    Source: Belkin et al., PNAS 116, 15849 (2019).
    """
    columns = train[0].shape[1]
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, columns**-0.5, (columns, max(counts)))
    shifts = generator.normal(0, 1, max(counts))
    errors: list[tuple[float, float]] = []
    for count in counts:
        features = [np.maximum(0, X @ weights[:, :count] + shifts[:count]) for X in (train[0], test[0])]
        model = LeastSquares().fit(features[0], train[1])
        a, b = (
            float(np.mean((model.predict(phi) - y) ** 2)) for phi, y in zip(features, (train[1], test[1]), strict=True)
        )
        errors.append((a, b))
    trained, tested = zip(*errors, strict=True)
    return Curve(tuple(counts), trained, tested)


def _check(name: str, range_: Any) -> None:
    if isinstance(range_, Choice):
        holds = bool(range_.values)
    else:
        holds = range_.low < range_.high and (not isinstance(range_, LogUniform) or range_.low > 0)
    if not holds:
        raise ValueError(f"{name} can't be drawn from {range_}; give low < high (and positive), or some values.")


def _draw(range_: Any, generator: np.random.Generator) -> Any:
    if isinstance(range_, Choice):
        return range_.values[generator.integers(len(range_.values))]
    if isinstance(range_, Integers):
        return int(generator.integers(range_.low, range_.high, endpoint=True))
    if isinstance(range_, LogUniform):
        return float(np.exp(generator.uniform(np.log(range_.low), np.log(range_.high))))
    return float(generator.uniform(range_.low, range_.high))


def _distribution(optuna: Any, range_: Any) -> Any:
    if isinstance(range_, Choice):
        return optuna.distributions.CategoricalDistribution(range_.values)
    if isinstance(range_, Integers):
        return optuna.distributions.IntDistribution(range_.low, range_.high)
    return optuna.distributions.FloatDistribution(range_.low, range_.high, log=isinstance(range_, LogUniform))


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ImportError("the sampler Parzen needs optuna; install molnet[search], or use Random().") from error
    return optuna


def _silent_study(optuna: Any, sampler: Any) -> Any:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler)
    finally:
        optuna.logging.set_verbosity(level)
