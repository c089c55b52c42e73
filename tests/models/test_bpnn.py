from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from molnet.checkpoint import decode, encode
from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.features import G2, SymmetryFunctions
from molnet.graph import batch
from molnet.models.bpnn import BPNN
from molnet.nn.activations import CELU, Tanh
from molnet.potential import UnknownSpecies
from molnet.priors import AtomEnergies
from tests.features import ani1x


def alloys() -> list[Atoms]:
    frames = []
    for seed in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.numbers[seed % 2] = 13
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames


def test_like_standardizes_on_the_data():
    frames = alloys()
    model = BPNN.like(frames, cutoff=5.0)
    graph = batch([to_graph(atoms, 5.0) for atoms in frames])
    for number, z in enumerate((13, 29)):
        values = model.features(graph)[graph.species == z]
        standard = (values - model.mean[number]) / model.spread[number]
        assert standard.mean(dim=0).abs().max() < 1e-4
        varied = values.std(dim=0, correction=0) > 0.01 * values.std(dim=0, correction=0).max()
        torch.testing.assert_close(
            standard.std(dim=0, correction=0)[varied], torch.ones(int(varied.sum()), dtype=torch.float64)
        )
        assert standard.std(dim=0, correction=0).max() < 1.001
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    assert model.scale == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_a_feature_that_never_varies_keeps_its_size():
    model = BPNN(SymmetryFunctions((29,), (G2(5.0, (1.0,), (2.0, 3.0)),)))
    model.standardize([bulk("Cu")])
    assert model.spread.tolist() == [[1.0, 1.0]]


def test_the_seed_gives_the_weights_and_leaves_the_global_state():
    before = torch.random.get_rng_state()
    one, same, other = (BPNN.like(alloys(), cutoff=5.0, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert one.dtype == torch.float32
    graph = to_graph(alloys()[0], 5.0)
    energies = [evaluate(model, graph).energy for model in (one, same, other)]
    assert torch.equal(energies[0], energies[1])
    assert not torch.equal(energies[0], energies[2])


def test_the_constructor_arguments_rebuild_it():
    features = SymmetryFunctions.default((13, 29), 5.0)
    model = BPNN(features, hidden=((8, 4), (6,)), activation=Tanh(), scale=2.0, seed=3)
    model.standardize(alloys())
    again = decode(json.loads(json.dumps(encode(model))))
    again.load_state_dict(model.state_dict())
    graph = to_graph(alloys()[0], 5.0)
    assert torch.equal(evaluate(model, graph).energy, evaluate(again, graph).energy)


@pytest.mark.parametrize("hidden", [[(8, 4)], [8, (8, 4)], [(8,), (4,), (4,)]])
def test_hidden_widths_of_other_elements_are_refused(hidden: list[object]):
    with pytest.raises(ValueError, match="expected those of the 2 species of the features, or of all at once"):
        BPNN(SymmetryFunctions.default((13, 29), 5.0), hidden=hidden)


def test_unknown_species_are_refused_by_name():
    with pytest.raises(UnknownSpecies, match="holds H, O, which BPNN doesn't know"):
        evaluate(BPNN.like(alloys(), cutoff=5.0), to_graph(molecule("H2O"), 5.0))


def test_forces_and_stress_are_those_of_finite_differences():
    model = BPNN.like(alloys(), cutoff=5.0).double()
    atoms, h = alloys()[0], 1e-6

    def energy(changed: Atoms) -> float:
        return evaluate(model, to_graph(changed, 5.0)).energy.item()

    found = evaluate(model, to_graph(atoms, 5.0))
    for axis in range(3):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, axis] += sign * h
            strained = atoms.copy()
            deformation = np.eye(3)
            deformation[axis, axis] += sign * h
            strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            ends.append((energy(moved), energy(strained)))
        force, stress = (np.array(ends[0]) - ends[1]) / (2 * h)
        numeric = [-force, stress / atoms.get_volume()]
        analytic = [found.forces[1, axis].item(), found.stress[0, axis, axis].item()]
        assert numeric == pytest.approx(analytic, rel=1e-6, abs=1e-7)


def test_smooth_through_the_cutoff():
    model = BPNN.like(alloys(), cutoff=5.0).double()
    r = torch.linspace(4.9, 5.1, 41, dtype=torch.float64)
    graph = batch([to_graph(Atoms("CuAl", [[0, 0, 0], [0, 0, x]]), 6.0) for x in r.tolist()])
    forces = evaluate(model, graph).forces[1::2, 2]
    assert not forces[r > 5.0].any()
    assert forces[r < 4.95].all()
    slopes = forces.diff().abs() / 0.005
    assert slopes[19] < 0.2 * slopes[0], "the slope goes to zero before the cutoff"


def ani_1x() -> BPNN:
    """The published network."""
    published = ani1x.layers()
    hidden = [[len(bias) for _, bias in layers[:-1]] for layers in published]
    model = BPNN(ani1x.symmetry_functions(), hidden=hidden, activation=CELU(0.1), scale=units.Hartree).double()
    with torch.no_grad():
        for network, layers in zip(model.networks.networks, published, strict=True):
            for layer, (weight, bias) in zip(network.layers, layers, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
    return model


def test_ani_1x_gives_the_energies_and_forces_of_neurochem():
    potential = ani_1x() + AtomEnergies(ani1x.SPECIES, (ani1x.self_energies() * units.Hartree).tolist())
    data = ani1x.reference()
    isomers = range(0, 97, 8)
    graph = batch([to_graph(ani1x.conformer(isomer, isomer % 10), 5.2) for isomer in isomers])
    found = evaluate(potential, graph)
    energies = [data["energy_eV"][isomer, isomer % 10] * units.Hartree / 27.211386 for isomer in isomers]
    forces = np.concatenate([data["forces_eV_per_A"][i, i % 10][data["z"][i] > 0] for i in isomers])
    np.testing.assert_allclose(found.energy.numpy(), energies, rtol=0, atol=5e-4)
    np.testing.assert_allclose(found.forces.numpy(), forces, rtol=0, atol=5e-5)
