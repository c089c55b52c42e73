from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from molnet.features import feature_statistics
from tests.models.beads import conformations, grown


def test_a_row_for_each_feature_with_its_unit() -> None:
    frames = 50
    rng = np.random.default_rng(0)
    lengths = np.tile([1.0, 1.5, 2.0], (frames, 1))
    phi = rng.uniform(-3, 3, (frames, 1))
    data = conformations(grown(lengths, np.full((frames, 2), 1.8), phi))
    found = feature_statistics(data)
    assert found.names[:3] == ("B01–B12", "B01–B23", "B01–B34") and found.names[-1] == "sin B01–B12–B23–B34"
    assert found.units == ("Å",) * 6 + ("rad",) * 2 + ("", "")
    assert found.mean[[0, 3, 5]] == pytest.approx([1.0, 1.5, 2.0])
    assert found.mean[6:8] == pytest.approx([1.8, 1.8]) and found.std[6] == pytest.approx(0, abs=1e-12)
    assert found.mean[8:] == pytest.approx([np.cos(phi).mean(), np.sin(phi).mean()])
    assert (found.min[9], found.max[9]) == pytest.approx((np.sin(phi).min(), np.sin(phi).max()))
    console = Console(record=True, width=120)
    console.print(found)
    assert "1.8000" in console.export_text()


def test_features_can_be_chosen() -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 3))
    found = feature_statistics(conformations(x), pairs=[(0, 4)], angles=())
    assert len(found.names) == 1 + 4
