from __future__ import annotations

import numpy as np
import pytest

from molnet.analysis.dimers import dimers
from tests.analysis.toys import Soft, Wells


def test_dimer_energies_are_relative_to_the_atoms_apart() -> None:
    scan = dimers(Soft(height=5.0, cutoff=3.0), points=20)
    assert scan.titles == ["H–H", "H–O", "O–O"]
    assert scan.distances[0] == 0.3 and scan.distances[-1] == 3.0
    expected = 5.0 * (1 - scan.distances / 3.0) ** 3
    np.testing.assert_allclose(scan.energies, np.tile(expected, (3, 1)), atol=1e-12)


@pytest.mark.parametrize(("height", "repulsive"), [(5.0, True), (-5.0, False)])
def test_core_repulsion_is_seen(height: float, repulsive: bool) -> None:
    assert dimers(Soft(height, [1]), points=5).repulsive == [repulsive]


def test_a_potential_for_any_species_needs_species() -> None:
    with pytest.raises(ValueError, match="say which ones to scan"):
        dimers(Wells())


def test_a_scan_needs_a_cutoff() -> None:
    with pytest.raises(ValueError, match="cutoff is 0 Å"):
        dimers(Wells(), [1])
