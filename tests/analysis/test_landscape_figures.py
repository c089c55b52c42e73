"""Figures show what they were given."""

from __future__ import annotations

import numpy as np

from molnet.analysis.kinetics import ImpliedTimescales
from molnet.analysis.landscape_figures import population_bars, surfaces, timescale_curves
from molnet.analysis.landscapes import ALANINE, Population, Surface


def test_surfaces_share_a_scale_and_outline_basins() -> None:
    rng = np.random.default_rng(0)
    made = {n: Surface.of(*rng.vonmises(m, 2.0, (2, 5000)), temperature=300.0) for n, m in (("one", 0.0), ("two", 1.0))}
    figure = surfaces(made, basins=ALANINE)
    one, two, bar = figure.axes
    assert [one.get_title(), two.get_title()] == ["one", "two"]
    assert one.collections[0].get_clim() == two.collections[0].get_clim()
    assert {text.get_text() for text in one.texts} == set(ALANINE)
    assert bar.get_ylabel() == "free energy (kcal/mol)"


def test_bars_have_the_height_of_populations() -> None:
    held = {"reference": {"α": Population(0.5, 0.01), "β": Population(0.02, 0.005)}}
    axes = population_bars(held).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.02]
    assert axes.get_yscale() == "log"


def test_timescales_are_in_picoseconds() -> None:
    values = np.array([[30.0, 5.0], [31.0, 6.0]])
    found = ImpliedTimescales(np.array([1, 2]), values, 0.9 * values, 1.1 * values)
    axes = timescale_curves({"molecule": found}, frame=2.0).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[2, 60], [4, 62]])
