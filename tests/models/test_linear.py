"""Tests of linear potentials."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from molnet.analysis import errors
from molnet.data.convert import to_graph
from molnet.data.labels import LabelError, set_labels
from molnet.data.read import read
from molnet.evaluation import evaluate
from molnet.features import G2, PowerSpectrum, SymmetryFunctions
from molnet.models import BPNN, LinearPotential
from molnet.priors import AtomEnergies
from tests.shared import shared_data


def copper(number: int, *, seed: int = 0) -> list[Atoms]:
    rng, frames = np.random.default_rng(seed), []
    for _ in range(number):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.97, 1.03), scale_atoms=True)
        atoms.rattle(0.08, rng=rng)
        atoms.calc = EMT()
        set_labels(atoms, atoms.get_potential_energy(), forces=atoms.get_forces(), stress=atoms.get_stress())
        frames.append(atoms)
    return frames


def small() -> LinearPotential:
    return LinearPotential(SymmetryFunctions([29], [G2(4.0, (2.0,), (2.0, 2.5, 3.0, 3.5))]), degree=2)


def test_energies_forces_and_stress_are_learned_in_no_time() -> None:
    train, test = copper(16), copper(6, seed=1)
    prior = AtomEnergies.fit(train)
    potential = LinearPotential(PowerSpectrum([29], 4.5, length=2.5, radial=6, degree=5), degree=6)
    potential.solve(train, prior=prior)
    found = errors(prior + potential, test)
    assert found.energy.rmse < 0.05 * found.energy.spread
    assert found.forces.rmse < 0.05 * found.forces.spread
    assert found.stress.rmse < 0.1 * found.stress.spread
    left_out = potential.provenance["least squares"]["left_out_rmse"]["forces"]
    assert 0.5 < left_out / (1e-3 * found.forces.rmse) < 4


def test_what_a_linear_potential_says_is_found_again() -> None:
    """Data that the features can represent exactly leave no error, whichever labels there are."""
    truth, frames = small(), copper(12)
    truth.solve(frames)
    for atoms in frames:
        found = errors_free(truth, atoms)
        set_labels(atoms, *found[:1], forces=found[1], stress=found[2])
    again = small()
    choice = again.solve(frames, energy_weight=1.0)
    assert max(choice.errors) < 1e-4
    bare = [atoms.copy() for atoms in frames]
    for atoms, labelled in zip(bare, frames, strict=True):
        set_labels(atoms, forces=labelled.calc.results["forces"])
    choice = again.solve(bare)
    assert len(choice.errors) == 1
    assert list(again.provenance["least squares"]["left_out_rmse"]) == ["forces"]


def errors_free(potential: LinearPotential, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    found = evaluate(potential, to_graph(atoms, potential.cutoff))
    return float(found.energy), found.forces.numpy(), found.stress[0].numpy()


def test_terms_are_named() -> None:
    terms = small().terms
    assert len(terms) == 1 + 4 + 10
    assert terms[1] == "G2(Cu, eta=2, shift=2)"
    assert terms[-1] == "G2(Cu, eta=2, shift=3.5) G2(Cu, eta=2, shift=3.5)"


def test_too_few_frames_or_labels_are_said() -> None:
    with pytest.raises(ValueError, match="1 frames in 10 folds leave nothing"):
        small().solve(copper(1))
    with pytest.raises(LabelError, match="none of the 3 frames has an energy"):
        small().solve([bulk("Cu") for _ in range(3)])


class Broken(SymmetryFunctions):
    """Features of which one is NaN."""

    def forward(self, graph: object) -> torch.Tensor:
        values = super().forward(graph)
        values[2, 1] = torch.nan
        return values


def test_a_feature_that_is_not_finite_is_named_with_atom_and_frame() -> None:
    features = Broken([29], [G2(4.0, (2.0,), (2.0, 3.0))])
    with pytest.raises(ValueError, match=r"frame 0: the feature G2\(Cu, eta=2, shift=3\) of atom 2 \(Cu\) is nan"):
        LinearPotential(features).solve(copper(2))


def test_like_has_some_hundred_coefficients_where_the_data_allow() -> None:
    for atoms in (bulk("Cu"), bulk("NaCl", "rocksalt", a=5.6)):
        potential = LinearPotential.like([atoms.repeat(6)] * 5, cutoff=5.0)
        assert 300 < len(potential.species) * len(potential.terms) <= 800
        assert len(LinearPotential.like([atoms], cutoff=5.0).terms) < 10


def test_an_eighth_of_the_published_germanium_beats_the_published_network() -> None:
    """benchmarks/mlearn.py has all of them, and the other elements."""
    train = read(shared_data("mlearn/Ge.training.extxyz.xz"))[::8]
    test = read(shared_data("mlearn/Ge.test.extxyz.xz"))[::4]
    prior = AtomEnergies.fit(train)
    potential = LinearPotential(PowerSpectrum([32], 4.5, length=2.5, radial=6, degree=6), degree=6)
    potential.solve(train, prior=prior)
    assert errors(prior + potential, test).forces.mae < 85.0


def test_a_network_in_single_precision_stands_beside_it() -> None:
    train = copper(6)
    linear = LinearPotential.fit(train, cutoff=4.0)
    both = linear + BPNN.like(train, cutoff=4.0, hidden=(4,))
    graph = to_graph(train[0], 4.0)
    found, alone, rest = (evaluate(each, graph) for each in (both, linear, both.terms[1]))
    for name in ("energy", "forces", "stress"):
        expected = getattr(alone, name).double() + getattr(rest, name)
        torch.testing.assert_close(getattr(found, name).double(), expected, rtol=1e-4, atol=1e-4)
