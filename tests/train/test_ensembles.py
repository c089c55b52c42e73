"""Relative entropy by reweighting, where both distributions are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from molnet.data.conformations import Conformations
from molnet.evaluation import evaluate
from molnet.models import CGnet
from molnet.potential import Potential, UnknownSpecies
from molnet.priors import HarmonicBonds, PeriodicDihedrals
from molnet.train.ensembles import fit_ensemble
from molnet.units import KB
from tests.models.beads import chain, conformations, drawn, grown

KT = 300 * KB
TYPES = [[1, 2, 3, 4]]
PHI = np.linspace(-np.pi, np.pi, 1001)
LOG_DENSITY = 0.9 * np.cos(PHI) + 0.6 * np.sin(2 * PHI)
"""Of the reference, up to a constant; simulated frames have all φ alike."""


def frames(phi: np.ndarray) -> np.ndarray:
    return grown(np.full((len(phi), 3), 1.5), np.full((len(phi), 2), 1.9), phi[:, None])


def ensembles(n: int = 4000) -> tuple[Conformations, np.ndarray]:
    reference = conformations(frames(drawn(np.exp(LOG_DENSITY), PHI, (n,))))
    return reference, frames(np.random.default_rng(4).uniform(-np.pi, np.pi, n))


def energies(potential: Potential, phi: np.ndarray) -> np.ndarray:
    graph = chain(4).graph(torch.from_numpy(frames(phi)).to(potential.dtype), cutoff=0.0)
    return graph.sum_atoms(potential(graph)).detach().numpy()


def test_the_fitted_potential_has_the_distribution_of_the_reference() -> None:
    reference, simulated = ensembles()
    before = PeriodicDihedrals(TYPES, [[0.3]], [[-0.2]])
    network = CGnet.like(reference, hidden=(32, 32), features=["dihedrals"])
    at_start = energies(network, PHI)
    options = {"forces_weight": 0.0, "epochs": 30, "learning_rate": 0.02, "ema": 0.9}
    history = fit_ensemble(before + network, reference, simulated, batch=500, valid=0.5, **options)
    # The simulated ones are of all terms, whatever they are: only the change of the energy counts.
    change = -(energies(network, PHI) - at_start) / KT
    change -= np.average(change - LOG_DENSITY, weights=np.exp(LOG_DENSITY))
    assert np.sqrt(np.average((change - LOG_DENSITY) ** 2, weights=np.exp(LOG_DENSITY))) < 0.1
    p = np.exp(LOG_DENSITY) / np.exp(LOG_DENSITY)[:-1].sum()
    entropy = float(np.sum((p * np.log(p * 1000))[:-1]))  # of the reference, relative to all φ alike
    best = history.rows[history.best_epoch - 1]
    assert best["valid_gained"] == pytest.approx(entropy, abs=0.05)
    effective = 1 / float(np.mean((1000 * p[:-1]) ** 2))
    assert best["valid_effective"] == pytest.approx(effective, abs=0.05)


def test_nothing_is_gained_where_the_ensembles_are_the_same() -> None:
    _, simulated = ensembles()
    others = simulated[1::2]
    network = CGnet.like(conformations(simulated), hidden=(8,), features=["dihedrals"])
    history = fit_ensemble(
        network, conformations(simulated[::2]), others, forces_weight=0.0, epochs=5, learning_rate=0.01
    )
    assert history.rows[-1]["valid_gained"] < 0.02 and history.rows[-1]["valid_effective"] > 0.95


def test_other_molecules_and_empty_parts_are_refused() -> None:
    reference, simulated = ensembles(50)
    network = CGnet.like(reference, hidden=(4,))
    with pytest.raises(ValueError, match=r"shape \(3, 3\); expected \(4, 3\)"):
        fit_ensemble(network, reference, simulated[:, :3], epochs=1)
    with pytest.raises(ValueError, match="valid=0.001 of 50 frames are 0"):
        fit_ensemble(network, reference, simulated, valid=0.001, epochs=1)
    with pytest.raises(UnknownSpecies):
        fit_ensemble(CGnet([1, 2], [(0, 1)], (), (), [(1.5, 0.1)]), reference, simulated, epochs=1)


def test_forces_keep_what_the_ensemble_says_nothing_about() -> None:
    """All frames have the same bonds, whose network the forces alone can fit."""
    phi = np.random.default_rng(5).uniform(-np.pi, np.pi, (400, 1))
    lengths = np.random.default_rng(6).normal(1.5, 0.05, (400, 3))
    x = grown(lengths, np.full((400, 2), 1.9), phi)
    truth = HarmonicBonds([[1, 2], [2, 3], [3, 4]], [5.0, 5.0, 5.0], [1.5, 1.5, 1.5])
    forces = evaluate(truth, chain(4).graph(torch.from_numpy(x))).forces.view(400, 4, 3).numpy()
    data = Conformations(chain(4), x, forces, 300.0)
    errors = []
    for weight in (0.0, 100.0):
        options = {"forces_weight": weight, "batch": 50, "epochs": 15, "learning_rate": 0.01}
        history = fit_ensemble(CGnet.like(data, hidden=(16,)), data, x[::-1].copy(), **options)
        errors.append(history.rows[history.best_epoch - 1]["valid_forces_mse"])
    assert errors[1] < 0.3 * errors[0]
