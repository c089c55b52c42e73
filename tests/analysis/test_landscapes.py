"""Free-energy surfaces against distributions whose free energy, divergence and populations are known."""

from __future__ import annotations

import numpy as np
import pytest

from molnet.analysis.landscapes import ALANINE, Basin, Surface, dihedral_angles, distance, populations
from molnet.units import KB, energy_unit
from tests.shared import shared_data


def surface(p: np.ndarray, samples: float = 1e6) -> Surface:
    edges = np.linspace(-np.pi, np.pi, p.shape[0] + 1)
    return Surface(samples * p / p.sum(), edges, edges, 300.0)


def test_the_free_energy_of_von_mises_samples() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.vonmises(0, 1.5, 400_000), rng.uniform(-np.pi, np.pi, 400_000)
    found = Surface.of(x, y, temperature=300.0, bins=20)
    middle = 0.5 * (found.x[1:] + found.x[:-1])
    along_x = found.free_energy.mean(axis=1)
    np.testing.assert_allclose(
        along_x - along_x.min(), KB * 300 * 1.5 * (np.cos(middle).max() - np.cos(middle)), atol=1.5e-3
    )


def test_bins_that_were_not_visited_have_no_free_energy() -> None:
    found = surface(np.array([[1.0, 0.0], [0.5, 0.5]])).free_energy
    assert np.isnan(found[0, 1]) and found[0, 0] == 0
    np.testing.assert_allclose(found[1], KB * 300 * np.log(2))


def test_distances_of_two_known_distributions() -> None:
    p, q = np.array([[0.5, 0.5], [0.0, 0.0]]), np.array([[0.25, 0.25], [0.5, 0.0]])
    found = distance(surface(q), surface(p))
    mean = (p + q) / 2
    expected = 0.5 * 2 * 0.5 * np.log(0.5 / mean[0, 0]) + 0.5 * (
        2 * 0.25 * np.log(0.25 / mean[0, 0]) + 0.5 * np.log(0.5 / mean[1, 0])
    )
    assert found.jensen_shannon == pytest.approx(expected)
    assert found.kullback_leibler == pytest.approx(np.log(2), rel=1e-4)
    assert found.mean_square == pytest.approx(0, abs=1e-12)
    same = distance(surface(p), surface(p))
    assert same.jensen_shannon == same.kullback_leibler == same.mean_square == 0


def test_the_mean_square_is_in_kilocalories_and_ignores_a_constant() -> None:
    kt = KB * 300 / energy_unit("kcal/mol")
    p, q = np.array([[1.0, 1.0]] * 2), np.array([[1.0, np.e]] * 2)
    assert distance(surface(q), surface(p)).mean_square == pytest.approx((kt / 2) ** 2)


def test_surfaces_on_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="different bins"):
        distance(surface(np.ones((2, 2))), surface(np.ones((3, 3))))
    with pytest.raises(ValueError, match="none of the 1 samples"):
        Surface.of(np.array([9.0]), np.array([0.0]), temperature=300.0)


def test_a_basin_may_go_through_the_half_turn() -> None:
    degrees = np.array([-170.0, -90.0, 0.0, 100.0, 170.0])
    held = Basin((-180, 180), (50, -120)).holds(np.zeros(5), np.radians(degrees))
    assert held.tolist() == [True, False, False, True, True]


def test_the_basins_of_alanine_share_the_plane() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-np.pi, np.pi, (2, 1000))
    assert (sum(basin.holds(x, y).astype(int) for basin in ALANINE.values()) == 1).all()


def test_populations_have_the_error_of_independent_trajectories() -> None:
    rng = np.random.default_rng(2)
    right = rng.random(200) < 0.3
    trajectories = [(np.full(50, 1.0 if r else -1.0), np.zeros(50)) for r in right]
    found = populations(trajectories)
    assert found["left-handed"].value == pytest.approx(right.mean())
    assert found["left-handed"].error == pytest.approx(np.sqrt(0.3 * 0.7 / 200), rel=0.15)
    one = populations([tuple(np.concatenate(part) for part in zip(*trajectories, strict=True))])
    assert one["left-handed"].value == pytest.approx(right.mean()) and one["left-handed"].error > 0


def test_alanine_dipeptide_has_its_published_share_of_the_left_handed_region() -> None:
    data = np.load(shared_data("cgnet_ala2/ala2_backbone5.npz"))
    name = next(key for key in data.files if data[key].ndim == 3 and "force" not in key)
    phi, psi = dihedral_angles(data[name].astype(float), [(0, 1, 2, 3), (1, 2, 3, 4)])
    found = populations([(phi, psi)])
    assert found["left-handed"].value == pytest.approx(0.0239, abs=5e-4)
