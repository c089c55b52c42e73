from __future__ import annotations

import numpy as np
import pytest

from molnet.data.convert import to_graph
from molnet.graph import batch
from tests.features import ani1x


@pytest.mark.parametrize("isomer", [0, 3, 16])
def test_features_are_those_of_neurochem(isomer):
    features = ani1x.symmetry_functions()
    values = features(batch([to_graph(ani1x.conformer(isomer, n), 5.2) for n in range(10)])).numpy()
    data = ani1x.reference()
    radial, angular = (data[f"aev_{k}_{isomer}"].reshape(len(values), -1) for k in ("radial", "angular"))
    np.testing.assert_allclose(values[:, :64], radial, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(values[:, 64:], angular, rtol=1e-6, atol=2e-6)
    assert np.abs(angular).max() > 0.1


def test_what_differs_from_neurochem_is_the_rounding_of_single_precision():
    """A cosine's rounding, multiplied by ζ = 32: formulas in single precision give what NeuroChem stored."""
    data, apart = ani1x.reference(), {np.float32: 0.0, np.float64: 0.0}
    for isomer, number in np.ndindex(20, 10):
        stored = [data[f"aev_{kind}_{isomer}"][number] for kind in ("radial", "angular")]
        for real in apart:
            pairs = zip(ani1x.by_hand(ani1x.conformer(isomer, number), real), stored, strict=True)
            apart[real] = max(apart[real], *(float(np.abs(one.ravel() - two.ravel()).max()) for one, two in pairs))
    assert apart[np.float32] < 2.2e-6
    assert 4e-6 < apart[np.float64] < 5e-6
