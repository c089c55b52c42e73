"""Boltzmann generators of molecules."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from molnet.data.conformations import Conformations
from molnet.evaluation import evaluate
from molnet.features.zmatrix import UnboundedCoordinates
from molnet.models import CGnet
from molnet.nn.boltzmann_generators import BoltzmannGenerator
from molnet.nn.flows import Flow, RationalQuadratic
from molnet.nn.seeding import seeded
from molnet.potential import UnknownSpecies
from molnet.priors import HarmonicAngles, HarmonicBonds, PeriodicDihedrals
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.generators import ReducedEnergy
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from molnet.units import KB
from tests.models.beads import alanine_dipeptide, chain, conformations


def random(frames: int = 20) -> Conformations:
    return conformations(np.random.default_rng(0).normal(size=(frames, 5, 3)) * 2)


def test_the_energy_is_that_of_the_potential_without_the_volume_element() -> None:
    data = random()
    network = CGnet.like(data, hidden=(8,)).double()
    coordinates = UnboundedCoordinates.fit(data)
    energy = ReducedEnergy(network, data.molecule, coordinates, 300.0)
    positions = torch.from_numpy(data.positions)
    x = coordinates.points(positions)
    expected = evaluate(network, data.molecule.graph(positions)).energy / (KB * 300.0) - coordinates.positions(x)[1]
    torch.testing.assert_close(energy(x), expected, rtol=1e-5, atol=1e-5)
    slope = x.clone().requires_grad_()
    energy(slope).sum().backward(inputs=[slope])
    step = 1e-5 * torch.eye(9, dtype=x.dtype)[7]
    assert slope.grad is not None
    torch.testing.assert_close(slope.grad[:, 7], (energy(x + step) - energy(x - step)) / 2e-5, rtol=1e-5, atol=1e-4)


def test_another_molecule_is_refused() -> None:
    data = random()
    coordinates = UnboundedCoordinates.fit(data)
    with pytest.raises(ValueError, match="those of 5 beads; the molecule has 6"):
        ReducedEnergy(CGnet.like(data), chain(6), coordinates, 300.0)
    with pytest.raises(UnknownSpecies):
        ReducedEnergy(CGnet.like(data), replace(data.molecule, species=(7,) * 5), coordinates, 300.0)


def test_basins_of_alanine_have_the_free_energies_of_the_quadrature() -> None:
    data = alanine_dipeptide()
    potential = HarmonicBonds.fit(data) + HarmonicAngles.fit(data) + PeriodicDihedrals.fit(data)
    coordinates = UnboundedCoordinates.fit(data)
    energy = ReducedEnergy(potential, data.molecule, coordinates, data.temperature)
    # As many examples of either sign of φ, so that these tell nothing of the difference.
    x = coordinates.points(torch.from_numpy(data.positions)).float()
    phi = coordinates.coordinates(x)[2][:, 0].sin()
    x = torch.cat([x[phi < 0][:200], x[phi > 0][:200]])[torch.from_numpy(np.random.default_rng(0).permutation(400))]
    with seeded(0):
        flow = Flow(9, couplings=3, hidden=[32], elementwise=RationalQuadratic(bins=8, bound=4.0))
    model = BoltzmannGenerator(flow, energy, share=0.7, ceiling=100.0)
    recipe = Recipe(epochs=14, learning_rate=1e-2, ema=0)
    fit(model, own_loss, ArrayBatches(x[:320], size=80), ArrayBatches(x[320:]), recipe=recipe)
    found = model.sample(20_000, torch.Generator().manual_seed(0))

    # Without terms that couple them, φ has a distribution of its own.
    dihedrals = potential.terms[2]
    assert isinstance(dihedrals, PeriodicDihedrals)
    types = [data.molecule.species[bead] for bead in data.molecule.dihedrals[0]]
    grid = np.linspace(-np.pi, np.pi, 3601)
    density = np.exp(-dihedrals.profile(types, grid) / (KB * data.temperature))
    expected = -math.log(density[grid > 0].sum() / density[grid < 0].sum())
    positive = coordinates.coordinates(found.points)[2][:, 0].sin() > 0
    difference = found.difference(~positive, positive)
    assert expected > 3 and found.effective > 0.05 and difference.error < 0.15
    assert difference.value == pytest.approx(expected, abs=0.3)
