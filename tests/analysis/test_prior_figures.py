from __future__ import annotations

import numpy as np
import pytest

from molnet.analysis.prior_figures import prior_fits
from molnet.priors import AtomEnergies, HarmonicBonds, fit_priors
from tests.models.beads import conformations, grown


def test_each_term_has_a_panel_where_prior_and_data_agree(tmp_path) -> None:
    rng = np.random.default_rng(0)
    lengths, bends = rng.normal(1.5, 0.05, (5000, 4)), rng.normal(1.9, 0.1, (5000, 3))
    lengths[:2500, 0] += 0.4
    data = conformations(grown(lengths, bends, rng.uniform(-3, 3, (5000, 2))))
    figure = prior_fits(data, fit_priors(data))
    panels = [axes for axes in figure.axes if axes.lines]
    assert len(panels) == 4 + 3 + 1 + 2
    assert [[text.get_text() for text in axes.texts] for axes in panels[:2]] == [["two-peaked"], []]
    assert panels[1].get_title() == "B1 2 – B2 3"
    points, curve = panels[1].lines
    found = np.interp(points.get_xdata(), curve.get_xdata(), curve.get_ydata())
    deep = points.get_ydata() < 2
    assert deep.sum() > 10 and np.abs(found - points.get_ydata())[deep].max() < 0.6
    figure.savefig(tmp_path / "priors.png")


def test_what_is_no_prior_of_coordinates_has_no_panel() -> None:
    data = conformations(np.random.default_rng(0).normal(size=(9, 2, 3)))
    assert len(prior_fits(data, AtomEnergies([1, 2], [0.0, 0.0]) + HarmonicBonds.fit(data)).axes) == 1
    with pytest.raises(ValueError, match="no prior"):
        prior_fits(data, AtomEnergies([1, 2], [0.0, 0.0]))
