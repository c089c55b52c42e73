"""Slow motions: time-lagged independent components, implied timescales and VAMP scores, by deeptime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from deeptime.clustering import KMeans
from deeptime.decomposition import TICA, VAMP
from deeptime.markov import TransitionCountEstimator
from deeptime.markov.msm import BayesianMSM
from jaxtyping import Float, Int
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class SlowCoordinates:
    """Linear combinations of features, the slowest first: (features − mean) · weights; timescales in frames."""

    mean: Float[ndarray, " features"]
    weights: Float[ndarray, "features components"]
    timescales: Float[ndarray, " components"]

    def __call__(self, features: Float[ndarray, "frames features"]) -> Float[ndarray, "frames components"]:
        return (features - self.mean) @ self.weights


def tica(trajectories: Sequence[Float[ndarray, "_ features"]], *, lag: int, components: int = 2) -> SlowCoordinates:
    """Time-lagged independent component analysis at a lag of some frames.

    The components solve C(τ) w = λ C(0) w with the covariances at lags τ and zero, symmetrized in time; a timescale is
    −τ/ln|λ|. Raises ValueError where no trajectory is longer than the lag.
    Source: Pérez-Hernández et al., J. Chem. Phys. 139, 015102 (2013).
    """
    model = TICA(lagtime=lag, dim=components).fit_from_timeseries(_longer(trajectories, lag)).fetch_model()
    weights = model.instantaneous_coefficients[:, :components]
    return SlowCoordinates(np.asarray(model.mean_0), np.asarray(weights), np.asarray(model.timescales()[:components]))


def vamp2(trajectories: Sequence[Float[ndarray, "_ features"]], *, lag: int) -> float:
    """The VAMP-2 score of features: the sum of the squared singular values of their Koopman matrix, plus one.

    Features that resolve slow motions better score higher. Source: Wu & Noé, J. Nonlinear Sci. 30, 23 (2020).
    """
    model = VAMP(lagtime=lag).fit_from_timeseries(_longer(trajectories, lag)).fetch_model()
    return float(model.score(2))


@dataclass(frozen=True, eq=False)
class ImpliedTimescales:
    """The slowest processes of Markov state models at several lags, all in frames, with 95 % intervals."""

    lags: Int[ndarray, " lags"]
    values: Float[ndarray, "lags processes"]
    low: Float[ndarray, "lags processes"]
    high: Float[ndarray, "lags processes"]

    @property
    def slowest(self) -> float:
        """The longest time that is resolved, which means longer than its lag; zero where none is."""
        resolved = self.values > self.lags[:, None]
        return float(self.values[resolved].max(initial=0.0))


def cluster(
    trajectories: Sequence[Float[ndarray, "_ features"]], *, states: int = 50, seed: int = 0
) -> list[Int[ndarray, " _"]]:
    """The state of each frame: k-means over all the trajectories."""
    together = np.concatenate(list(trajectories))
    model = KMeans(states, max_iter=100, tolerance=1e-3, fixed_seed=seed, progress=None).fit(together).fetch_model()
    return [np.asarray(model.transform(np.ascontiguousarray(x))) for x in trajectories]


def implied_timescales(
    states: Sequence[Int[ndarray, " _"]], *, lags: Sequence[int], processes: int = 3, samples: int = 50
) -> ImpliedTimescales:
    """Timescales −τ/ln λ of reversible Markov state models at several lags τ (frames).

    They are constant where the lag is long enough for the states to be Markovian. Intervals are those of `samples`
    transition matrices drawn from the posterior.
    They are NaN where no two states are connected. Raises ValueError where no trajectory is longer than a lag.
    """
    rows = [_timescales(_longer(states, lag), lag, processes, samples) for lag in lags]
    values, low, high = (np.stack(column) for column in zip(*rows, strict=True))
    return ImpliedTimescales(np.array(lags), values, low, high)


def _timescales(states: list[ndarray], lag: int, processes: int, samples: int) -> tuple[ndarray, ndarray, ndarray]:
    counts = TransitionCountEstimator(lag, "effective").fit(states).fetch_model().submodel_largest()
    known = min(processes, counts.n_states - 1)
    if known < 1:
        none = np.full(processes, np.nan)
        return none, none, none
    posterior = BayesianMSM(n_samples=samples, reversible=True).fit(counts).fetch_model()
    drawn = np.stack([_padded(sample.timescales(known), processes) for sample in posterior.samples])
    best = _padded(posterior.prior.timescales(known), processes)
    return best, *np.percentile(drawn, (2.5, 97.5), axis=0)


def _padded(values: ndarray, n: int) -> ndarray:
    return np.pad(np.asarray(values, float), (0, max(0, n - len(values))), constant_values=np.nan)[:n]


def _longer(trajectories: Sequence[ndarray], lag: int) -> list[ndarray]:
    kept = [x for x in trajectories if len(x) > lag]
    if not kept:
        longest = max((len(x) for x in trajectories), default=0)
        raise ValueError(f"a lag of {lag} frames needs longer trajectories; the longest of these has {longest}.")
    return kept
