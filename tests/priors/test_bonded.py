"""Bonded terms: their numbers, fits that find known parameters, and bonds with two peaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rich.console import Console

from molnet.evaluation import evaluate
from molnet.potential import UnknownSpecies
from molnet.priors import HarmonicAngles, HarmonicBonds, PeriodicDihedrals, Repulsion, fit_priors
from molnet.priors.inversion import harmonic, peaks
from molnet.units import KB, force_unit
from tests.models.beads import alanine_dipeptide, chain, conformations, drawn, grown

KT = KB * 300


def straight_chain(frames: int = 4000, *, n: int = 4) -> np.ndarray:
    """Chains of broad distributions whose parameters are known: volume elements change them visibly."""
    r, theta, phi = np.linspace(0.3, 6, 4000), np.linspace(1e-4, np.pi - 1e-4, 4000), np.linspace(-np.pi, np.pi, 4000)
    lengths = drawn(r**2 * np.exp(-0.5 * 0.4 * (r - 2.5) ** 2 / KT), r, (frames, n - 1))
    bends = drawn(np.sin(theta) * np.exp(-0.5 * 0.2 * (theta - 2.2) ** 2 / KT), theta, (frames, n - 2))
    turns = drawn(np.exp(-(0.03 * np.cos(phi) + 0.02 * np.sin(2 * phi)) / KT), phi, (frames, n - 3))
    return grown(lengths, bends, turns)


def test_fits_find_the_parameters_that_samples_were_drawn_with() -> None:
    data = conformations(straight_chain(20_000))
    bonds = HarmonicBonds.fit(data)
    np.testing.assert_allclose(bonds.stiffness, 0.4, rtol=0.05)
    np.testing.assert_allclose(bonds.lengths, 2.5, rtol=0.01)
    angles = HarmonicAngles.fit(data)
    np.testing.assert_allclose(angles.stiffness, 0.2, rtol=0.08)
    np.testing.assert_allclose(angles.angles, 2.2, rtol=0.02)
    # Means and variances, which leave out the volume elements, would be further off than these tolerances.
    length, angle = (fitted.provenance["fits"][0] for fitted in (bonds, angles))
    assert length["mean"] > 2.5 * 1.015 and angle["mean"] < 2.2 * 0.96 and KT / angle["std"] ** 2 > 0.2 * 1.2
    dihedrals = PeriodicDihedrals.fit(data, terms=3)
    np.testing.assert_allclose(dihedrals.cosines, [[0.03, 0, 0]], atol=0.002)
    np.testing.assert_allclose(dihedrals.sines, [[0, 0.02, 0]], atol=0.002)


def test_coordinates_of_the_samples_are_right() -> None:
    molecule = chain(4)
    phi = np.array([[0.7], [-2.0]])
    x = grown(np.full((2, 3), 1.5), np.full((2, 2), 1.9), phi)
    prior = PeriodicDihedrals([[1, 2, 3, 4]], [[0.3, -0.1]], [[0.2, 0.05]])
    found = evaluate(prior, molecule.graph(torch.from_numpy(x))).energy
    expected = 0.3 * np.cos(phi) - 0.1 * np.cos(2 * phi) + 0.2 * np.sin(phi) + 0.05 * np.sin(2 * phi)
    np.testing.assert_allclose(found.numpy(), expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found.numpy(), prior.profile((4, 3, 2, 1), phi[:, 0]), rtol=1e-12)
    bent = evaluate(HarmonicAngles([[3, 2, 1], [2, 3, 4]], [2.0, 3.0], [1.0, 1.5]), molecule.graph(torch.from_numpy(x)))
    np.testing.assert_allclose(bent.energy.numpy(), 0.5 * (2 * 0.9**2 + 3 * 0.4**2), rtol=1e-12)


def test_energies_are_shared_equally_and_sines_change_with_rotations_of_one_hand_only() -> None:
    x = torch.from_numpy(straight_chain(2))
    prior, graph = PeriodicDihedrals([[1, 2, 3, 4]], [[0.1]], [[0.2]]), chain(4).graph(x)
    assert torch.equal(prior(graph).view(2, 4), prior(graph).view(2, 4)[:, :1].expand(2, 4))
    turned = chain(4).graph(x.flip(2) * torch.tensor([1.0, 1.0, -1.0]))
    torch.testing.assert_close(evaluate(prior, turned).energy, evaluate(prior, graph).energy)
    assert not torch.allclose(evaluate(prior, chain(4).graph(-x)).energy, evaluate(prior, graph).energy)


def test_terms_without_parameters_are_named() -> None:
    graph = chain(3).graph(torch.from_numpy(straight_chain(1)[:, :3]))
    with pytest.raises(UnknownSpecies, match="bond of types 2-3, for which .* known are 1-2"):
        evaluate(HarmonicBonds([[2, 1]], [1.0], [1.0]), graph)
    with pytest.raises(ValueError, match="each once, with their reverse"):
        HarmonicBonds([[2, 1], [1, 2]], [1.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="2 types have 1, 2 parameters"):
        HarmonicBonds([[2, 1], [1, 3]], [1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="0 dihedrals"):
        PeriodicDihedrals.fit(conformations(straight_chain(5)[:, :3]))


@pytest.mark.parametrize("minor", [0.05, 0.5])
def test_a_bond_with_two_peaks_is_named(minor: float) -> None:
    rng = np.random.default_rng(1)
    lengths = rng.normal(1.5, 0.03, (10_000, 3))
    lengths[: int(minor * 10_000), 1] += 0.25
    data = conformations(grown(lengths, np.full((10_000, 2), 1.9), rng.uniform(-3, 3, (10_000, 1))))
    console = Console(record=True, width=120)
    console.print(HarmonicBonds.fit(data))
    text = console.export_text()
    assert "two-peaked: 2-3, at 1.5 and 1.75" in text and text.count("two-peaked") == 1


def test_one_peak_is_one_peak_however_it_looks() -> None:
    rng = np.random.default_rng(2)
    shapes = [
        rng.normal(size=10_000),
        rng.uniform(size=10_000),
        rng.gamma(2.0, size=10_000),
        rng.standard_t(3, size=10_000),
        rng.normal(size=50),
        np.full(100, 1.5),
    ]
    assert [len(peaks(samples)) for samples in shapes] == [1] * len(shapes)
    assert len(peaks(np.concatenate([rng.normal(-1.5, 1, 5000), rng.normal(1.5, 1, 5000)]))) == 2


def test_a_constrained_bond_gets_a_finite_stiffness() -> None:
    stiffness, length = harmonic(np.full(100, 1.33), KT, volume="radial")
    assert np.isfinite(stiffness) and length == pytest.approx(1.33, abs=1e-4)


def test_repulsion_is_the_thermal_energy_at_the_shortest_distances_and_leaves_out_connected_pairs() -> None:
    data = conformations(straight_chain(2000, n=6))
    prior = Repulsion.fit(data)
    assert prior.types == ((1, 5), (1, 6), (2, 6))
    for types, row in zip(prior.types, prior.provenance["fits"], strict=True):
        assert prior.profile(types, np.array([row["shortest"]]))[0] == pytest.approx(KT, rel=1e-9)
    graph = data.molecule.graph(torch.from_numpy(data.positions[:5]), cutoff=prior.cutoff)
    expected = sum(
        prior.profile((i + 1, j + 1), np.linalg.norm(data.positions[:5, i] - data.positions[:5, j], axis=1))
        for i, j in [(0, 4), (0, 5), (1, 5)]
    )
    np.testing.assert_allclose(evaluate(prior, graph).energy.numpy(), expected, rtol=1e-12)


def test_fitted_priors_hold_what_a_molecule_has() -> None:
    two, five = conformations(straight_chain(50)[:, :2]), conformations(straight_chain(50, n=5))
    assert [type(term) for term in fit_priors(two).terms] == [HarmonicBonds]
    assert [type(term) for term in fit_priors(five).terms] == [
        HarmonicBonds,
        HarmonicAngles,
        PeriodicDihedrals,
        Repulsion,
    ]


def test_published_alanine_dipeptide_force_error() -> None:
    """Least squares of harmonic bonds and angles gives 387.2 (kcal/mol/Å)² where no forces give 726.5."""
    data = alanine_dipeptide()
    batch = data.batch(np.arange(len(data)), 0.0)
    forces = evaluate(HarmonicBonds.fit(data) + HarmonicAngles.fit(data), batch.graph).forces
    error, unit = forces - batch.target.forces, force_unit("kcal/mol/Å")
    found = [float((each / unit).square().mean()) for each in (error, batch.target.forces)]
    print(f"bonds and angles by Boltzmann inversion: {found[0]:.1f}, no forces: {found[1]:.1f} (kcal/mol/Å)²")
    assert found == pytest.approx([387.2, 729.0], abs=0.2)
