import copy
import pickle

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.models.schnet import SchNet
from molnet.potential import Committee, UnknownSpecies
from molnet.priors import AtomEnergies
from molnet.simulate import Calculator
from tests.simulate.potentials import LennardJones, Springs


def tiny(species=(1, 6, 8), cutoff=3.5):
    return SchNet(species, cutoff, channels=8, interactions=2, gaussians=8, knots=16, seed=3)


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def argon(cells=2):
    atoms = bulk("Ar", cubic=True, a=5.2) * cells
    atoms.rattle(0.1, seed=2)
    return atoms


def test_the_results_are_those_of_evaluate():
    atoms, potential = ethanol(), tiny()
    atoms.calc = Calculator(potential)
    expected = evaluate(potential.double(), to_graph(atoms, potential.cutoff))
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item(), abs=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert np.allclose(atoms.get_forces(), expected.forces.numpy(), atol=1e-12)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-12)


def test_a_committee_has_deviations_when_asked():
    members = [SchNet((1, 6, 8), 3.5, channels=8, interactions=1, knots=16, seed=seed) for seed in range(3)]
    atoms, energies = ethanol(), AtomEnergies((1, 6, 8), [-1.0, -2.0, -3.0])
    atoms.calc = Calculator(energies + Committee(members))
    atoms.get_forces()
    assert "energy_std" not in atoms.calc.results
    each = [evaluate(member.double(), to_graph(atoms, 3.5)) for member in members]
    expected = np.std([one.energy.item() for one in each]), np.std([one.forces.numpy() for one in each], axis=0)
    for name, value in zip(("energy_std", "forces_std"), expected, strict=True):
        np.testing.assert_allclose(atoms.calc.get_property(name, atoms), value, rtol=1e-9, atol=1e-12)
    assert atoms.get_properties(["energy"])["energy"] == atoms.get_potential_energy()
    atoms.rattle(0.01, seed=0)
    assert atoms.calc.get_property("energy_std", atoms) != pytest.approx(expected[0], rel=1e-6)
    with pytest.raises(PropertyNotImplementedError):
        Calculator(tiny()).get_property("energy_std", atoms)


def test_a_trajectory_with_a_moving_cell_agrees_with_fresh_lists():
    rng, atoms = np.random.default_rng(0), argon(1)
    atoms.calc = Calculator(LennardJones(), skin=1.0)
    for _ in range(25):
        atoms.positions += 0.03 * rng.standard_normal(atoms.positions.shape)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.003 * rng.standard_normal((3, 3))), scale_atoms=True)
        fresh = evaluate(LennardJones(), to_graph(atoms, 6.5))
        assert atoms.get_potential_energy() == pytest.approx(fresh.energy.item(), abs=1e-12)
        assert np.allclose(atoms.get_forces(), fresh.forces.numpy(), atol=1e-12)
    assert atoms.calc.neighbors.builds < 10


def test_wrapping_atoms_on_the_way_changes_nothing():
    atoms = argon(1)
    atoms.calc = Calculator(LennardJones())
    atoms.positions -= 1.0
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.wrap()
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-12)
    assert np.allclose(atoms.get_forces(), forces, atol=1e-12)


def test_stress_is_the_derivative_of_the_energy_by_strain():
    atoms = argon(1)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * np.arange(9).reshape(3, 3) / 9), scale_atoms=True)
    atoms.calc = Calculator(LennardJones())
    stress, cell, step = atoms.get_stress(voigt=False), atoms.cell.array.copy(), 1e-5
    for i, j in [(0, 0), (1, 1), (0, 1), (1, 2), (2, 2)]:
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5 * step
        strain[j, i] += 0.5 * step
        energies = []
        for sign in (1, -1):
            atoms.set_cell(cell @ (np.eye(3) + sign * strain), scale_atoms=True)
            energies.append(atoms.get_potential_energy())
            atoms.set_cell(cell, scale_atoms=True)
        measured = (energies[0] - energies[1]) / (2 * step * atoms.get_volume())
        assert stress[i, j] == pytest.approx(measured, abs=1e-9)


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_no_stress_without_three_periodic_directions(pbc):
    atoms = argon(1)
    atoms.pbc = pbc
    atoms.calc = Calculator(LennardJones())
    atoms.get_potential_energy()
    with pytest.raises(PropertyNotImplementedError, match="periodic in three directions"):
        atoms.get_stress()


def test_the_potential_that_was_given_stays_as_it_is():
    potential = tiny().train()
    calculator = Calculator(potential)
    assert potential.training and potential.dtype == torch.float32
    assert all(parameter.requires_grad for parameter in potential.parameters())
    assert calculator.potential.dtype == torch.float64 and not calculator.potential.training
    assert not any(parameter.requires_grad for parameter in calculator.potential.parameters())


def test_float32_is_close_and_gives_float64_arrays():
    double, single = ethanol(), ethanol()
    double.calc, single.calc = Calculator(tiny()), Calculator(tiny(), dtype=torch.float32)
    assert single.get_forces().dtype == np.float64
    assert np.allclose(double.get_forces(), single.get_forces(), atol=1e-4)
    assert (double.get_forces() != single.get_forces()).any()


def test_added_removed_and_exchanged_atoms_and_new_boundaries_are_noticed():
    calculator, atoms = Calculator(LennardJones()), argon(1)
    atoms.calc = calculator

    def agree():
        fresh = evaluate(LennardJones(), to_graph(atoms, 6.5))
        return atoms.get_potential_energy() == pytest.approx(fresh.energy.item(), abs=1e-12)

    assert agree()
    atoms.append("Ar")
    atoms.positions[-1] = [2.6, 2.6, 2.6]
    assert agree()
    del atoms[0]
    assert agree()
    atoms.pbc = (True, False, True)
    assert agree()
    other = ethanol()
    other.calc = Calculator(tiny())
    before = other.get_potential_energy()
    other.numbers[0] = 8
    assert other.get_potential_energy() != pytest.approx(before)


def test_the_total_charge_is_read_and_its_change_noticed():
    atoms = Atoms("H2", [[0, 0, 0], [1.0, 0, 0]])
    atoms.calc = Calculator(Springs())
    neutral = atoms.get_potential_energy()
    atoms.info["charge"] = -1
    assert atoms.get_potential_energy() == pytest.approx(neutral - 2.0)


def test_unknown_species_are_refused_by_name():
    atoms = molecule("CH3Cl")
    atoms.calc = Calculator(tiny())
    with pytest.raises(UnknownSpecies, match="Cl"):
        atoms.get_potential_energy()
    with pytest.raises(UnknownSpecies, match="Cl"):
        atoms.get_potential_energies()


def test_two_atoms_at_one_place_are_named_at_the_start_and_on_the_way():
    atoms = ethanol()
    atoms.calc = Calculator(tiny())
    atoms.get_potential_energy()
    atoms.positions[3] = atoms.positions[4]
    with pytest.raises(ValueError, match=r"atoms 3 and 4 .* at the same place"):
        atoms.get_potential_energy()
    atoms.calc = Calculator(tiny())
    with pytest.raises(ValueError, match=r"atoms 3 and 4 .* at the same place"):
        atoms.get_potential_energy()


def test_constraints_are_ases():
    atoms = ethanol()
    atoms.calc = Calculator(tiny())
    atoms.set_constraint(FixAtoms([0, 1]))
    assert not atoms.get_forces()[:2].any()
    assert atoms.get_forces(apply_constraint=False)[:2].any()
    assert atoms.calc.results["forces"][:2].any()


def test_ases_optimizer_relaxes_positions_and_cell():
    atoms = argon(1)
    atoms.calc = Calculator(LennardJones())
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    assert np.abs(atoms.get_stress()).max() < 1e-5
    assert np.abs(atoms.get_forces()).max() < 1e-4


def test_results_are_kept_until_something_changes():
    atoms = ethanol()
    atoms.calc = Calculator(tiny())
    calls = []
    run = atoms.calc.compiled.run
    atoms.calc.compiled.run = lambda graph, vectors: calls.append(1) or run(graph, vectors)
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_potential_energy()
    assert len(calls) == 1
    atoms.positions[0, 0] += 1e-9
    atoms.get_forces()
    assert len(calls) == 2


def test_calculate_by_itself_leaves_nothing_of_the_structure_before():
    calculator, atoms = Calculator(LennardJones()), argon(1)
    calculator.calculate(atoms, ["energies", "stress"])
    assert calculator.results.keys() == {"energy", "free_energy", "energies", "forces", "stress"}
    atoms.pbc = False
    calculator.calculate(atoms, ["energy"])
    assert calculator.results.keys() == {"energy", "free_energy", "forces"}


def test_a_negative_skin_is_refused():
    with pytest.raises(ValueError, match="skin"):
        Calculator(tiny(), skin=-0.1)


def test_a_calculator_that_was_used_can_be_copied_and_pickled():
    atoms = ethanol()
    atoms.calc = Calculator(tiny())
    forces = atoms.get_forces()
    for other in (copy.deepcopy(atoms.calc), pickle.loads(pickle.dumps(atoms.calc))):
        atoms.calc = other
        other.reset()
        assert np.array_equal(atoms.get_forces(), forces)
