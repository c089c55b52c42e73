from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from molnet.train.search import Choice, Integers, LogUniform, Parzen, Random, Settings, Uniform, double_descent, search

SPACE = {"x": Uniform(-2, 2), "rate": LogUniform(1e-5, 1), "n": Integers(1, 4), "kind": Choice(("a", "b", None))}


def bowl(settings: Settings) -> float:
    away = {"a": 0.0, "b": 1.0, None: 2.0}[settings["kind"]]
    return (settings["x"] - 1) ** 2 + math.log10(settings["rate"] / 1e-3) ** 2 + abs(settings["n"] - 3) + away


def test_random_settings_fill_their_ranges() -> None:
    found = search(bowl, SPACE, trials=300)
    assert [t.loss for t in found] == sorted(t.loss for t in found)
    assert found == search(bowl, SPACE, trials=300) != search(bowl, SPACE, trials=300, seed=1)
    values = {name: [t.settings[name] for t in found] for name in SPACE}
    assert set(values["n"]) == {1, 2, 3, 4} and set(values["kind"]) == {"a", "b", None}
    assert np.mean(values["x"]) == pytest.approx(0, abs=0.2) and max(np.abs(values["x"])) > 1.9
    assert np.mean(np.log10(values["rate"])) == pytest.approx(-2.5, abs=0.3)


def test_what_was_found_guides_the_search() -> None:
    pytest.importorskip("optuna")
    best = {
        sampler: np.median([search(bowl, SPACE, trials=40, sampler=sampler, seed=seed)[0].loss for seed in range(4)])
        for sampler in (Random(), Parzen())
    }
    assert best[Parzen()] < 0.5 * best[Random()]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"install molnet\[search\]"):
        search(bowl, SPACE, trials=2, sampler=Parzen(startup=1))


def test_broken_trials_come_last_and_broken_spaces_are_refused() -> None:
    found = search(lambda s: math.nan if s["n"] == 1 else s["n"], {"n": Integers(1, 3)}, trials=20)
    assert found[0].loss == 2
    assert math.isnan(found[-1].loss)
    for space in ({"x": Uniform(1, 1)}, {"x": LogUniform(0, 1)}, {"x": Choice(())}):
        with pytest.raises(ValueError, match="x can't be drawn from"):
            search(bowl, space, trials=1)
    with pytest.raises(ValueError, match="found 0 settings and 3 trials"):
        search(bowl, {}, trials=3)


def test_the_error_falls_rises_and_falls_again() -> None:
    generator = np.random.default_rng(0)
    X = generator.standard_normal((240, 10))
    y = np.tanh(X[:, 0]) + X[:, 1] + 0.2 * generator.standard_normal(240)
    curve = double_descent((X[:40], y[:40]), (X[40:], y[40:]), counts=(10, 40, 1000))
    few, equal, many = curve.test
    assert equal > 5 * few and equal > 5 * many
    assert curve.train[0] > 0.01 and curve.train[2] < 1e-10
