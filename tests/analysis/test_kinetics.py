"""Timescales against processes whose relaxation is known."""

from __future__ import annotations

import numpy as np
import pytest

from molnet.analysis.kinetics import cluster, implied_timescales, tica, vamp2


def autoregressive(timescales: list[float], frames: int, seed: int) -> np.ndarray:
    """Independent processes x' = a x + noise with a = exp(−1/timescale) and unit variance."""
    rng, a = np.random.default_rng(seed), np.exp(-1 / np.array(timescales))
    x = np.zeros((frames, len(a)))
    for t in range(1, frames):
        x[t] = a * x[t - 1] + np.sqrt(1 - a**2) * rng.normal(size=len(a))
    return x


def jumps(p: float, frames: int, seed: int) -> np.ndarray:
    """A process of two states that leaves each with the probability p per frame."""
    return np.cumsum(np.random.default_rng(seed).random(frames) < p) % 2


def test_tica_finds_the_slow_process_in_a_mixture() -> None:
    hidden = [autoregressive([40.0, 3.0, 1.0], 20_000, seed) for seed in range(3)]
    mixing = np.random.default_rng(9).normal(size=(3, 3))
    slow = tica([x @ mixing + 5 for x in hidden], lag=3)
    np.testing.assert_allclose(slow.timescales, [40, 3], rtol=0.2)
    found = slow(hidden[0] @ mixing + 5)
    assert abs(np.corrcoef(found[:, 0], hidden[0][:, 0])[0, 1]) > 0.99


def test_features_that_resolve_slow_motion_score_higher() -> None:
    x = autoregressive([50.0, 0.3], 20_000, 1)
    assert vamp2([x[:, :1]], lag=5) > vamp2([x[:, 1:]], lag=5) + 0.5


def test_implied_timescales_of_a_two_state_process() -> None:
    states = [jumps(0.01, 20_000, seed) for seed in range(3)]
    found = implied_timescales(states, lags=[1, 5], processes=1)
    expected = -1 / np.log(1 - 2 * 0.01)
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=0.12)
    assert (found.low < found.values).all() and (found.values < found.high).all()


def test_clusters_separate_what_is_apart() -> None:
    states = jumps(0.05, 400, 0)
    x = 10.0 * states[:, None] + np.random.default_rng(0).normal(size=(400, 2))
    found = cluster([x], states=2)[0]
    assert np.array_equal(found, states) or np.array_equal(found, 1 - states)


def test_a_lag_longer_than_all_trajectories_is_refused() -> None:
    with pytest.raises(ValueError, match="the longest of these has 4"):
        tica([np.zeros((4, 2))], lag=10)
