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
